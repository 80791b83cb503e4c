#include <gmock/gmock.h>

#include <fstream>

#include "tests/scenario/drill/drill_world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class Drill : public DrillTest {};

TEST_F(Drill, RestoresChecksMeasuresReportsAndWipes) {
  begin();
  snapshot_and_catch_up();
  configure("", true);
  const Drilled done = drill();
  ASSERT_EQ(done.exit_code, 0) << done.text();
  EXPECT_TRUE(done.report["passed"].get<bool>());
  for (const char* name : {"recovery_end", "isolation", "amcheck", "counts", "page_checksums", "wiped", "assertion:02_member_has_organisation.sql", "assertion:10_age_plausible.sql"}) {
    EXPECT_EQ(done.result(name), "passed") << name << "\n" << done.text();
  }
  for (const char* phase : {"plan", "fetch", "start", "checks"}) EXPECT_GT(done.report["phase_seconds"][phase].get<double>(), 0) << phase;
  const auto& counts = done.report["counts"];
  EXPECT_EQ(counts["tolerance_percent"], 20);
  EXPECT_EQ(counts["databases"][0]["database"], "postgres");
  EXPECT_GE(counts["databases"][0]["tables"]["compared"].get<int>(), 3) << counts.dump(1);
  EXPECT_GE(counts["databases"][0]["relations"]["found"].get<int>(), 5) << counts.dump(1);
  EXPECT_TRUE(counts["deviations"].empty()) << counts.dump(1);
  EXPECT_GE(done.report["rto_seconds"].get<double>(), done.report["usable_seconds"].get<double>());
  EXPECT_GE(done.report["rpo_seconds"].get<double>(), 0);
  EXPECT_TRUE(done.report["isolation"]["own_network"].get<bool>());
  EXPECT_EQ(done.report["isolation"]["routes"], 0);
  EXPECT_EQ(done.report["isolation"]["interfaces"], "lo");
  EXPECT_TRUE(done.report["wipe"]["nothing_left"].get<bool>());
  EXPECT_EQ(done.report["wipe"]["processes_left"], 0);
  EXPECT_GT(done.report["wipe"]["files"].get<int>(), 500);
  EXPECT_EQ(done.report["keys"].size(), 1u);
  EXPECT_GE(done.report["objects"].size(), 3u);
  expect_wiped();
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "1")));
  EXPECT_THAT(metrics(), HasSubstr("stele_recovery_key_proven_timestamp_seconds{"));

  // The report is signed, and says what was printed.
  const std::string json_file = done.report["published"]["json"], html_file = done.report["published"]["html"];
  auto verified = world_->stele->restore_plain({"drill", "--verify-report", json_file});
  ASSERT_OK(verified);
  EXPECT_EQ(verified->exit_code, 0) << verified->err;
  EXPECT_THAT(verified->out, HasSubstr("test drill host"));
  EXPECT_EQ(nlohmann::json::parse(test::read_file_text(json_file))["id"], done.report["id"]);
  EXPECT_THAT(test::read_file_text(html_file), HasSubstr("灾难恢复演练报告"));
  std::ofstream(json_file, std::ios::app) << " ";
  EXPECT_EQ(world_->stele->restore_plain({"drill", "--verify-report", json_file})->exit_code, 4);

  // The receiver keeps the record, and `list` shows it.
  EXPECT_EQ(done.report["published"]["receivers"].dump(), "[\"test-receiver\"]");
  auto listed = world_->stele->restore_ok({"list", "--json"});
  ASSERT_OK(listed);
  const auto drills = nlohmann::json::parse(*listed)["databases"][0]["drills"];
  ASSERT_EQ(drills.size(), 1u);
  EXPECT_EQ(drills[0]["outcome"], "passed");
  EXPECT_EQ(drills[0]["id"], done.report["id"]);
  EXPECT_NEAR(drills[0]["rto_seconds"].get<double>(), done.report["rto_seconds"].get<double>(), 1e-3);

  // So do the receiver's status, its metrics, and the assessment.
  nlohmann::json database;
  ASSERT_OK(test::wait_for("the receiver shows the drill", 60, [&] {
    auto asked = world_->stele->receiver({"status", "--json"});
    const auto status = nlohmann::json::parse(asked.ok() ? asked->out : "", nullptr, false);
    if (!status.is_discarded() && !status["databases"].empty()) database = status["databases"][0];
    return database.is_object() && database["drill"].is_object();
  }));
  EXPECT_EQ(database["drill"]["outcome"], "passed");
  EXPECT_NEAR(database["drill"]["rto_seconds"].get<double>(), done.report["rto_seconds"].get<double>(), 1e-3);
  EXPECT_NEAR(database["drill"]["rpo_seconds"].get<double>(), done.report["rpo_seconds"].get<double>(), 1e-3);
  EXPECT_EQ(database["drill"]["rto_target_seconds"], 4 * 3600);
  EXPECT_EQ(database["drills"].size(), 1u);
  ASSERT_OK(test::wait_for("/metrics tells of it", 60, [&] { return world_->stele->receiver_metrics().find(metric("stele_receiver_drill_passed", "1")) != std::string::npos; }));
  auto screen = world_->stele->receiver({"status"});
  ASSERT_OK(screen);
  EXPECT_THAT(screen->out, HasSubstr("passed "));
  ASSERT_OK(world_->stele->receiver({"status", "--report", root() + "/assessment"}));
  EXPECT_THAT(test::read_file_text(root() + "/assessment/assessment.csv"), HasSubstr(fmt::format(",1,1,0,{},passed,", database["drill"]["finished"].get<std::string>())));
  EXPECT_THAT(test::read_file_text(root() + "/assessment/assessment.html"), HasSubstr("演练通过"));
}

