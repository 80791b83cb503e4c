#include "restore/postgres/recovery_log.h"

#include <gtest/gtest.h>

namespace stele::restore {
namespace {

std::string line(int pid, std::string_view text) {
  return "2026-11-23 15:33:45.123 UTC [" + std::to_string(pid) + "] " + std::string(text) + "\n";
}

TEST(RecoveryLog, ReadsTheMilestonesOfARecovery) {
  auto log = read_recovery_log(
      line(100, "LOG:  starting PostgreSQL 15.20 on x86_64-pc-linux-gnu") +
      line(103, "LOG:  starting point-in-time recovery to 2026-11-23 15:33:45+00") +
      line(103, "LOG:  redo starts at 0/2000028") + line(103, "LOG:  consistent recovery state reached at 0/2000100") +
      line(100, "LOG:  database system is ready to accept read-only connections") +
      line(103, "LOG:  recovery stopping before commit of transaction 742, time 2026-11-23 15:33:46.1+00") +
      line(103, "LOG:  redo done at 1A/3000060 system usage: CPU: user: 0.00 s") +
      line(103, "LOG:  last completed transaction was at log time 2026-11-23 15:33:44.5+00") +
      line(103, "LOG:  selected new timeline ID: 3") + line(103, "LOG:  archive recovery complete") +
      line(100, "LOG:  database system is ready to accept connections"));
  EXPECT_EQ(log.redo_start, Position{0x2000028});
  EXPECT_EQ(log.consistent_at, Position{0x2000100});
  EXPECT_EQ(log.redo_done, Position{0x1A03000060});
  EXPECT_TRUE(log.target_reached);
  EXPECT_EQ(log.stopping, "recovery stopping before commit of transaction 742, time 2026-11-23 15:33:46.1+00");
  EXPECT_EQ(log.last_transaction_time, "2026-11-23 15:33:44.5+00");
  EXPECT_EQ(log.new_timeline, 3u);
  EXPECT_TRUE(log.archive_recovery_complete && log.ready && log.ready_read_only);
  EXPECT_EQ(log.problem, StartProblem::kNone);
}

/// The log of a start whose startup process ended with this line.
RecoveryLog failed(std::string_view fatal, std::string_view detail = "") {
  std::string text = line(100, "LOG:  starting PostgreSQL 15.20") + line(103, fatal);
  if (!detail.empty()) text += line(103, detail);
  return read_recovery_log(text + line(100, "LOG:  startup process (PID 103) exited with exit code 1") +
                           line(100, "LOG:  database system is shut down"));
}

TEST(RecoveryLog, NamesWhyRecoveryEnded) {
  EXPECT_EQ(failed("FATAL:  recovery ended before configured recovery target was reached").problem,
            StartProblem::kTargetNotReached);
  EXPECT_EQ(failed("FATAL:  could not restore file \"000000010000000000000004\" from archive: child process exited "
                   "with exit code 255")
                .problem,
            StartProblem::kMissingWal);
  EXPECT_EQ(failed("FATAL:  WAL ends before end of online backup").problem, StartProblem::kMissingWal);
  EXPECT_EQ(failed("FATAL:  requested timeline 2 is not a child of this server's history").problem,
            StartProblem::kMissingWal);
  EXPECT_EQ(failed("FATAL:  could not open directory \"pg_tblspc/16384/PG_15\": No such file or directory tablespace")
                .problem,
            StartProblem::kTablespace);
  EXPECT_EQ(failed("PANIC:  invalid memory alloc in redo").problem, StartProblem::kDamagedFiles);
  EXPECT_EQ(failed("FATAL:  could not write to file \"pg_wal/x\": No space left on device").problem,
            StartProblem::kDiskFull);
  EXPECT_EQ(
      read_recovery_log(line(100, "FATAL:  could not access file \"timescaledb\": No such file or directory")).problem,
      StartProblem::kMissingLibrary);
  EXPECT_EQ(read_recovery_log(line(100, "FATAL:  lock file \"postmaster.pid\" already exists")).problem,
            StartProblem::kDirectoryInUse);
  EXPECT_EQ(read_recovery_log(line(100, "FATAL:  data directory \"/x\" has invalid permissions")).problem,
            StartProblem::kPermission);
  EXPECT_EQ(read_recovery_log(line(100, "FATAL:  database files are incompatible with server")).problem,
            StartProblem::kWrongVersion);
  EXPECT_EQ(
      read_recovery_log(line(100, "FATAL:  could not map anonymous shared memory: Cannot allocate memory")).problem,
      StartProblem::kMemory);
}

TEST(RecoveryLog, SaysWhichSettingIsTooLow) {
  auto log =
      failed("FATAL:  recovery aborted because of insufficient parameter settings",
             "DETAIL:  max_connections = 50 is a lower setting than on the primary server, where its value was 300.");
  EXPECT_EQ(log.problem, StartProblem::kSettingTooLow);
  ASSERT_TRUE(log.needed_setting);
  EXPECT_EQ(*log.needed_setting, (Setting{"max_connections", "300"}));
  EXPECT_NE(start_error(log, "/d", "/d.log").hint.find("300"), std::string::npos);
}

TEST(RecoveryLog, SeesAPauseBecauseOfASettingAsAProblem) {
  auto log = read_recovery_log(
      line(100, "LOG:  starting PostgreSQL") +
      line(103, "WARNING:  hot standby is not possible because of insufficient parameter settings") +
      line(103,
           "DETAIL:  max_worker_processes = 8 is a lower setting than on the primary server, where its value was 20.") +
      line(103, "LOG:  recovery has paused"));
  EXPECT_TRUE(log.paused_for_setting);
  EXPECT_EQ(log.problem, StartProblem::kSettingTooLow);
  ASSERT_TRUE(log.needed_setting);
  EXPECT_EQ(log.needed_setting->name, "max_worker_processes");
}

TEST(RecoveryLog, IgnoresWhatClientsCause) {
  auto log = read_recovery_log(line(100, "LOG:  starting PostgreSQL") +
                               line(140, "FATAL:  the database system is starting up") +
                               line(141, "FATAL:  role \"postgres\" does not exist") +
                               line(100, "LOG:  database system is ready to accept connections"));
  EXPECT_EQ(log.problem, StartProblem::kNone);
  EXPECT_TRUE(log.ready);
}

TEST(RecoveryLog, ABusyPortIsToldWithItsAddress) {
  auto log = read_recovery_log(line(100, "LOG:  starting PostgreSQL") +
                               line(100, "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use") +
                               line(100, "HINT:  Is another postmaster already running on port 5432?") +
                               line(100, "FATAL:  could not create any TCP/IP sockets"));
  EXPECT_EQ(log.problem, StartProblem::kPortBusy);
  EXPECT_NE(log.reason.find("127.0.0.1"), std::string::npos);
}

TEST(RecoveryLog, ForgedLinesInContinuationsDoNotCount) {
  auto log = read_recovery_log(line(100, "LOG:  starting PostgreSQL") + line(103, "LOG:  statement: SELECT 1") + "\t" +
                               line(100, "PANIC:  all is lost") + "garbage [x] FATAL:  y\n[100] \n" +
                               line(100, "LOG:  database system is ready to accept connections"));
  EXPECT_EQ(log.problem, StartProblem::kNone);
  EXPECT_TRUE(log.ready);
}

TEST(RecoveryLog, AKilledStartupProcessIsNamed) {
  auto log = read_recovery_log(line(100, "LOG:  starting PostgreSQL") +
                               line(100, "LOG:  startup process (PID 103) was terminated by signal 9: Killed"));
  EXPECT_EQ(log.problem, StartProblem::kKilled);
}

TEST(RecoveryLog, TakesAnyBytesWithoutHarm) {
  std::string text = line(100, "LOG:  redo starts at 0/2000028") + std::string(5'000'000, 'x') + "\n\t\n" +
                     line(100, "FATAL:  ") + "postgres: \n" + std::string(3, '\0');
  EXPECT_EQ(read_recovery_log(text).problem, StartProblem::kOther);
  EXPECT_EQ(read_recovery_log("").problem, StartProblem::kNone);
}

}  // namespace
}  // namespace stele::restore
