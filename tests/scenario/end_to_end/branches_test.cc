#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::PostgresCluster;

constexpr const char* kRows = "SELECT coalesce(string_agg(word, ',' ORDER BY word), '') FROM word";

Status insert(PostgresCluster& server, const std::string& word) {
  STELE_TRY(std::string done, server.psql(fmt::format("INSERT INTO word VALUES ('{}')", word)));
  (void)done;
  return {};
}

Result<json> list(World& world) {
  STELE_TRY(const std::string text, world.stele->restore_ok({"--json", "list"}));
  json all = json::parse(text, nullptr, false);
  if (!all.is_object() || all["databases"].size() != 1) return Error{ErrorCode::kDamaged, "list: " + text, ""};
  return all["databases"][0];
}

/// What a restore along one timeline or branch holds; the error's text when it failed.
std::string rows_of(World& world, std::vector<std::string> arguments) {
  auto restored = world.restore(std::move(arguments));
  if (!restored.ok()) return restored.error().to_string();
  auto rows = (*restored)->psql(kRows);
  return rows.ok() ? *rows : rows.error().to_string();
}

/// A copy of the stopped server's directory, as a storage snapshot or a careless administrator makes it.
Status copy_data(PostgresCluster& from, PostgresCluster& to) {
  STELE_TRY(std::string copied, as_owner({"cp", "-a", from.data_directory(), to.data_directory()}));
  (void)copied;
  return {};
}

World::Options small() {
  World::Options options;
  options.members = 200;
  return options;
}

TEST(Branches, APromotedStandbyThatWasBehindLeavesAnAbandonedTail) {
  auto started = World::start(small());
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.source->psql("CREATE TABLE word (word text)"));
  ASSERT_OK(insert(*world.source, "both"));
  ASSERT_OK(world.snapshot());

  // A standby that stops receiving while commits go on: the agent is what they wait for.
  auto standby = PostgresCluster::create_empty();
  ASSERT_OK(standby);
  ASSERT_OK(
      world.source->run({"pg_basebackup", "-D", (*standby)->data_directory(), "-c", "fast", "-R", "-X", "stream"}));
  ASSERT_OK((*standby)->append_config("synchronous_standby_names = ''"));
  ASSERT_OK((*standby)->start());
  ASSERT_OK((*standby)->stop());
  ASSERT_OK(insert(*world.source, "only-acknowledged"));
  ASSERT_OK(world.source->kill_hard());

  ASSERT_OK(world.stele->agent_process().stop());
  ASSERT_OK(world.stele->protect(fmt::format("host={},{} port=5432 user=stele dbname=postgres",
                                             world.source->socket_directory(), (*standby)->socket_directory())));
  ASSERT_OK((*standby)->start());
  ASSERT_OK((*standby)->psql("SELECT pg_promote()"));
  ASSERT_OK(world.stele->start_agent());
  ASSERT_OK(world.stele->wait_streaming(**standby, false, 60));
  ASSERT_OK(insert(**standby, "after"));
  ASSERT_OK(world.stele->wait_caught_up(**standby));

  auto listed = list(world);
  ASSERT_OK(listed);
  ASSERT_EQ((*listed)["branches"].size(), 2u) << listed->dump(1);
  ASSERT_GE((*listed)["abandoned"].size(), 1u) << listed->dump(1);
  EXPECT_EQ((*listed)["abandoned"][0]["timeline"], 1) << listed->dump(1);

  const std::string into = world.stele->root() + "/into";
  auto undecided = world.stele->restore({"run", "--into", into});
  ASSERT_OK(undecided);
  EXPECT_EQ(undecided->exit_code, 3) << undecided->out << undecided->err;
  EXPECT_FALSE(fs::exists(into));
  EXPECT_EQ(rows_of(world, {"--target-timeline", "1"}), "both,only-acknowledged");
  EXPECT_EQ(rows_of(world, {"--target-timeline", "2"}), "after,both");
  EXPECT_EQ(rows_of(world, {"--target-timeline", "latest"}), "after,both");
}