TEST_F(Drill, NothingOfAHostileConfigurationTakesEffect) {
  World::Options options = default_options();
  // What the source runs itself it runs in its own network: in the copy's network there must be no trace.
  options.postgres.config = "shared_preload_libraries = 'auto_explain'\nauto_explain.log_min_duration = 0\nmax_logical_replication_workers = 4\n";
  begin(std::move(options));
  const std::string marker = world_->source->root_directory() + "/archived";
  sql(fmt::format("ALTER SYSTEM SET archive_command = 'touch {}; exit 0'", marker));
  sql("ALTER SYSTEM SET archive_mode = 'on'");
  sql("ALTER SYSTEM SET primary_conninfo = 'host=192.0.2.1 user=thief'");
  sql(fmt::format("ALTER SYSTEM SET restore_command = 'touch {}; exit 1'", marker));
  sql(fmt::format("ALTER SYSTEM SET archive_cleanup_command = 'touch {}'", marker));
  sql(fmt::format("ALTER SYSTEM SET recovery_end_command = 'touch {}'", marker));
  sql("ALTER DATABASE postgres SET session_preload_libraries = 'auto_explain'");
  ASSERT_OK(world_->source->append_config("include_if_exists '/etc/passwd'\n"));
  snapshot_and_catch_up();
  ASSERT_OK(world_->source->stop());
  fs::remove(marker);
  // Seen from inside: no library of the source is loaded, as its settings are not even known.
  assertions_ = root() + "/assertions";
  fs::create_directory(assertions_);
  ASSERT_OK(test::write_file_text(assertions_ + "/library.sql", "SELECT 1 FROM pg_settings WHERE name LIKE 'auto_explain.%' AND vartype = 'bool'"));
  configure();
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 0) << done.text();
  EXPECT_EQ(done.result("isolation"), "passed") << done.text();
  const auto& settings = done.report["isolation"]["settings"];
  EXPECT_EQ(settings["archive_mode"], "off");
  EXPECT_EQ(settings["listen_addresses"], "");
  EXPECT_EQ(settings["shared_preload_libraries"], "");
  EXPECT_EQ(settings["primary_conninfo"], "");
  EXPECT_EQ(settings["max_logical_replication_workers"], "0");
  EXPECT_FALSE(fs::exists(marker)) << "a command of the source ran";
  expect_wiped();
  // A library on the allow-list is loaded: the check can see one.
  configure("libraries = [\"auto_explain\"]");
  const Drilled allowed = drill();
  EXPECT_EQ(allowed.result("isolation"), "passed") << allowed.text();
  EXPECT_EQ(allowed.result("assertion:library.sql"), "failed") << allowed.text();
}

TEST_F(Drill, AssertionsThatCannotRunFailItWithAClearMessage) {
  begin();
  snapshot_and_catch_up();
  assertions_ = root() + "/assertions";
  fs::create_directory(assertions_);
  ASSERT_OK(test::write_file_text(assertions_ + "/1_syntax.sql", "SELEKT 1"));
  ASSERT_OK(test::write_file_text(assertions_ + "/2_header.sql", "--! expects: 1\nSELECT 1"));
  ASSERT_OK(test::write_file_text(assertions_ + "/3_value.sql", "--! expect: 7\nSELECT 6"));
  ASSERT_OK(test::write_file_text(assertions_ + "/4_data.sql", "SELECT 1 FROM registry.member WHERE name::integer = 1"));
  ASSERT_OK(test::write_file_text(assertions_ + "/5_write.sql", "WITH gone AS (DELETE FROM registry.member RETURNING 1) SELECT * FROM gone"));
  ASSERT_OK(test::write_file_text(assertions_ + "/6_good.sql", "--! expect: 500\nSELECT count(*) FROM registry.member"));
  configure();
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 1) << done.text();
  EXPECT_THAT(done.check("assertion:1_syntax.sql")["detail"].get<std::string>(), HasSubstr("syntax error"));
  EXPECT_THAT(done.check("assertion:2_header.sql")["detail"].get<std::string>(), HasSubstr("2_header.sql:1"));
  EXPECT_THAT(done.check("assertion:3_value.sql")["detail"].get<std::string>(), HasSubstr("another value than expected: 6"));
  // PostgreSQL would quote the name of a member here.
  EXPECT_EQ(done.check("assertion:4_data.sql")["detail"], "the query failed, SQLSTATE 22P02");
  EXPECT_EQ(done.result("assertion:5_write.sql"), "failed") << done.text();
  EXPECT_EQ(done.result("assertion:6_good.sql"), "passed") << done.text();
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
  expect_wiped();

  assertions_ = root() + "/nowhere";
  configure();
  const Drilled missing = drill();
  EXPECT_EQ(missing.exit_code, 1) << missing.text();
  EXPECT_EQ(missing.result("assertions"), "failed");
}

