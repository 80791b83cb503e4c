// Real base backups of a real PostgreSQL, configured, recovered and checked by restore/postgres.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/io/durable_file.h"
#include "core/pg/wal_segment.h"
#include "restore/postgres/after_start.h"
#include "restore/postgres/recovery_setup.h"
#include "restore/postgres/verify_backup.h"
#include "tests/support/postgres_cluster.h"

namespace stele::restore {
namespace {

namespace fs = std::filesystem;
using test::PostgresCluster;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

#define ASSERT_OK(expr)                                           \
  do {                                                            \
    auto&& ok_result = (expr);                                    \
    ASSERT_TRUE(ok_result.ok()) << ok_result.error().to_string(); \
  } while (false)

Instant in_seconds(int n) {
  return std::chrono::steady_clock::now() + std::chrono::seconds(n);
}

void write_text(const fs::path& path, std::string_view text, std::ios::openmode mode = std::ios::trunc) {
  std::ofstream out(path, mode | std::ios::binary);
  out << text;
  ASSERT_TRUE(out.flush());
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// What all tests restore: a base backup with row 1, and a log in which rows 2 to 6 follow.
struct Source {
  std::unique_ptr<PostgresCluster> cluster;
  std::string base, staging, script, marker;
  Timestamp after_2;  ///< a moment between the commits of rows 2 and 3
  Position after_3;
  pg::TransactionId xid_4 = 0;
  Position end;  ///< behind the commit of row 6
  std::string segment_in_the_middle;
  SourceFacts facts;
};

Source* source = nullptr;

void make_source() {
  auto made = std::make_unique<Source>();
  Source& s = *made;
  auto cluster = PostgresCluster::create(
      {.fsync = false,
       .config = "max_connections = 150\narchive_mode = on\nwal_keep_size = 1GB\nwal_level = replica\n"});
  ASSERT_OK(cluster);
  s.cluster = std::move(*cluster);
  PostgresCluster& c = *s.cluster;
  s.marker = c.root_directory() + "/archived";
  s.base = c.root_directory() + "/base";
  s.staging = c.root_directory() + "/staging it's";
  s.script = c.root_directory() + "/fetch";
  ASSERT_OK(c.append_config(fmt::format("archive_command = 'touch {}'", s.marker)));
  ASSERT_OK(c.start());
  ASSERT_OK(c.psql("CREATE TABLE t (n int); INSERT INTO t VALUES (1); ALTER SYSTEM SET work_mem = '5MB'"));
  ASSERT_OK(c.run({"pg_basebackup", "-D", s.base, "-X", "none", "-c", "fast", "--no-sync"}));
  ASSERT_OK(c.psql("INSERT INTO t VALUES (2)"));
  auto time = c.psql("SELECT pg_sleep(0.01); SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
  ASSERT_OK(time);
  s.after_2.micros = std::stoll(time->substr(time->rfind('\n') + 1));
  ASSERT_OK(c.psql("SELECT pg_sleep(0.01); INSERT INTO t VALUES (3)"));
  auto lsn = c.psql("SELECT pg_current_wal_insert_lsn()");
  ASSERT_OK(lsn);
  s.after_3 = *parse_position(*lsn);
  auto middle = c.psql("SELECT pg_walfile_name(pg_switch_wal())");
  ASSERT_OK(middle);
  auto xid = c.psql("BEGIN; INSERT INTO t VALUES (4); SELECT pg_current_xact_id(); COMMIT");
  ASSERT_OK(xid);
  s.xid_4 = static_cast<pg::TransactionId>(std::stoul(*xid));
  middle = c.psql("SELECT pg_walfile_name(pg_current_wal_lsn())");
  ASSERT_OK(middle);
  s.segment_in_the_middle = *middle;
  ASSERT_OK(c.psql(
      "SELECT pg_create_restore_point('it''s the \\ release'); INSERT INTO t VALUES (5); SELECT pg_switch_wal()"));
  // From here the log demands more of a hot standby than pg_control of the backup.
  ASSERT_OK(c.append_config("max_connections = 170"));
  ASSERT_OK(c.restart());
  ASSERT_OK(c.psql("INSERT INTO t VALUES (6)"));
  lsn = c.psql("SELECT pg_current_wal_insert_lsn()");
  ASSERT_OK(lsn);
  s.end = *parse_position(*lsn);
  ASSERT_OK(c.psql("SELECT pg_switch_wal()"));
  ASSERT_OK(c.stop());

  fs::create_directory(s.staging);
  std::string last;
  for (const auto& entry : fs::directory_iterator(c.data_directory() + "/pg_wal")) {
    std::string name = entry.path().filename();
    if (pg::classify_wal_file(name) != pg::WalFileKind::kSegment) continue;
    auto segment = pg::parse_wal_file_name(name, 16 << 20);
    ASSERT_OK(segment);
    if (pg::segment_begin(segment->number, 16 << 20) >= s.end) continue;
    fs::copy_file(entry.path(), s.staging + "/" + name);
    fs::permissions(s.staging + "/" + name, fs::perms(0644));
    last = std::max(last, name);
  }
  write_text(s.staging + "/last", last);
  // 1 only for what is provably not in the archive; anything else that is missing stops recovery.
  write_text(s.script,
             "#!/bin/sh\nif [ -f \"$1/$2\" ]; then cp \"$1/$2\" \"$3\" || exit 255; exit 0; fi\n"
             "case \"$2\" in *.history) exit 1;; esac\n[ \"$2\" \\> \"$(cat \"$1/last\")\" ] && exit 1\nexit 255\n");
  fs::permissions(s.script, fs::perms(0755));
  std::string control = read_text(s.base + "/global/pg_control");
  auto parsed = pg::parse_control_file(as_bytes(control));
  ASSERT_OK(parsed);
  s.facts.control = *parsed;
  s.facts.server_version = std::stoi(read_text(s.base + "/PG_VERSION")) * 10000;
  source = made.release();
}

class RestorePostgres : public testing::Test {
 protected:
  static void SetUpTestSuite() { make_source(); }
  static void TearDownTestSuite() {
    delete source;
    source = nullptr;
  }

  void SetUp() override {
    ASSERT_NE(source, nullptr);
    fs::remove(source->marker);
    auto place = PostgresCluster::create_empty();
    ASSERT_OK(place);
    place_ = std::move(*place);
    data_ = place_->data_directory();
    fs::copy(source->base, data_, fs::copy_options::recursive);
    fs::permissions(data_, fs::perms(0700));
    staging_ = source->staging;
    auto installation = find_installation(files_, runner_, source->facts.server_version,
                                          fs::path(PostgresCluster::program("postgres")).parent_path());
    ASSERT_OK(installation);
    installation_ = std::move(*installation);
    auto user = choose_user(geteuid() == 0 ? "postgres" : "", data_);
    ASSERT_OK(user);
    user_ = std::move(*user);
    server_options_ = {.installation = installation_,
                       .user = user_,
                       .data_directory = data_,
                       .log_file = data_ + ".log",
                       .private_directory = data_ + ".run",
                       .settings = {{"fsync", "off"}, {"shared_buffers", "16MB"}}};
  }
  void TearDown() override {
    server_.reset();
    if (HasFailure()) std::cerr << read_text(data_ + ".log") << read_text(data_ + "/postgresql.auto.conf");
  }

  Result<ConfigurationReport> set_up(RecoveryTarget target, bool inclusive = true,
                                     TargetAction action = TargetAction::kPromote) {
    RecoverySettings recovery;
    recovery.target = std::move(target);
    recovery.inclusive = inclusive;
    recovery.action = action;
    STELE_TRY(recovery.restore_command, make_restore_command({source->script, staging_}));
    STELE_TRY(auto report, configure(files_, data_, recovery, source->facts, options_, &installation_));
    STELE_CHECK(give_tree_to(user_, data_));
    return report;
  }
  Status start(int seconds = 60) {
    WaitOptions wait;
    wait.deadline = in_seconds(seconds);
    wait.on_progress = [this](const ServerState& s) { last_replayed_ = s.replayed ? s.replayed : last_replayed_; };
    STELE_TRY(server_, recover(files_, runner_, server_options_, wait));
    return {};
  }
  Result<std::string> ask(std::string_view sql) {
    STELE_TRY(auto session, server_->connect("postgres", in_seconds(20)));
    STELE_TRY(auto rows, session->query(sql, in_seconds(20)));
    return rows.single(sql);
  }
  std::string rows() {
    auto answer = ask("SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM public.t");
    return answer.ok() ? *answer : answer.error().to_string();
  }
  /// A restored server is a working one: it takes commits and archives nothing.
  void expect_usable() {
    auto written = ask("INSERT INTO public.t VALUES (100) RETURNING n");
    ASSERT_OK(written);
    ASSERT_OK(ask("SELECT pg_switch_wal()"));
    ASSERT_OK(ask("INSERT INTO public.t VALUES (101) RETURNING n"));
    auto archived = ask("SELECT archived_count + failed_count FROM pg_stat_archiver");
    ASSERT_OK(archived);
    EXPECT_EQ(*archived, "0");
    EXPECT_FALSE(fs::exists(source->marker));
  }
  void expect_recovered(RecoveryTarget target, bool inclusive, std::string_view expected_rows) {
    ASSERT_OK(set_up(target, inclusive));
    ASSERT_OK(start());
    EXPECT_EQ(rows(), expected_rows);
    ExpectedEnd end;
    end.system_identifier = source->facts.control.system_identifier;
    end.recovered_timeline = 1;
    end.target = target;
    auto state = check_after_start(*server_, end, in_seconds(20));
    ASSERT_OK(state);
    EXPECT_EQ(state->timeline, 2u);
    EXPECT_FALSE(state->in_recovery);
    end.replayed_at_least = state->replayed + 1;
    auto short_one = check_after_start(*server_, end, in_seconds(20));
    ASSERT_FALSE(short_one.ok());
    EXPECT_EQ(short_one.error().code, ErrorCode::kGap);
    expect_usable();
    ASSERT_OK(server_->stop(StopMode::kFast, std::chrono::minutes(5)));
  }
  /// Recovery must end in this error, and must not have begun a timeline.
  void expect_refused(ErrorCode code, StartProblem problem) {
    WaitOptions wait;
    wait.deadline = in_seconds(60);
    auto started = ServerProcess::start(files_, runner_, server_options_);
    ASSERT_OK(started);
    server_ = std::move(*started);
    auto done = server_->wait_recovered(wait);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, code) << done.error().to_string();
    EXPECT_FALSE(done.error().hint.empty());
    auto log = server_->log();
    ASSERT_OK(log);
    EXPECT_EQ(to_string(log->problem), to_string(problem)) << log->reason;
    EXPECT_FALSE(log->new_timeline);
    EXPECT_FALSE(fs::exists(data_ + "/pg_wal/00000002.history"));
    auto state = server_->state();
    ASSERT_OK(state);
    EXPECT_FALSE(state->running);
  }

  std::unique_ptr<PostgresCluster> place_;
  std::string data_, staging_;
  io::PosixFileSystem files_;
  PosixProcessRunner runner_;
  Installation installation_;
  OsUser user_;
  ConfigurationOptions options_;
  ServerOptions server_options_;
  std::optional<Position> last_replayed_;
  std::unique_ptr<ServerProcess> server_;
};

TEST_F(RestorePostgres, ToATime) {
  expect_recovered(RecoveryTarget::time(source->after_2), true, "1 2");
}
TEST_F(RestorePostgres, ToAPosition) {
  expect_recovered(RecoveryTarget::lsn(source->after_3), true, "1 2 3");
}
TEST_F(RestorePostgres, ToATransaction) {
  expect_recovered(RecoveryTarget::xid(source->xid_4), true, "1 2 3 4");
}
TEST_F(RestorePostgres, ToJustBeforeATransaction) {
  expect_recovered(RecoveryTarget::xid(source->xid_4), false, "1 2 3");
}
TEST_F(RestorePostgres, ToARestorePoint) {
  expect_recovered(RecoveryTarget::name("it's the \\ release"), true, "1 2 3 4");
}
TEST_F(RestorePostgres, ToTheSnapshotItself) {
  expect_recovered(RecoveryTarget::immediate(), true, "1");
}

TEST_F(RestorePostgres, ToTheEndRaisingWhatTheLogDemandsMeanwhile) {
  expect_recovered(RecoveryTarget::none(), true, "1 2 3 4 5 6");
  EXPECT_THAT(read_text(data_ + "/postgresql.auto.conf"), HasSubstr("max_connections = '170'"));
}

TEST_F(RestorePostgres, SettingsOfTheSourceReachNothing) {
  std::string outside = source->cluster->root_directory() + "/outside";
  fs::create_directories(outside);
  write_text(data_ + "/postgresql.conf",
             fmt::format("synchronous_standby_names = '*'\nprimary_conninfo = 'host=127.0.0.1 port=1 "
                         "password=geheim'\nprimary_slot_name = 's'\n"
                         "restore_command = 'touch {0}; exit 1'\narchive_cleanup_command = 'touch "
                         "{0}'\nrecovery_end_command = 'touch {0}'\nrecovery_target_xid = '3'\n"
                         "recovery_min_apply_delay = '1h'\ndata_directory = '{1}'\nhba_file = "
                         "'{1}/hba'\nexternal_pid_file = '{1}/pid'\ninclude_dir = '{1}/conf.d'\n"
                         "listen_addresses = '192.0.2.1'\nssl = on\nssl_cert_file = '/nowhere/cert.pem'\nlog_directory "
                         "= '{1}'\nlogging_collector = on\nlc_messages = 'nonsense'\n",
                         source->marker, outside),
             std::ios::app);
  write_text(data_ + "/standby.signal", "");
  auto report = set_up(RecoveryTarget::lsn(source->after_3));
  ASSERT_OK(report);
  for (const char* name :
       {"synchronous_standby_names", "primary_conninfo", "primary_slot_name", "restore_command", "archive_command",
        "archive_mode", "recovery_target_xid", "data_directory", "hba_file", "external_pid_file", "include_dir", "ssl",
        "log_directory", "lc_messages", "listen_addresses"}) {
    EXPECT_THAT(report->neutralised, Contains(Field(&Neutralised::name, name)));
  }
  for (const auto& n : report->neutralised) EXPECT_THAT(n.source_value, Not(HasSubstr("geheim")));
  ASSERT_OK(start());
  EXPECT_EQ(rows(), "1 2 3");
  EXPECT_EQ(*ask("SHOW synchronous_standby_names"), "");
  EXPECT_EQ(*ask("SHOW archive_mode"), "off");
  EXPECT_EQ(*ask("SHOW work_mem"), "5MB");
  EXPECT_EQ(*ask("SHOW data_directory"), data_);
  EXPECT_EQ(*ask("SHOW restore_command"), *make_restore_command({source->script, staging_}));
  // Those two are on the command line of a private start.
  EXPECT_EQ(
      *ask("SELECT coalesce(string_agg(name || ': ' || error, '; '), '') FROM pg_file_settings WHERE error IS NOT NULL "
           "AND name NOT IN ('logging_collector', 'listen_addresses')"),
      "");
  expect_usable();
  EXPECT_TRUE(fs::is_empty(outside));
}

TEST_F(RestorePostgres, ConfigurationThatStayedOutsideIsMade) {
  for (const char* name : {"postgresql.conf", "pg_hba.conf", "pg_ident.conf"}) fs::remove(data_ + "/" + name);
  options_.unix_socket_directories = place_->root_directory();
  options_.listen_addresses = "";
  auto report = set_up(RecoveryTarget::lsn(source->after_3));
  ASSERT_OK(report);
  EXPECT_THAT(report->made_files, testing::SizeIs(3));
  ASSERT_OK(start());
  EXPECT_EQ(rows(), "1 2 3");
  EXPECT_EQ(*ask("SHOW max_connections"), "150");
  expect_usable();
  ASSERT_OK(server_->stop(StopMode::kFast, std::chrono::minutes(5)));

  // And as an operator starts it: by its own files, local users only, and it outlives the program that started it.
  server_options_.private_directory.clear();
  server_options_.detached = true;
  ASSERT_OK(start());
  struct StopAtEnd {
    pid_t pid;
    ~StopAtEnd() {
      kill(pid, SIGQUIT);
      waitpid(pid, nullptr, 0);
    }
  } stop_at_end{server_->pid()};
  auto state = server_->state();
  ASSERT_OK(state);
  EXPECT_TRUE(state->accepting);
  server_.reset();
  auto as_server_user = runner_.run({.argv = {PostgresCluster::program("psql"), "-XAt", "-h", place_->root_directory(),
                                              "-U", "postgres", "-c", "SELECT count(*) FROM t", "postgres"},
                                     .user = user_},
                                    std::chrono::seconds(20));
  ASSERT_OK(as_server_user);
  if (user_.change) {
    EXPECT_EQ(as_server_user->out, "5\n") << as_server_user->err;
  }
}

TEST_F(RestorePostgres, APauseStaysReadOnlyAtItsTarget) {
  ASSERT_OK(set_up(RecoveryTarget::lsn(source->after_3), true, TargetAction::kPause));
  ASSERT_OK(start());
  auto state = server_->state();
  ASSERT_OK(state);
  EXPECT_TRUE(state->paused);
  EXPECT_TRUE(state->hot_standby);
  EXPECT_FALSE(state->accepting);
  ASSERT_TRUE(state->replayed);
  EXPECT_GE(*state->replayed, source->after_3);
  EXPECT_EQ(rows(), "1 2 3");
  EXPECT_FALSE(ask("INSERT INTO public.t VALUES (9) RETURNING n").ok());
  ExpectedEnd end;
  end.target = RecoveryTarget::lsn(source->after_3);
  end.paused = true;
  end.replayed_at_least = source->after_3;
  ASSERT_OK(check_after_start(*server_, end, in_seconds(20)));
  end.paused = false;
  EXPECT_FALSE(check_after_start(*server_, end, in_seconds(20)).ok());
}

TEST_F(RestorePostgres, ADatabaseNamedPostgresIsNotNeeded) {
  ASSERT_OK(set_up(RecoveryTarget::immediate(), true));
  ASSERT_OK(start());
  ASSERT_OK(ask("UPDATE pg_database SET datallowconn = false WHERE datname = 'postgres' RETURNING datname"));
  ExpectedEnd end;
  end.target = RecoveryTarget::immediate();
  auto state = check_after_start(*server_, end, in_seconds(20));
  ASSERT_OK(state);
  EXPECT_FALSE(state->in_recovery);
}

TEST_F(RestorePostgres, AHoleInTheLogIsAnErrorAndNoPromotion) {
  staging_ = place_->root_directory() + "/holey";
  fs::copy(source->staging, staging_, fs::copy_options::recursive);
  fs::remove(staging_ + "/" + source->segment_in_the_middle);
  ASSERT_OK(set_up(RecoveryTarget::none()));
  expect_refused(ErrorCode::kGap, StartProblem::kMissingWal);
}

TEST_F(RestorePostgres, ATargetBehindTheEndIsAnErrorAndNoPromotion) {
  write_text(data_ + "/postgresql.conf", "max_connections = 200\n", std::ios::app);
  ASSERT_OK(set_up(RecoveryTarget::lsn(source->end + (64 << 20))));
  expect_refused(ErrorCode::kGap, StartProblem::kTargetNotReached);
}

TEST_F(RestorePostgres, AShortLogEndsInAGapEvenWithoutATarget) {
  // A restore_command that answers 1 too early: PostgreSQL promotes, the check finds it.
  staging_ = place_->root_directory() + "/short";
  fs::copy(source->staging, staging_, fs::copy_options::recursive);
  std::string last;
  for (const auto& entry : fs::directory_iterator(staging_)) {
    std::string name = entry.path().filename();
    if (name == "last") continue;
    if (name >= source->segment_in_the_middle)
      fs::remove(entry.path());
    else
      last = std::max(last, name);
  }
  write_text(staging_ + "/last", last);
  ASSERT_OK(set_up(RecoveryTarget::none()));
  ASSERT_OK(start());
  ExpectedEnd end;
  end.replayed_at_least = source->end;
  auto state = check_after_start(*server_, end, in_seconds(20));
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().code, ErrorCode::kGap);
}

TEST_F(RestorePostgres, AMissingPreloadLibraryIsNamed) {
  write_text(data_ + "/postgresql.conf", "shared_preload_libraries = 'stele_no_such_library'\n", std::ios::app);
  auto report = set_up(RecoveryTarget::immediate());
  ASSERT_OK(report);
  EXPECT_EQ(report->missing_libraries, std::vector<std::string>{"stele_no_such_library"});
  expect_refused(ErrorCode::kDatabase, StartProblem::kMissingLibrary);
  options_.drop_missing_libraries = true;
  ASSERT_OK(set_up(RecoveryTarget::immediate()));
  ASSERT_OK(start());
  EXPECT_EQ(rows(), "1");
}

TEST_F(RestorePostgres, AClosedDirectoryAboveIsNamedBeforeAnythingIsWritten) {
  const std::string closed = place_->root_directory() + "/closed";
  fs::create_directory(closed);
  fs::permissions(closed, fs::perms(0700));
  const Status within = check_can_reach(runner_, user_, closed + "/new/data");
  // Only root places a server of another user.
  ASSERT_EQ(within.ok(), !user_.change);
  if (!within.ok()) EXPECT_THAT(within.error().to_string(), HasSubstr("chmod o+x " + closed + ","));
  ASSERT_OK(check_can_reach(runner_, user_, place_->root_directory() + "/new/data"));
}

TEST_F(RestorePostgres, ATakenSocketIsNamed) {
  ASSERT_OK(set_up(RecoveryTarget::immediate()));
  ASSERT_OK(start());
  ServerOptions second = server_options_;
  second.data_directory = place_->root_directory() + "/second";
  second.log_file = second.data_directory + ".log";
  fs::copy(source->base, second.data_directory, fs::copy_options::recursive);
  fs::permissions(second.data_directory, fs::perms(0700));
  RecoverySettings recovery;
  recovery.restore_command = *make_restore_command({source->script, staging_});
  recovery.target = RecoveryTarget::immediate();
  ASSERT_OK(configure(files_, second.data_directory, recovery, source->facts, options_, &installation_));
  ASSERT_OK(give_tree_to(user_, second.data_directory));
  auto server = ServerProcess::start(files_, runner_, second);
  ASSERT_OK(server);
  WaitOptions wait;
  wait.deadline = in_seconds(30);
  EXPECT_FALSE((*server)->wait_recovered(wait).ok());
  auto log = (*server)->log();
  ASSERT_OK(log);
  EXPECT_EQ(to_string(log->problem), "port_busy") << log->reason;
  EXPECT_EQ(rows(), "1");
}

TEST_F(RestorePostgres, AStopIsObeyedWhileRecovering) {
  staging_ = place_->root_directory() + "/slow";
  fs::create_directory(staging_);
  write_text(staging_ + "/wait", "#!/bin/sh\nsleep 60\nexit 255\n");
  fs::permissions(staging_ + "/wait", fs::perms(0755));
  RecoverySettings recovery;
  recovery.restore_command = *make_restore_command({staging_ + "/wait"});
  ASSERT_OK(configure(files_, data_, recovery, source->facts, options_, &installation_));
  ASSERT_OK(give_tree_to(user_, data_));
  auto server = ServerProcess::start(files_, runner_, server_options_);
  ASSERT_OK(server);
  std::atomic<bool> cancelled{true};
  WaitOptions wait;
  wait.cancelled = &cancelled;
  auto done = (*server)->wait_recovered(wait);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kCancelled);
  ASSERT_OK((*server)->stop(StopMode::kImmediate, std::chrono::seconds(20)));
}

TEST_F(RestorePostgres, VerificationComesBeforeConfiguration) {
  ASSERT_OK(give_tree_to(user_, data_));
  auto clean = verify_backup(files_, runner_, installation_, user_, data_, std::chrono::seconds(60));
  ASSERT_OK(clean);
  EXPECT_EQ(*clean, VerifyOutcome::kVerified);
  std::fstream file(data_ + "/base/1/1259", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(100);
  file.put('\x7F');
  file.close();
  auto rotten = verify_backup(files_, runner_, installation_, user_, data_, std::chrono::seconds(60));
  ASSERT_FALSE(rotten.ok());
  EXPECT_EQ(rotten.error().code, ErrorCode::kDamaged);
  EXPECT_THAT(rotten.error().what, HasSubstr("base/1/1259"));
  fs::remove(data_ + "/backup_manifest");
  EXPECT_EQ(*verify_backup(files_, runner_, installation_, user_, data_, std::chrono::seconds(60)),
            VerifyOutcome::kNoManifest);
}

}  // namespace
}  // namespace stele::restore