TEST(Branches, ADataDirectoryRolledBackIsAForkAndBothHistoriesCanBeRestored) {
  auto started = World::start(small());
  ASSERT_OK(started);
  World& world = *started;
  PostgresCluster& source = *world.source;
  ASSERT_OK(source.psql("CREATE TABLE word (word text)"));
  ASSERT_OK(insert(source, "both"));
  ASSERT_OK(world.snapshot());
  ASSERT_OK(source.stop());
  auto earlier = PostgresCluster::create_empty();
  ASSERT_OK(earlier);
  ASSERT_OK(copy_data(source, **earlier));
  ASSERT_OK(source.start());
  ASSERT_OK(world.stele->wait_streaming(source, true, 60));
  ASSERT_OK(insert(source, "first-history"));
  ASSERT_OK(source.stop());

  // The old copy comes back under the agent and goes its own way, past the position where the first history ended.
  ASSERT_OK(as_owner({"rm", "-rf", source.data_directory()}));
  ASSERT_OK(copy_data(**earlier, source));
  ASSERT_OK(source.append_config("synchronous_standby_names = ''"));
  ASSERT_OK(source.start());
  ASSERT_OK(insert(source, "second-history"));
  ASSERT_OK(source.psql("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))"));
  ASSERT_OK(world.stele->wait_streaming(source, false, 60));
  ASSERT_OK(world.stele->wait_caught_up(source));
  ASSERT_OK(world.snapshot());

  auto listed = list(world);
  ASSERT_OK(listed);
  ASSERT_EQ((*listed)["branches"].size(), 2u) << listed->dump(1);
  const auto forks = std::count_if((*listed)["ledger"].begin(), (*listed)["ledger"].end(),
                                   [](const json& f) { return f["kind"] == "fork"; });
  EXPECT_EQ(forks, 1) << listed->dump(1);
  std::string current, old;
  for (const json& b : (*listed)["branches"])
    (b["current"] ? current : old) = b["branch"].get<std::string>().substr(0, 12);
  ASSERT_FALSE(current.empty() || old.empty()) << listed->dump(1);
  // Both have timeline 1: the number says nothing.
  auto ambiguous = world.stele->restore({"run", "--into", world.stele->root() + "/into", "--target-timeline", "1"});
  ASSERT_OK(ambiguous);
  EXPECT_EQ(ambiguous->exit_code, 3) << ambiguous->out << ambiguous->err;
  EXPECT_EQ(rows_of(world, {"--target-timeline", old}), "both,first-history");
  EXPECT_EQ(rows_of(world, {"--target-timeline", current}), "both,second-history");
}

TEST(Branches, TwoHistoriesWithOneTimelineNumberAreKeptApart) {
  auto started = World::start(small());
  ASSERT_OK(started);
  World& world = *started;
  PostgresCluster& source = *world.source;
  ASSERT_OK(source.psql("CREATE TABLE word (word text)"));
  ASSERT_OK(insert(source, "both"));
  ASSERT_OK(world.snapshot());
  ASSERT_OK(source.append_config("synchronous_standby_names = ''"));
  ASSERT_OK(source.stop());
  ASSERT_OK(world.stele->agent_process().stop());

  // Two copies, each promoted without knowing of the other: both choose timeline 2.
  for (const std::string name : {"one", "two"}) {
    auto copy = PostgresCluster::create_empty();
    ASSERT_OK(copy);
    ASSERT_OK(copy_data(source, **copy));
    ASSERT_OK(as_owner({"touch", (*copy)->data_directory() + "/standby.signal"}));
    ASSERT_OK((*copy)->start());
    ASSERT_OK((*copy)->psql("SELECT pg_promote()"));
    ASSERT_OK(
        world.stele->protect(fmt::format("host={} port=5432 user=stele dbname=postgres", (*copy)->socket_directory())));
    ASSERT_OK(world.stele->start_agent());
    ASSERT_OK(world.stele->wait_streaming(**copy, false, 60));
    ASSERT_OK(insert(**copy, name));
    auto timeline = (*copy)->psql("SELECT timeline_id FROM pg_control_checkpoint()");
    ASSERT_OK(timeline);
    ASSERT_EQ(*timeline, "2");
    ASSERT_OK(world.stele->wait_caught_up(**copy));
    ASSERT_OK(world.snapshot());
    ASSERT_OK(world.stele->agent_process().stop());
  }

  auto listed = list(world);
  ASSERT_OK(listed);
  std::vector<std::string> second;
  for (const json& b : (*listed)["branches"]) {
    if (b["timeline"] == 2) second.push_back(b["branch"].get<std::string>().substr(0, 12));
  }
  ASSERT_EQ(second.size(), 2u) << listed->dump(1);
  std::vector<std::string> rows = {rows_of(world, {"--target-timeline", second[0]}),
                                   rows_of(world, {"--target-timeline", second[1]})};
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, (std::vector<std::string>{"both,one", "both,two"}));
}

}  // namespace
}  // namespace stele::scenario
