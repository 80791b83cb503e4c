#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::PostgresCluster;

/// A registry whose members were deleted by mistake; the moment before is known.
class Extract : public testing::Test {
 protected:
  void SetUp() override {
    World::Options options;
    options.synchronous = false;
    auto started = World::start(std::move(options));
    ASSERT_OK(started);
    world_ = std::make_unique<World>(std::move(*started));
    PostgresCluster& source = *world_->source;
    ASSERT_OK(world_->snapshot());
    ASSERT_OK(source.psql("CREATE TABLE \"Odd.Name\" (id serial, part int) PARTITION BY RANGE (part)"));
    ASSERT_OK(source.psql("CREATE TABLE first_half PARTITION OF \"Odd.Name\" FOR VALUES FROM (0) TO (50)"));
    ASSERT_OK(source.psql("CREATE TABLE second_half PARTITION OF \"Odd.Name\" FOR VALUES FROM (50) TO (100)"));
    ASSERT_OK(source.psql("INSERT INTO \"Odd.Name\" (part) SELECT g FROM generate_series(0, 99) g"));
    ASSERT_OK(source.psql("CREATE DATABASE second"));
    ASSERT_OK(source.psql("CREATE SCHEMA registry; CREATE TABLE registry.twin (id int); CREATE TABLE only_here (id int)", "second"));
    ASSERT_OK(source.psql("CREATE TABLE registry.twin (id int)"));
    auto members = source.psql("SELECT count(*) FROM registry.member");
    ASSERT_OK(members);
    members_ = *members;
    auto sum = source.psql(kFingerprint);
    ASSERT_OK(sum);
    fingerprint_ = *sum;
    ASSERT_OK(source.psql("SELECT pg_create_restore_point('before the mistake')"));
    ASSERT_OK(source.psql("TRUNCATE registry.member CASCADE"));
    ASSERT_OK(world_->stele->wait_caught_up(source));
  }

  test::ProcessOutput extract(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--json", "extract"});
    auto done = world_->stele->restore(arguments);
    if (!done.ok()) {
      ADD_FAILURE() << done.error().to_string();
      return {};
    }
    return *done;
  }

  /// Nothing of a side instance is left: no files, no server.
  void expect_clean() {
    std::string left;
    for (const auto& entry : fs::directory_iterator(work())) {
      if (entry.path().filename().string().starts_with("stele-extract")) left += entry.path().string() + "\n";
    }
    EXPECT_EQ(left, "");
    auto servers = test::run_process({"pgrep", "-f", work()});
    ASSERT_OK(servers);
    EXPECT_EQ(servers->out, "");
  }

  std::string work() const { return world_->stele->root() + "/restore/work"; }

  static constexpr const char* kFingerprint = "SELECT md5(string_agg(m::text, '' ORDER BY m::text)) FROM registry.member m";
  std::unique_ptr<World> world_;
  std::string members_, fingerprint_;
};

TEST_F(Extract, ATableOfAnEarlierMomentGoesIntoAFileAndIntoARunningServer) {
  // Another command has made the work directory: root's, and the server's user must pass.
  auto planned = world_->stele->restore({"plan"});
  ASSERT_OK(planned);
  ASSERT_EQ(planned->exit_code, 0) << planned->err;
  const std::string file = world_->stele->root() + "/member.sql";
  auto done = extract({"--table", "registry.member", "--target-name", "before the mistake", "--output", file});
  ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  const json report = json::parse(done.out);
  EXPECT_EQ(report["dbname"], "postgres");
  EXPECT_EQ(report["tables"][0]["rows"].dump(), members_);
  struct stat info {};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string text = test::read_file_text(file);
  EXPECT_NE(text.find("COPY registry.member"), std::string::npos);
  EXPECT_EQ(text.find("COPY registry.organisation"), std::string::npos);
  expect_clean();
  auto again = extract({"--table", "registry.member", "--output", file});
  EXPECT_EQ(again.exit_code, 1) << again.out;

  // The rows go back into the very table that lost them.
  auto back = extract({"--table", "registry.member", "--target-name", "before the mistake", "--data-only", "--into", world_->source->conninfo()});
  ASSERT_EQ(back.exit_code, 0) << back.out << back.err;
  auto sum = world_->source->psql(kFingerprint);
  ASSERT_OK(sum);
  EXPECT_EQ(*sum, fingerprint_);
  expect_clean();

  // A partitioned table with a strange name, with its partitions, into another database.
  ASSERT_OK(world_->source->psql("CREATE DATABASE rescue"));
  auto odd = extract({"--table", "\"Odd.Name\"", "--into", world_->source->conninfo("rescue")});
  ASSERT_EQ(odd.exit_code, 0) << odd.out << odd.err;
  auto rows = world_->source->psql("SELECT count(*), sum(part) FROM \"Odd.Name\"", "rescue");
  ASSERT_OK(rows);
  EXPECT_EQ(*rows, "100|4950");
  auto taken = extract({"--table", "\"Odd.Name\"", "--into", world_->source->conninfo("rescue")});
  EXPECT_EQ(taken.exit_code, 1) << taken.out;
  EXPECT_NE(taken.out.find("--data-only"), std::string::npos) << taken.out;
  expect_clean();
}

