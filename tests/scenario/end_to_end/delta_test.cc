#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::PostgresCluster;

/// A restored directory that went its own way, to be rewritten by `run --delta`.
class Delta : public testing::Test {
 protected:
  void SetUp() override {
    World::Options options;
    options.members = 20'000;
    options.synchronous = false;
    auto started = World::start(std::move(options));
    ASSERT_OK(started);
    world_ = std::make_unique<World>(std::move(*started));
    fs::create_directory(spaces());
    ASSERT_OK(test::give_to_database_user(spaces()));
    ASSERT_OK(world_->source->psql(fmt::format("CREATE TABLESPACE elsewhere LOCATION '{}'", spaces())));
    ASSERT_OK(world_->source->psql("CREATE TABLE far (id int) TABLESPACE elsewhere"));
    ASSERT_OK(world_->source->psql("INSERT INTO far SELECT generate_series(1, 1000)"));
    ASSERT_OK(world_->snapshot());
    ASSERT_OK(world_->source->psql("INSERT INTO far VALUES (0)"));
    ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
    auto empty = PostgresCluster::create_empty();
    ASSERT_OK(empty);
    target_ = std::move(*empty);
    ASSERT_OK(world_->stele->restore_ok({"run", "--into", into(), "--tablespace-root", target_->root_directory() + "/spaces"}));
    ASSERT_OK(target_->start(120));
    ASSERT_OK(writable());
  }

  std::string spaces() const { return world_->source->root_directory() + "/ts"; }
  std::string into() const { return target_->data_directory(); }

  Status writable() {
    return test::wait_for("recovery ends", 120, [&] {
      const auto state = target_->psql("SELECT pg_is_in_recovery()");
      return state.ok() && *state == "f";
    });
  }

  /// What must not be left: a changed row, a new table, a dropped one, foreign files, a hole in a file.
  void spoil() {
    ASSERT_OK(target_->psql("UPDATE far SET id = -id WHERE id > 500"));
    ASSERT_OK(target_->psql("CREATE TABLE stray AS SELECT generate_series(1, 1000) i"));
    ASSERT_OK(target_->psql("CREATE DATABASE astray"));
    ASSERT_OK(target_->psql("CHECKPOINT"));
  }

  Result<test::ProcessOutput> delta(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--json", "run", "--into", into(), "--delta"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return world_->stele->restore(arguments);
  }

