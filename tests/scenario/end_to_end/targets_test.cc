#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using test::PostgresCluster;

/// A restore by PostgreSQL alone: its own base backup, and the log as pg_receivewal wrote it.
class Reference {
 public:
  Status start(PostgresCluster& source) {
    source_ = &source;
    archive_ = source.root_directory() + "/archive";
    backup_ = source.root_directory() + "/backup";
    STELE_TRY(std::string made, as_owner({"mkdir", archive_}));
    STELE_TRY(std::string slot, source.run({"pg_receivewal", "-D", archive_, "--create-slot", "--slot", "reference"}));
    STELE_CHECK(receiver_.start(as_user({PostgresCluster::program("pg_receivewal"), "-D", archive_, "--slot",
                                         "reference", "-h", source.socket_directory(), "-U", "postgres", "--no-loop"}),
                                source.root_directory() + "/pg_receivewal.log"));
    STELE_TRY(std::string backed_up, source.run({"pg_basebackup", "-D", backup_, "-c", "fast", "-X", "none"}));
    (void)made, (void)slot, (void)backed_up;
    return {};
  }

  /// Until every segment of now is archived as a whole.
  Status finish() {
    STELE_TRY(const std::string last, source_->psql("SELECT pg_walfile_name(pg_switch_wal())"));
    STELE_CHECK(test::wait_for("pg_receivewal writes " + last, 30, [&] { return fs::exists(archive_ + "/" + last); }));
    return receiver_.stop();
  }

  /// Recovers to the target that `settings` say and gives the answer to `query`.
  Result<std::string> answer(const std::string& settings, const std::string& query) {
    STELE_TRY(auto cluster, PostgresCluster::create_empty());
    STELE_TRY(std::string copied, as_owner({"cp", "-a", backup_, cluster->data_directory()}));
    STELE_TRY(std::string signalled, as_owner({"touch", cluster->data_directory() + "/recovery.signal"}));
    (void)copied, (void)signalled;
    STELE_CHECK(
        cluster->append_config(fmt::format("synchronous_standby_names = ''\nrestore_command = 'cp {}/%f %p'\n"
                                           "recovery_target_action = promote\n{}\n",
                                           archive_, settings)));
    STELE_CHECK(cluster->start(60));
    STELE_CHECK(test::wait_for("PostgreSQL's own recovery ends", 60, [&] {
      const auto in_recovery = cluster->psql("SELECT pg_is_in_recovery()");
      return in_recovery.ok() && *in_recovery == "f";
    }));
    return cluster->psql(query);
  }
  const std::string& archive() const { return archive_; }

