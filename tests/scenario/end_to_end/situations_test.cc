#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <thread>

#include "tests/scenario/end_to_end/world.h"

// The situations of PostgreSQL's own recovery tests (src/test/recovery), through agent, receiver and `run --start`.
namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::PostgresCluster;

/// What `run --start` left running; stopped with the object.
class Started {
 public:
  static Result<std::unique_ptr<Started>> by(World& world, std::vector<std::string> arguments) {
    auto out = std::unique_ptr<Started>(new Started);
    STELE_TRY(out->place_, PostgresCluster::create_empty());
    STELE_TRY(out->port_, test::free_port());
    arguments.insert(arguments.begin(), {"--json", "run", "--into", out->directory(), "--start", "--yes", "--port", std::to_string(out->port_), "--tablespace-root", out->place_->root_directory() + "/spaces"});
    STELE_TRY(const std::string text, world.stele->restore_ok(arguments));
    out->report = json::parse(text, nullptr, false);
    return out;
  }
  ~Started() { (void)as_owner({PostgresCluster::program("pg_ctl"), "-D", directory(), "-m", "immediate", "stop"}); }

  std::string directory() const { return place_->data_directory(); }
  std::string psql(const std::string& sql, const std::string& database = "postgres") const {
    auto done = test::run_process({PostgresCluster::program("psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", std::to_string(port_), "-U", "postgres", "-d", database, "-c", sql});
    if (!done.ok()) return done.error().to_string();
    std::string out = done->exit_code == 0 ? done->out : done->err;
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }
  std::string log() const { return test::read_file_text(directory() + ".log"); }
  json report;

 private:
  Started() = default;
  std::unique_ptr<PostgresCluster> place_;
  int port_ = 0;
};

Result<World> small_world(const std::string& config = "") {
  World::Options options;
  options.members = 200;
  options.synchronous = false;
  options.postgres.wal_segment_mb = 1;
  options.postgres.config = "max_prepared_transactions = 5\nallow_in_place_tablespaces = on\nautovacuum = off\n" + config;
  return World::start(std::move(options));
}

TEST(Situations, PreparedTransactionsAreThereAndCanBeEnded) {
  auto started = small_world();
  ASSERT_OK(started);
  PostgresCluster& source = *started->source;
  ASSERT_OK(source.psql("CREATE TABLE t (i int)"));
  ASSERT_OK(source.psql("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'before the snapshot'"));
  ASSERT_OK(source.psql("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'ended later'"));
  ASSERT_OK(started->snapshot());
  ASSERT_OK(source.psql("BEGIN; INSERT INTO t VALUES (3); PREPARE TRANSACTION 'behind it'"));
  ASSERT_OK(source.psql("BEGIN; INSERT INTO t VALUES (4); PREPARE TRANSACTION 'taken back'"));
  ASSERT_OK(source.psql("COMMIT PREPARED 'ended later'"));
  ASSERT_OK(source.psql("ROLLBACK PREPARED 'taken back'"));
  ASSERT_OK(started->stele->wait_caught_up(source));
  auto restored = Started::by(*started, {});
  ASSERT_OK(restored);
  EXPECT_EQ((*restored)->psql("SELECT string_agg(gid, ',' ORDER BY gid) FROM pg_prepared_xacts"), "before the snapshot,behind it");
  EXPECT_EQ((*restored)->psql("SELECT string_agg(i::text, ',' ORDER BY i) FROM t"), "2");
  EXPECT_EQ((*restored)->psql("COMMIT PREPARED 'before the snapshot'"), "COMMIT PREPARED");
  EXPECT_EQ((*restored)->psql("COMMIT PREPARED 'behind it'"), "COMMIT PREPARED");
  EXPECT_EQ((*restored)->psql("SELECT string_agg(i::text, ',' ORDER BY i) FROM t"), "1,2,3");
  EXPECT_EQ((*restored)->report["end"]["timeline"], 2) << (*restored)->report.dump(1);
}

TEST(Situations, UnloggedTablesAreEmptyAndCopiedDatabasesAndReusedFilesAreWhole) {
  auto started = small_world();
  ASSERT_OK(started);
  PostgresCluster& source = *started->source;
  ASSERT_OK(source.psql("CREATE UNLOGGED TABLE u (i int PRIMARY KEY); INSERT INTO u SELECT generate_series(1, 1000)"));
  ASSERT_OK(source.psql("CREATE TABLESPACE here LOCATION ''"));
  ASSERT_OK(source.psql("CREATE DATABASE template_one"));
  ASSERT_OK(source.psql("CREATE TABLE large AS SELECT i, repeat(md5(i::text), 20) AS t FROM generate_series(1, 5000) i", "template_one"));
  ASSERT_OK(started->snapshot());
  ASSERT_OK(source.psql("CREATE UNLOGGED TABLE v (i int) TABLESPACE here"));
  ASSERT_OK(source.psql("INSERT INTO v VALUES (1)"));
  // By file copy the log says only "copy this directory": what the copy is made of must be right at that moment.
  ASSERT_OK(source.psql("INSERT INTO large SELECT i, 'later' FROM generate_series(5001, 6000) i", "template_one"));
  ASSERT_OK(source.psql("CREATE DATABASE copied TEMPLATE template_one STRATEGY = FILE_COPY"));
  ASSERT_OK(source.psql("DELETE FROM large WHERE i <= 100", "copied"));
  ASSERT_OK(source.psql("CREATE DATABASE logged TEMPLATE template_one STRATEGY = WAL_LOG"));
  // Files whose numbers come again: rewritten, moved to another tablespace and back, dropped and made anew.
  ASSERT_OK(source.psql("UPDATE large SET t = 'one' WHERE i % 2 = 0", "logged"));
  ASSERT_OK(source.psql("VACUUM FULL large", "logged"));
  for (const char* place : {"here", "pg_default", "here", "pg_default"}) {
    ASSERT_OK(source.psql(fmt::format("ALTER DATABASE logged SET TABLESPACE {}", place)));
    ASSERT_OK(source.psql(fmt::format("UPDATE large SET t = t || '{}' WHERE i % 10 = 0", place), "logged"));
  }
  ASSERT_OK(source.psql("DROP DATABASE template_one"));
  ASSERT_OK(source.psql("CREATE DATABASE template_one TEMPLATE logged STRATEGY = FILE_COPY TABLESPACE here"));
  ASSERT_OK(source.psql("TRUNCATE large; INSERT INTO large VALUES (1, 'anew')", "template_one"));
  ASSERT_OK(started->stele->wait_caught_up(source));
  auto restored = Started::by(*started, {});
  ASSERT_OK(restored);
  EXPECT_EQ((*restored)->psql("SELECT (SELECT count(*) FROM u), (SELECT count(*) FROM v)"), "0|0");
  EXPECT_EQ((*restored)->psql("INSERT INTO u VALUES (1); INSERT INTO v VALUES (1)"), "INSERT 0 1\nINSERT 0 1");
  for (const char* database : {"copied", "logged", "template_one"}) {
    const char* query = "SELECT count(*), md5(string_agg(i || t, ',' ORDER BY i)) FROM large";
    auto there = source.psql(query, database);
    ASSERT_OK(there);
    EXPECT_EQ((*restored)->psql(query, database), *there) << database;
  }
}

TEST(Situations, ARecordThatACrashCutOffAndAHigherMaxConnectionsBehindTheSnapshot) {
  auto started = small_world("max_connections = 30\n");
  ASSERT_OK(started);
  World& world = *started;
  PostgresCluster& source = *world.source;
  ASSERT_OK(source.psql("CREATE TABLE t (i int)"));
  ASSERT_OK(world.snapshot());
  ASSERT_OK(source.psql("INSERT INTO t VALUES (1)"));
  // A record over many segments; the server dies while it is written, and begins again in the middle of it.
  for (int crash = 0; crash < 3; ++crash) {
    auto before = source.psql("SELECT pg_current_wal_insert_lsn()");
    ASSERT_OK(before);
    test::Daemon writer("psql");
    ASSERT_OK(writer.start({PostgresCluster::program("psql"), "-X", "-d", source.conninfo(), "-c", "SELECT pg_logical_emit_message(false, 'long', repeat('x', 200000000))"}, world.stele->root() + "/writer.log"));
    // Log was written that no answered statement explains.
    ASSERT_OK(test::wait_for("the long record begins", 60, [&] {
      const auto ahead = source.psql(fmt::format("SELECT pg_current_wal_lsn() - '{}'::pg_lsn > 2000000", *before));
      return !writer.running() || (ahead.ok() && *ahead == "t");
    }));
    ASSERT_OK(source.kill_hard());
    writer.kill_hard();
    ASSERT_OK(source.append_config(fmt::format("max_connections = {}", 60 + crash)));
    ASSERT_OK(source.start(120));
    ASSERT_OK(source.psql(fmt::format("INSERT INTO t VALUES ({})", 2 + crash)));
    ASSERT_OK(world.stele->wait_streaming(source, false, 60));
  }
  ASSERT_OK(world.stele->wait_caught_up(source));
  auto restored = Started::by(world, {});
  ASSERT_OK(restored);
  EXPECT_EQ((*restored)->psql("SELECT string_agg(i::text, ',' ORDER BY i) FROM t"), "1,2,3,4");
}

TEST(Situations, TheTargetsActionIsDone) {
  // What the server logs, and where, does not matter.
  auto started = small_world("logging_collector = on\nlog_line_prefix = '%t '\n");
  ASSERT_OK(started);
  PostgresCluster& source = *started->source;
  ASSERT_OK(source.psql("CREATE TABLE t (i int)"));
  ASSERT_OK(started->snapshot());
  ASSERT_OK(source.psql("INSERT INTO t VALUES (1)"));
  ASSERT_OK(source.psql("SELECT pg_create_restore_point('here')"));
  ASSERT_OK(source.psql("INSERT INTO t VALUES (2)"));
  ASSERT_OK(started->stele->wait_caught_up(source));
  {
    auto paused = Started::by(*started, {"--target-name", "here", "--target-action", "pause"});
    ASSERT_OK(paused);
    EXPECT_EQ((*paused)->report["end"]["timeline"], 1) << (*paused)->report.dump(1);
    ASSERT_OK(test::wait_for("it pauses where it paused before", 60, [&] { return (*paused)->psql("SELECT pg_get_wal_replay_pause_state()") == "paused"; }));
    EXPECT_EQ((*paused)->psql("SELECT pg_is_in_recovery(), (SELECT sum(i) FROM t)"), "t|1");
    EXPECT_EQ((*paused)->psql("SELECT pg_wal_replay_resume()"), "");
    ASSERT_OK(test::wait_for("it promotes", 60, [&] { return (*paused)->psql("SELECT pg_is_in_recovery()") == "f"; }));
    EXPECT_EQ((*paused)->psql("INSERT INTO t VALUES (3)"), "INSERT 0 1");
  }
  auto stopped = Started::by(*started, {"--target-name", "here", "--target-action", "shutdown"});
  ASSERT_OK(stopped);
  auto control = test::run_checked({PostgresCluster::program("pg_controldata"), (*stopped)->directory()});
  ASSERT_OK(control);
  EXPECT_NE(control->find("shut down in recovery"), std::string::npos) << *control;
}

TEST(Situations, ATargetBetweenTwoTimelinesIsReachedOnBothSides) {
  auto started = small_world();
  ASSERT_OK(started);
  World& world = *started;
  PostgresCluster& source = *world.source;
  ASSERT_OK(source.psql("CREATE TABLE t (i int)"));
  ASSERT_OK(world.snapshot());
  ASSERT_OK(source.psql("INSERT INTO t VALUES (1)"));
  auto standby = PostgresCluster::create_empty();
  ASSERT_OK(standby);
  ASSERT_OK(source.run({"pg_basebackup", "-D", (*standby)->data_directory(), "-c", "fast", "-R", "-X", "stream"}));
  ASSERT_OK((*standby)->start());
  ASSERT_OK(source.psql("INSERT INTO t VALUES (2)"));
  ASSERT_OK(world.stele->wait_caught_up(source));
  auto end = source.psql("SELECT pg_current_wal_flush_lsn()");
  ASSERT_OK(end);
  ASSERT_OK(test::wait_for("the standby catches up", 60, [&] {
    const auto at = (*standby)->psql(fmt::format("SELECT pg_last_wal_replay_lsn() >= '{}'::pg_lsn", *end));
    return at.ok() && *at == "t";
  }));
  ASSERT_OK(world.stele->agent_process().stop());
  ASSERT_OK(source.stop());
  constexpr const char* kNow = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
  ASSERT_OK((*standby)->psql("SELECT pg_promote()"));
  auto between = (*standby)->psql(kNow);
  ASSERT_OK(between);
  auto fork = (*standby)->psql("SELECT split_part(pg_read_file('pg_wal/00000002.history'), E'\\t', 2)");
  ASSERT_OK(fork);
  ASSERT_OK(world.stele->protect(fmt::format("host={} port=5432 user=stele dbname=postgres", (*standby)->socket_directory())));
  ASSERT_OK(world.stele->start_agent());
  ASSERT_OK(world.stele->wait_streaming(**standby, false, 60));
  ASSERT_OK((*standby)->psql("INSERT INTO t VALUES (3)"));
  ASSERT_OK(world.stele->wait_caught_up(**standby));
  struct Case {
    std::vector<std::string> target;
    std::string rows;
  };
  for (const Case& c : {Case{{"--target-time", *between}, "1,2"}, Case{{"--target-lsn", *fork, "--target-exclusive"}, "1,2"}, Case{{"--target-timeline", "1"}, "1,2"}, Case{{}, "1,2,3"}}) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(c.target, " ")));
    auto restored = Started::by(world, c.target);
    ASSERT_OK(restored);
    EXPECT_EQ((*restored)->psql("SELECT string_agg(i::text, ',' ORDER BY i) FROM t"), c.rows);
  }
}

TEST(Situations, TwoRestoresFromAStoreDirectoryDoNotChooseOneTimeline) {
  auto started = small_world();
  ASSERT_OK(started);
  ASSERT_OK(started->source->psql("CREATE TABLE t (i int)"));
  ASSERT_OK(started->snapshot());
  ASSERT_OK(started->source->psql("INSERT INTO t VALUES (1)"));
  ASSERT_OK(started->stele->wait_caught_up(*started->source));
  for (const bool from_receiver : {false, true}) {
    if (from_receiver) ASSERT_OK(started->stele->restore_from_receiver());
    auto first = Started::by(*started, {});
    ASSERT_OK(first);
    auto second = Started::by(*started, {});
    ASSERT_OK(second);
    EXPECT_NE((*first)->report["end"]["timeline"], (*second)->report["end"]["timeline"]) << (from_receiver ? "receiver" : "store");
  }
}

}  // namespace
}  // namespace stele::scenario