  /// The rewritten directory holds what the source holds, page for page as PostgreSQL's own tool judges.
  void expect_as_source() {
    auto verified = test::run_checked({PostgresCluster::program("pg_verifybackup"), "-n", "-i", "postgresql.conf", into()});
    EXPECT_OK(verified);
    ASSERT_OK(target_->start(120));
    ASSERT_OK(writable());
    for (const char* query : {"SELECT count(*), sum(id), min(id) FROM far", "SELECT count(*) FROM registry.member", "SELECT count(*) FROM pg_database", "SELECT to_regclass('stray') IS NULL"}) {
      auto here = target_->psql(query), there = world_->source->psql(query);
      ASSERT_OK(here);
      ASSERT_OK(there);
      EXPECT_EQ(*here, *there) << query;
    }
    EXPECT_OK(target_->run({"pg_amcheck", "-d", "postgres", "--install-missing", "-j", "1"}));
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<PostgresCluster> target_;
};

TEST_F(Delta, RewritesOnlyWhatDiffersAndRemovesTheRest) {
  spoil();
  auto while_it_runs = delta();
  ASSERT_OK(while_it_runs);
  EXPECT_EQ(while_it_runs->exit_code, 1) << while_it_runs->out;
  EXPECT_NE(while_it_runs->out.find("PostgreSQL runs there"), std::string::npos) << while_it_runs->out;
  EXPECT_TRUE(fs::exists(into() + "/global/pg_control"));

  ASSERT_OK(target_->stop());
  std::ofstream(into() + "/base/foreign") << "not in the snapshot";
  // A backup copy by hard links must stay as it is.
  const std::string copy = target_->root_directory() + "/copy", version = into() + "/PG_VERSION";
  fs::create_hard_link(version, copy);
  auto done = delta();
  ASSERT_OK(done);
  ASSERT_EQ(done->exit_code, 0) << done->out << done->err;
  const json report = json::parse(done->out);
  const std::uint64_t kept = report["delta"]["kept_bytes"], written = report["delta"]["written_bytes"], all = report["file_bytes"];
  EXPECT_EQ(kept + written, all);
  EXPECT_GT(written, 0u);
  EXPECT_GT(kept, all / 2) << done->out;
  EXPECT_GT(report["delta"]["removed"].get<int>(), 0);
  EXPECT_FALSE(fs::exists(into() + "/base/foreign"));
  EXPECT_FALSE(fs::exists(into() + ".stele-incomplete"));
  EXPECT_EQ(fs::hard_link_count(copy), 1u);
  expect_as_source();
}

TEST_F(Delta, KilledInTheMiddleItCanBeRunAgain) {
  spoil();
  ASSERT_OK(target_->stop());
  // Enough to write that a kill finds it at work.
  for (const auto& entry : fs::recursive_directory_iterator(into() + "/base")) {
    if (entry.is_regular_file() && entry.file_size() > 0) fs::resize_file(entry.path(), entry.file_size() / 2);
  }
  test::Daemon killed("stele-restore");
  const std::string words = world_->stele->root() + "/passphrase";
  ASSERT_OK(test::write_file_text(words, "a passphrase for tests only\n"));
  ASSERT_OK(killed.start({"/bin/sh", "-c", fmt::format("exec {}/bin/stele-restore --config {}/restore.toml run --into {} --delta --passphrase-fd 3 3<{}", STELE_BINARY_DIR, world_->stele->root(), into(), words)},
                         world_->stele->root() + "/killed.log"));
  ASSERT_OK(test::wait_for("it begins to write", 120, [&] { return !fs::exists(into() + "/global/pg_control") || !killed.running(); }));
  killed.kill_hard();
  ASSERT_TRUE(fs::exists(into() + ".stele-incomplete")) << test::read_file_text(world_->stele->root() + "/killed.log");
  // Whatever the moment was: no server starts on it, and a plain run says what it is.
  EXPECT_FALSE(target_->start(30).ok());
  auto plain = world_->stele->restore({"run", "--into", into()});
  ASSERT_OK(plain);
  EXPECT_EQ(plain->exit_code, 1);
  EXPECT_NE(plain->err.find("--delta"), std::string::npos) << plain->err;
  auto done = delta();
  ASSERT_OK(done);
  ASSERT_EQ(done->exit_code, 0) << done->out << done->err;
  expect_as_source();
}

TEST_F(Delta, AnotherClusterIsRefusedUnlessToldAndSoIsWhatIsNoCluster) {
  ASSERT_OK(target_->stop());
  auto other = PostgresCluster::create();
  ASSERT_OK(other);
  const std::string before = test::read_file_text((*other)->data_directory() + "/global/pg_control");
  const std::vector<std::string> over = {"run", "--into", (*other)->data_directory(), "--delta", "--tablespace-root", (*other)->root_directory() + "/spaces"};
  auto refused = world_->stele->restore(over);
  ASSERT_OK(refused);
  EXPECT_EQ(refused->exit_code, 1) << refused->err;
  EXPECT_NE(refused->err.find("--accept-other-cluster"), std::string::npos) << refused->err;
  EXPECT_EQ(test::read_file_text((*other)->data_directory() + "/global/pg_control"), before);
  EXPECT_FALSE(fs::exists((*other)->data_directory() + ".stele-incomplete"));
  std::vector<std::string> told = over;
  told.push_back("--accept-other-cluster");
  ASSERT_OK(world_->stele->restore_ok(told));
  ASSERT_OK((*other)->start(120));
  auto rows = (*other)->psql("SELECT count(*) FROM far");
  ASSERT_OK(rows);
  EXPECT_EQ(*rows, "1001");

  const std::string papers = world_->stele->root() + "/papers";
  fs::create_directory(papers);
  std::ofstream(papers + "/thesis") << "years of work";
  auto no_cluster = world_->stele->restore({"run", "--into", papers, "--delta", "--tablespace-root", world_->stele->root() + "/spaces"});
  ASSERT_OK(no_cluster);
  EXPECT_EQ(no_cluster->exit_code, 1) << no_cluster->err;
  EXPECT_TRUE(fs::exists(papers + "/thesis"));
}

}  // namespace
}  // namespace stele::scenario