 private:
  static std::vector<std::string> as_user(std::vector<std::string> argv) {
    if (geteuid() == 0) argv.insert(argv.begin(), {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"});
    return argv;
  }
  PostgresCluster* source_ = nullptr;
  test::Daemon receiver_{"pg_receivewal"};
  std::string archive_, backup_;
};

/// One server, one snapshot, and moments of every kind, for all tests, which only read; each is restored by Stele and by PostgreSQL and must
/// give the same rows.
class Targets : public testing::Test {
 protected:
  static constexpr const char* kRows = "SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') FROM moment";

  struct Moment {
    std::string id, lsn, xid, time;
  };

  static void SetUpTestSuite() {
    World::Options options;
    options.members = 500;
    options.synchronous = false;
    options.postgres.wal_segment_mb = 1;
    auto started = World::start(std::move(options));
    ASSERT_OK(started);
    world_ = std::make_unique<World>(std::move(*started));
    ASSERT_OK(world_->source->psql("CREATE TABLE moment (id int PRIMARY KEY, filler text)"));
    reference_ = std::make_unique<Reference>();
    ASSERT_OK(reference_->start(*world_->source));
    commit(1);
    ASSERT_OK(world_->snapshot());
    for (int id = 2; id <= 4; ++id) commit(id);
    ASSERT_OK(world_->source->psql("SELECT pg_create_restore_point('named')"));
    for (int id = 5; id <= 7; ++id) commit(id);
    // A transaction that takes its id first and commits last: ids are not in commit order.
    ASSERT_OK(world_->source->psql("BEGIN; INSERT INTO moment VALUES (8); ROLLBACK"));
    commit(9);
    ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
    complete_ = true;
  }
  static void TearDownTestSuite() {
    reference_.reset();
    world_.reset();
  }
  void SetUp() override { ASSERT_TRUE(complete_); }

  static void commit(int id) {
    Moment m;
    m.id = std::to_string(id);
    auto xid =
        world_->source->psql(fmt::format("WITH i AS (INSERT INTO moment SELECT {}, string_agg(md5(g::text), '') FROM "
                                         "generate_series(1, 3000) g RETURNING 1) "
                                         "SELECT pg_current_xact_id()::text FROM i",
                                         id));
    ASSERT_OK(xid);
    m.xid = *xid;
    auto lsn = world_->source->psql("SELECT pg_current_wal_insert_lsn()");
    ASSERT_OK(lsn);
    m.lsn = *lsn;
    auto time = world_->source->psql(fmt::format(
        "SELECT to_char(pg_xact_commit_timestamp('{}'::xid) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
        m.xid));
    ASSERT_OK(time);
    m.time = *time;
    moments_[id] = m;
  }

  static std::string by_stele(std::vector<std::string> arguments) {
    auto restored = world_->restore(std::move(arguments));
    if (!restored.ok()) return restored.error().to_string();
    auto rows = (*restored)->psql(kRows);
    return rows.ok() ? *rows : rows.error().to_string();
  }

  static std::string by_postgres(const std::string& settings) {
    auto rows = reference_->answer(settings, kRows);
    return rows.ok() ? *rows : rows.error().to_string();
  }

  /// A time as PostgreSQL's parameter takes it: without T and Z.
  static std::string as_parameter(std::string time) {
    time[10] = ' ';
    time.back() = '+';
    return time + "00";
  }

  static void expect_same(std::vector<std::string> arguments, const std::string& settings, const std::string& rows) {
    const std::string said = by_postgres(settings);
    EXPECT_EQ(said, rows) << "PostgreSQL itself, with " << settings;
    EXPECT_EQ(by_stele(arguments), said) << fmt::format("{}", fmt::join(arguments, " "));
  }

  static inline std::unique_ptr<World> world_;
  static inline std::unique_ptr<Reference> reference_;
  static inline std::map<int, Moment> moments_;
  static inline bool complete_ = false;
};

TEST_F(Targets, EveryKindGivesTheRowsThatPostgresGives) {
  ASSERT_OK(reference_->finish());
  ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
  const Moment &third = moments_.at(3), &fifth = moments_.at(5), &sixth = moments_.at(6);
  expect_same({"--target-time", third.time}, fmt::format("recovery_target_time = '{}'", as_parameter(third.time)),
              "1,2,3");
  expect_same({"--target-time", third.time, "--target-exclusive"},
              fmt::format("recovery_target_time = '{}'\nrecovery_target_inclusive = off", as_parameter(third.time)),
              "1,2");
  expect_same({"--target-xid", sixth.xid}, fmt::format("recovery_target_xid = '{}'", sixth.xid), "1,2,3,4,5,6");
  expect_same({"--target-xid", sixth.xid, "--target-exclusive"},
              fmt::format("recovery_target_xid = '{}'\nrecovery_target_inclusive = off", sixth.xid), "1,2,3,4,5");
  expect_same({"--target-name", "named"}, "recovery_target_name = 'named'", "1,2,3,4");
  expect_same({"--target-lsn", fifth.lsn, "--target-exclusive"},
              fmt::format("recovery_target_lsn = '{}'\nrecovery_target_inclusive = off", fifth.lsn), "1,2,3,4,5");
  expect_same({"--target-lsn", fifth.lsn}, fmt::format("recovery_target_lsn = '{}'", fifth.lsn), "1,2,3,4,5");
  expect_same({}, "", "1,2,3,4,5,6,7,9");
}

TEST_F(Targets, ImmediateEndsWithTheSnapshot) {
  EXPECT_EQ(by_stele({"--target-immediate"}), "1");
}

TEST_F(Targets, AnIdleMomentIsReachedWherePostgresAloneGivesUp) {
  // Nothing is committed for three seconds; the agent says so every second.
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  auto idle =
      world_->source->psql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
  ASSERT_OK(idle);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  EXPECT_EQ(by_stele({"--target-time", *idle}), "1,2,3,4,5,6,7,9");
}

TEST_F(Targets, WhatCannotBeReachedIsRefusedAndNothingIsWritten) {
  const std::string directory = world_->stele->root() + "/into";
  for (const std::vector<std::string>& target :
       std::vector<std::vector<std::string>>{{"--target-time", "2099-01-01T00:00:00Z"},
                                             {"--target-time", "2001-01-01T00:00:00Z"},
                                             {"--target-lsn", "FF/0"},
                                             {"--target-lsn", "0/100"},
                                             {"--target-xid", "4000000000"},
                                             {"--target-name", "there is none"},
                                             {"--target-timeline", "77"}}) {
    fs::create_directory(directory);
    const auto before = fs::last_write_time(directory);
    std::vector<std::string> arguments = {"run", "--into", directory};
    arguments.insert(arguments.end(), target.begin(), target.end());
    auto refused = world_->stele->restore(arguments);
    ASSERT_OK(refused);
    EXPECT_EQ(refused->exit_code, 3) << fmt::format("{}: {}{}", fmt::join(target, " "), refused->out, refused->err);
    EXPECT_TRUE(fs::is_empty(directory)) << fmt::format("{}", fmt::join(target, " "));
    EXPECT_EQ(fs::last_write_time(directory), before);
    EXPECT_FALSE(fs::exists(directory + ".stele-incomplete"));
    fs::remove_all(directory);
  }
}

}  // namespace
}  // namespace stele::scenario