TEST_F(Drill, ADiskThatIsTooSmallIsSaidBeforeItStartsWithTheBytesNeeded) {
  begin();
  snapshot_and_catch_up();
  configure("max_bytes = \"10MiB\"");
  Drilled done = drill();
  EXPECT_EQ(done.exit_code, 1) << done.text();
  EXPECT_EQ(done.report["problem"]["code"], "disk_full");
  EXPECT_THAT(done.report["problem"]["what"].get<std::string>(), HasSubstr(" bytes)"));
  EXPECT_FALSE(done.report["passed"].get<bool>());
  EXPECT_EQ(done.report["wipe"]["files"], 0) << "nothing had been written";
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
  EXPECT_THAT(metrics(), Not(HasSubstr("stele_drill_rto_seconds{")));
  expect_wiped();
}

TEST_F(Drill, ACopyThatGrowsOverItsBoundIsEnded) {
  begin();
  snapshot_and_catch_up();
  // Both drills need the same bytes.
  ASSERT_OK(world_->stele->agent_process().stop());
  configure();
  const Drilled first = drill();
  ASSERT_EQ(first.exit_code, 0) << first.text();
  assertions_ = root() + "/assertions";
  fs::create_directory(assertions_);
  // Sorts on disk for longer and larger than the copy may be.
  ASSERT_OK(test::write_file_text(assertions_ + "/huge.sql", "SELECT g FROM (SELECT g FROM generate_series(1, 2000000000) AS g ORDER BY g DESC OFFSET 1999999999) AS s WHERE g < 0"));
  configure(fmt::format("max_bytes = \"{}\"", first.report["bytes"]["needed"].get<std::uint64_t>() + (8u << 20)));
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 1) << done.text();
  EXPECT_EQ(done.report["problem"]["code"], "disk_full") << done.text();
  EXPECT_THAT(done.report["problem"]["what"].get<std::string>(), HasSubstr("the copy took"));
  EXPECT_EQ(done.report["wipe"]["processes_left"], 0);
  expect_wiped();
}

TEST_F(Drill, RunsBesideARestoreAndRefusesASecondDrill) {
  begin();
  snapshot_and_catch_up();
  configure();
  fs::create_directories(root() + "/drill");
  const std::string passphrase = root() + "/passphrase";
  ASSERT_OK(test::write_file_text(passphrase, "a passphrase for tests only\n", 0600));
  test::Daemon restore("restore");
  ASSERT_OK(restore.start({"/bin/sh", "-c", fmt::format("exec {}/bin/stele-restore --config {}/restore.toml run --into {}/beside --passphrase-fd 0 < {}", STELE_BINARY_DIR, root(), root(), passphrase)},
                          root() + "/beside.log"));
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 0) << done.text();
  ASSERT_OK(test::wait_for("the restore ends", 120, [&] { return !restore.running(); }));
  EXPECT_EQ(restore.exit_code(), 0) << test::read_file_text(root() + "/beside.log");
  EXPECT_TRUE(fs::exists(root() + "/beside/global/pg_control"));

  // Whoever holds the lock drills; flock(1) stands for another drill.
  test::Daemon other("flock");
  ASSERT_OK(other.start({"flock", root() + "/drill/drill.lock", "sh", "-c", fmt::format("touch {}/locked; exec sleep 600", root())}, root() + "/flock.log"));
  ASSERT_OK(test::wait_for("the lock is taken", 30, [&] { return fs::exists(root() + "/locked"); }));
  const Drilled second = drill();
  EXPECT_EQ(second.exit_code, 75) << second.text();
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
}

TEST_F(Drill, AnInterruptedOneIsWipedByTheNext) {
  begin();
  snapshot_and_catch_up();
  fs::create_directories(root() + "/drill/0123456789ab/data");
  ASSERT_OK(test::write_file_text(root() + "/drill/0123456789ab/data/PG_VERSION", "15\n"));
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 0) << done.text();
  EXPECT_THAT(done.report["notes"].dump(), HasSubstr("interrupted drill had left 1 files"));
  expect_wiped();
  // What no drill made is not touched.
  fs::create_directories(root() + "/drill/important");
  const Drilled refused = drill();
  EXPECT_EQ(refused.exit_code, 2) << refused.text();
  EXPECT_TRUE(fs::exists(root() + "/drill/important"));
}

}  // namespace
}  // namespace stele::scenario