TEST_F(Extract, AWholeDatabaseIsFoundByItsNameAndATableInItByItself) {
  const std::string file = world_->stele->root() + "/second.dump";
  auto whole = extract({"--dbname", "second", "--output", file, "--format", "custom"});
  ASSERT_EQ(whole.exit_code, 0) << whole.out << whole.err;
  auto listed = test::run_checked({PostgresCluster::program("pg_restore"), "--list", file});
  ASSERT_OK(listed);
  EXPECT_NE(listed->find("only_here"), std::string::npos) << *listed;
  auto found = extract({"--table", "only_here", "--output", world_->stele->root() + "/here.sql"});
  ASSERT_EQ(found.exit_code, 0) << found.out << found.err;
  EXPECT_EQ(json::parse(found.out)["dbname"], "second");
  expect_clean();
}

TEST_F(Extract, WhatCannotBeTakenIsSaidAndNothingIsLeft) {
  const std::string file = world_->stele->root() + "/none.sql";
  struct Case {
    std::vector<std::string> arguments;
    int exit_code;
    std::string words;
  };
  const std::vector<Case> cases = {
      {{"--table", "registry.members", "--output", file}, 1, "registry.member "},
      {{"--table", "registry.twin", "--output", file}, 2, "--dbname"},
      {{"--dbname", "third", "--output", file}, 1, "second"},
      {{"--table", "registry.member", "--target-lsn", "FF/0", "--output", file}, 3, "nearest reachable"},
      {{"--table", "a.b.c", "--output", file}, 2, "SCHEMA.TABLE"},
      {{"--table", "registry.member"}, 2, "--output"},
      {{"--output", file}, 2, "--table"},
      {{"--table", "registry.member", "--output", "/there/is/no/such/file"}, 1, "no such directory"},
      {{"--table", "registry.member", "--into", "host=/nowhere dbname=x"}, 1, "--into"},
      {{"--table", "registry.member", "--into", "host=db password=secret"}, 2, "pgpass"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(c.arguments, " ")));
    const auto done = extract(c.arguments);
    EXPECT_EQ(done.exit_code, c.exit_code) << done.out << done.err;
    EXPECT_NE(done.out.find(c.words), std::string::npos) << done.out;
    EXPECT_FALSE(fs::exists(file));
    EXPECT_FALSE(fs::exists(file + ".stele-part"));
  }
  expect_clean();
}

TEST_F(Extract, ASignalCleansUpAndSoDoesTheNextOneAfterAKill) {
  const std::string words = world_->stele->root() + "/passphrase", file = world_->stele->root() + "/cut.sql";
  ASSERT_OK(test::write_file_text(words, "a passphrase for tests only\n"));
  auto place = [&]() -> std::string {
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(work(), ec)) {
      if (entry.is_directory() && entry.path().filename().string().starts_with("stele-extract")) return entry.path().string();
    }
    return "";
  };
  for (const int number : {SIGTERM, SIGKILL}) {
    test::Daemon running("stele-restore");
    ASSERT_OK(running.start({"/bin/sh", "-c", fmt::format("exec {}/bin/stele-restore --config {}/restore.toml extract --table registry.twin --dbname second --output {} --passphrase-fd 3 3<{}", STELE_BINARY_DIR,
                                                          world_->stele->root(), file, words)},
                            world_->stele->root() + "/cut.log"));
    // A server runs there.
    ASSERT_OK(test::wait_for("the side instance starts", 120, [&] { return (!place().empty() && fs::exists(place() + "/data/postmaster.pid")) || !running.running(); }));
    ASSERT_TRUE(running.running()) << test::read_file_text(world_->stele->root() + "/cut.log");
    ASSERT_EQ(kill(running.pid(), number), 0);
    ASSERT_OK(test::wait_for("it ends", 120, [&] { return !running.running(); }));
    EXPECT_NE(running.exit_code(), 0);
    if (number == SIGTERM) expect_clean();
  }
  ASSERT_NE(place(), "");
  // The killed one's server ends with it.
  ASSERT_OK(test::wait_for("the orphaned server ends", 120, [&] { return test::run_process({"pgrep", "-f", place() + "/data"})->out.empty(); }));
  auto next = extract({"--table", "registry.twin", "--dbname", "second", "--output", file});
  ASSERT_EQ(next.exit_code, 0) << next.out << next.err;
  expect_clean();
}

}  // namespace
}  // namespace stele::scenario
