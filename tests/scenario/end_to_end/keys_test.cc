#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Points restore.toml at another recovery key.
void use_key(World& world, const std::string& file) {
  const std::string path = world.stele->root() + "/restore.toml";
  std::string text = test::read_file_text(path);
  const std::size_t begin = text.find("recovery_keys = "), end = text.find('\n', begin);
  ASSERT_NE(begin, std::string::npos);
  text.replace(begin, end - begin, fmt::format("recovery_keys = [\"keys/{}\"]", file));
  ASSERT_OK(test::write_file_text(path, text));
}

json check(World& world, int expected) {
  auto done = world.stele->restore({"--json", "keys", "check"});
  if (!done.ok()) {
    ADD_FAILURE() << done.error().to_string();
    return {};
  }
  EXPECT_EQ(done->exit_code, expected) << done->out << done->err;
  return json::parse(done->out, nullptr, false);
}

/// Of two configured receivers one does not answer: nothing may look complete.
void without_one_receiver(World& world, const std::string& keys) {
  const std::string path = world.stele->root() + "/restore.toml", text = test::read_file_text(path);
  std::string changed = text;
  changed.insert(changed.find("[tls]"), "[[receiver]]\nname = \"away\"\naddress = \"127.0.0.1:1\"\n");
  ASSERT_OK(test::write_file_text(path, changed));
  auto exits = [&](const std::vector<std::string>& command) {
    auto done = world.stele->restore(command);
    return done.ok() ? done->exit_code : -1;
  };
  EXPECT_EQ(exits({"keys", "reseal", "--authority-key", keys + "/authority.key"}), 75);
  EXPECT_EQ(exits({"plan"}), 75) << "the latest commits may be there alone";
  EXPECT_EQ(exits({"plan", "--accept-older"}), 0);
  auto listed = world.stele->restore({"list"});
  ASSERT_OK(listed);
  EXPECT_NE(listed->out.find("receiver away"), std::string::npos) << listed->out;
  ASSERT_OK(test::write_file_text(path, text));
}

TEST(Keys, AKeyThatWasAddedLaterOpensEverythingAfterResealingAndNothingBefore) {
  World::Options options;
  options.members = 500;
  auto started = World::start(std::move(options));
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.snapshot());
  ASSERT_OK(world.source->psql("CREATE TABLE word AS SELECT 'kept' AS word"));
  ASSERT_OK(world.stele->wait_caught_up(*world.source));
  const std::string keys = world.stele->root() + "/keys";
  ASSERT_OK(world.stele->restore_ok({"keygen", "--directory", keys, "--name", "safe2", "--label", "safe 2", "--authority", keys + "/authority.pub"}));

  for (const bool from_receiver : {true, false}) {
    if (from_receiver) ASSERT_OK(world.stele->restore_from_receiver());
    else ASSERT_OK(world.stele->restore_from_store());
    const json before = check(world, 0);
    EXPECT_TRUE(before["opens_newest"].get<bool>()) << before.dump(1);
    EXPECT_EQ(before["keys"][0]["opens"], before["epochs"]);
    EXPECT_GE(before["newest_opened_age_seconds"].get<int>(), 0);
    EXPECT_TRUE(before["not_opened"].empty());
  }
  ASSERT_NO_FATAL_FAILURE(use_key(world, "safe2.key"));
  const json closed = check(world, 5);
  EXPECT_FALSE(closed["opens_newest"].get<bool>()) << closed.dump(1);
  EXPECT_EQ(closed["keys"][0]["opens"], 0);
  EXPECT_TRUE(closed["newest_opened_age_seconds"].is_null());
  const std::string into = world.stele->root() + "/into";
  auto refused = world.stele->restore({"run", "--into", into});
  ASSERT_OK(refused);
  EXPECT_EQ(refused->exit_code, 5) << refused->err;
  EXPECT_FALSE(fs::exists(into));

  // Both keys from now on, through the running receiver, which no restore host may write to but for this.
  ASSERT_OK(world.stele->restore_from_receiver());
  const std::vector<std::string> command = {"--json", "keys", "reseal", "--authority-key", keys + "/authority.key", "--recipient", keys + "/recovery.pub", "--recipient", keys + "/safe2.pub", "--directory", keys + "/new"};
  auto resealed = world.stele->restore_ok(command);
  ASSERT_OK(resealed);
  const json report = json::parse(*resealed);
  EXPECT_GE(report["resealed"].get<int>(), 1) << report.dump(1);
  EXPECT_EQ(report["not_opened"], 0);
  EXPECT_TRUE(fs::exists(keys + "/new/recipients.rec"));
  // Repeating it finds nothing to do, and the list's file as it was.
  auto again = world.stele->restore_ok({"--json", "keys", "reseal", "--authority-key", keys + "/authority.key", "--directory", keys + "/new"});
  ASSERT_OK(again);
  EXPECT_EQ(json::parse(*again)["resealed"], 0) << *again;
  EXPECT_EQ(json::parse(*again)["serial"], report["serial"]);

  ASSERT_NO_FATAL_FAILURE(without_one_receiver(world, keys));

  // The agent takes the new list for its next epoch; the new key opens the old epochs and the new one, alone.
  ASSERT_OK(world.stele->agent_process().stop());
  std::error_code ec;
  fs::copy_file(keys + "/new/recipients.rec", world.stele->agent_directory() + "/recipients", fs::copy_options::overwrite_existing, ec);
  ASSERT_FALSE(ec);
  ASSERT_OK(world.stele->start_agent());
  ASSERT_OK(world.stele->wait_streaming(*world.source, true, 60));
  ASSERT_OK(world.source->psql("INSERT INTO word VALUES ('later')"));
  ASSERT_OK(world.stele->wait_caught_up(*world.source));
  for (const bool from_receiver : {true, false}) {
    if (from_receiver) ASSERT_OK(world.stele->restore_from_receiver());
    else ASSERT_OK(world.stele->restore_from_store());
    ASSERT_NO_FATAL_FAILURE(use_key(world, "safe2.key"));
    const json open = check(world, 0);
    EXPECT_EQ(open["keys"][0]["opens"], open["epochs"]) << open.dump(1);
    auto restored = world.restore();
    ASSERT_OK(restored);
    auto rows = (*restored)->psql("SELECT string_agg(word, ',' ORDER BY word) FROM word");
    ASSERT_OK(rows);
    EXPECT_EQ(*rows, "kept,later");
  }
  // A store directory in use is not written to behind its receiver's back.
  auto behind = world.stele->restore({"--json", "keys", "reseal", "--authority-key", keys + "/authority.key", "--recipient", keys + "/safe2.pub"});
  ASSERT_OK(behind);
  EXPECT_EQ(behind->exit_code, 75) << behind->out << behind->err;
}

}  // namespace
}  // namespace stele::scenario
