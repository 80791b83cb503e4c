// Drills that meet trouble: signals, receivers that go away, wrong keys, full disks, a user who is not root. Each ends by itself, wiped, and
// is told as what it is.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/statvfs.h>

#include "tests/scenario/drill/drill_world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class DrillTrouble : public DrillTest {
 protected:
  std::string program() const { return fmt::format("exec {}/bin/stele-restore --config {}/restore.toml drill --json --passphrase-fd 3 3<{}/passphrase", STELE_BINARY_DIR, root(), root()); }

  /// A drill that runs beside the test; `before`: shell commands in its own mount namespace.
  void start(test::Daemon& running, const std::string& before = "") {
    ASSERT_OK(test::write_file_text(root() + "/passphrase", "a passphrase for tests only\n"));
    fs::remove(root() + "/drill.json");
    const std::string line = fmt::format("{}{} >{}/drill.json", before, program(), root());
    std::vector<std::string> argv = {"/bin/sh", "-ec", line};
    if (!before.empty()) argv.insert(argv.begin(), {"unshare", "--mount", "--propagation", "private"});
    ASSERT_OK(running.start(argv, root() + "/drill.err"));
  }
  Drilled end_of(test::Daemon& running) {
    EXPECT_OK(test::wait_for("the drill ends", 180, [&] { return !running.running(); }));
    return {running.exit_code(), nlohmann::json::parse(test::read_file_text(root() + "/drill.json"), nullptr, false), test::read_file_text(root() + "/drill.err")};
  }
  /// Directory of the copy, seen from the program's mount namespace; "" while there is none.
  std::string copy_of(const test::Daemon& running) const {
    std::error_code ec;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/root{}/drill", running.pid(), root()), ec)) {
      if (entry.path().filename() != "drill.lock") return entry.path();
    }
    return "";
  }
  void wait_until(test::Daemon& running, const std::string& file) {
    ASSERT_OK(test::wait_for(file, 180, [&] {
      const std::string copy = copy_of(running);
      return (!copy.empty() && fs::exists(copy + "/" + file)) || !running.running();
    }));
    ASSERT_TRUE(running.running()) << end_of(running).text();
  }
  /// An assertion that holds a drill in the middle of its checks.
  void hold_with_an_assertion() {
    assertions_ = root() + "/assertions";
    fs::create_directory(assertions_);
    ASSERT_OK(test::write_file_text(assertions_ + "/wait.sql", "SELECT 1 FROM pg_sleep(3600)"));
  }
  void expect_failed_and_gone(const Drilled& done) {
    EXPECT_FALSE(done.report["passed"].get<bool>()) << done.text();
    EXPECT_TRUE(done.report["wipe"]["nothing_left"].get<bool>()) << done.text();
    EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
    expect_wiped();
    auto left = test::run_process({"pgrep", "-f", root() + "/drill/"});
    ASSERT_OK(left);
    EXPECT_EQ(left->out, "") << "a process of the copy is left";
  }
};

TEST_F(DrillTrouble, ASignalEndsItWipedAndItIsToldAsAFailure) {
  ASSERT_NO_FATAL_FAILURE(begin());
  ASSERT_NO_FATAL_FAILURE(snapshot_and_catch_up());
  hold_with_an_assertion();
  configure("", true);
  for (const auto& [number, moment] : {std::pair(SIGTERM, "pg_amcheck.log"), std::pair(SIGHUP, "data.stele-incomplete")}) {
    SCOPED_TRACE(moment);
    test::Daemon running("drill");
    start(running);
    wait_until(running, moment);
    ASSERT_EQ(kill(running.pid(), number), 0);
    const Drilled done = end_of(running);
    EXPECT_EQ(done.exit_code, 75) << done.text();
    EXPECT_EQ(done.report["problem"]["code"], "cancelled") << done.text();
    EXPECT_EQ(done.result("wiped"), "passed") << done.text();
    EXPECT_GT(done.report["wipe"]["files"].get<int>(), 0);
    expect_failed_and_gone(done);
  }
  // The receivers keep it, without a word about the database.
  auto listed = world_->stele->restore_ok({"list", "--json"});
  ASSERT_OK(listed);
  const auto drills = nlohmann::json::parse(*listed)["databases"][0]["drills"];
  ASSERT_EQ(drills.size(), 2u);
  for (const auto& drill : drills) {
    EXPECT_EQ(drill["outcome"], "did_not_run");
    EXPECT_THAT(drill["note"].get<std::string>(), HasSubstr("did not run: cancelled"));
  }
}

TEST_F(DrillTrouble, AReceiverThatGoesAwayIsWaitedForWhileThePatienceLasts) {
  World::Options options = default_options();
  options.members = 20'000;
  ASSERT_NO_FATAL_FAILURE(begin(std::move(options)));
  ASSERT_NO_FATAL_FAILURE(snapshot_and_catch_up());
  configure("", true);
  test::Daemon running("drill");
  start(running);
  // Before the first byte of a file is asked for.
  wait_until(running, "data.stele-incomplete");
  ASSERT_EQ(kill(running.pid(), SIGSTOP), 0);
  world_->stele->receiver_process().kill_hard();
  ASSERT_EQ(kill(running.pid(), SIGCONT), 0);

  ASSERT_OK(world_->stele->start_receiver());
  const Drilled resumed = end_of(running);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.text();
  EXPECT_EQ(resumed.result("recovery_end"), "passed") << resumed.text();
  expect_wiped();

  // A receiver that stays away: the drill has waited long enough, or a signal says so.
  const std::string file = root() + "/restore.toml", config = test::read_file_text(file);
  for (const bool by_signal : {false, true}) {
    SCOPED_TRACE(by_signal);
    ASSERT_OK(test::write_file_text(file, fmt::format("receiver_patience = \"{}\"\n{}", by_signal ? "24h" : "2s", config)));
    test::Daemon left_alone("drill");
    start(left_alone);
    wait_until(left_alone, "data.stele-incomplete");
    ASSERT_EQ(kill(left_alone.pid(), SIGSTOP), 0);
    world_->stele->receiver_process().kill_hard();
    if (by_signal) ASSERT_EQ(kill(left_alone.pid(), SIGTERM), 0);
    ASSERT_EQ(kill(left_alone.pid(), SIGCONT), 0);
    const Drilled ended = end_of(left_alone);
    EXPECT_EQ(ended.exit_code, 75) << ended.text();
    EXPECT_EQ(ended.report["problem"]["code"], by_signal ? "cancelled" : "temporary") << ended.text();
    expect_failed_and_gone(ended);
    ASSERT_OK(world_->stele->start_receiver());
  }

  world_->stele->receiver_process().kill_hard();
  const Drilled away = drill();
  EXPECT_EQ(away.exit_code, 75) << away.text();
  EXPECT_FALSE(away.report["published"]["problems"].empty()) << "no receiver could keep the record";
  expect_failed_and_gone(away);
}

TEST_F(DrillTrouble, KeysThatDoNotOpenTheStoreOrAreMissingEndItWith5) {
  ASSERT_NO_FATAL_FAILURE(begin());
  ASSERT_NO_FATAL_FAILURE(snapshot_and_catch_up());
  ASSERT_OK(world_->stele->restore_ok({"keygen", "--directory", root() + "/strangers"}));
  const std::string file = root() + "/restore.toml", good = test::read_file_text(file);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    ASSERT_OK(test::write_file_text(file, text));
  };
  with("keys/recovery.key", "strangers/recovery.key");
  const Drilled wrong = drill();
  EXPECT_EQ(wrong.exit_code, 5) << wrong.text();
  EXPECT_EQ(wrong.report["wipe"]["files"], 0);
  expect_failed_and_gone(wrong);
  with("keys/restore-host.key", "keys/nowhere.key");
  const Drilled unsigned_one = drill();
  EXPECT_EQ(unsigned_one.exit_code, 5) << unsigned_one.text();
  EXPECT_THAT(unsigned_one.report["problem"]["hint"].get<std::string>(), HasSubstr("keygen --restore-host"));
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
  // A good drill whose evidence cannot be kept is no success either.
  with("/textfile\"", "/no-such-directory\"");
  const Drilled untold = drill();
  EXPECT_EQ(untold.exit_code, 1) << untold.text();
  EXPECT_TRUE(untold.report["passed"].get<bool>()) << untold.text();
  EXPECT_EQ(untold.report["published"]["problems"].size(), 1u) << untold.text();
}

TEST_F(DrillTrouble, ASnapshotWithoutCountsIsSaidToHaveNone) {
  ASSERT_NO_FATAL_FAILURE(begin());
  // A source that lets the agent into no database whose tables would be counted, and nobody else either.
  sql("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC");
  ASSERT_OK(world_->stele->agent_process().stop());
  ASSERT_OK(world_->stele->protect(fmt::format("host={} port={} user=stele dbname=template1", world_->source->socket_directory(), world_->source->port())));
  ASSERT_OK(world_->stele->start_agent());
  ASSERT_OK(world_->stele->wait_streaming(*world_->source, false));
  auto taken = world_->snapshot();
  ASSERT_OK(taken);
  ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 0) << done.text();
  EXPECT_EQ(done.result("counts"), "skipped") << done.text();
  EXPECT_THAT(done.check("counts")["detail"].get<std::string>(), HasSubstr("not sealed"));
  EXPECT_FALSE(done.report["counts"]["sealed"].get<bool>());
  EXPECT_EQ(done.result("assertion:01_registry_has_members.sql"), "passed") << "the reader is let in: " << done.text();
  EXPECT_THAT(test::read_file_text(root() + "/agent.log"), HasSubstr("are not sealed"));
}

TEST_F(DrillTrouble, AFullDiskIsSaidBeforeItStartsAndWhenItFillsInTheMiddle) {
  ASSERT_NO_FATAL_FAILURE(begin());
  ASSERT_NO_FATAL_FAILURE(snapshot_and_catch_up());
  hold_with_an_assertion();
  configure();
  fs::create_directories(root() + "/drill");
  const auto disk = [&](const std::string& options) { return fmt::format("mount -t tmpfs -o {} none {}/drill; ", options, root()); };
  {
    test::Daemon running("drill");
    start(running, disk("size=100m"));
    const Drilled done = end_of(running);
    EXPECT_EQ(done.exit_code, 1) << done.text();
    EXPECT_EQ(done.report["problem"]["code"], "disk_full") << done.text();
    EXPECT_THAT(done.report["problem"]["what"].get<std::string>(), testing::ContainsRegex("free \\([0-9]+ bytes\\), the restore needs .* \\([0-9]+ bytes\\)"));
    EXPECT_EQ(done.report["wipe"]["files"], 0) << "nothing had been written";
    expect_failed_and_gone(done);
  }
  {
    // Bytes enough, but no more than 300 files: the kernel refuses in the middle of writing.
    test::Daemon running("drill");
    start(running, disk("size=4g,nr_inodes=300"));
    const Drilled done = end_of(running);
    EXPECT_EQ(done.exit_code, 1) << done.text();
    EXPECT_EQ(done.report["problem"]["code"], "disk_full") << done.text();
    EXPECT_GT(done.report["wipe"]["files"].get<int>(), 100) << done.text();
    expect_failed_and_gone(done);
  }
  {
    // Somebody else fills it while the copy is checked.
    test::Daemon running("drill");
    start(running, disk("size=4g"));
    wait_until(running, "pg_amcheck.log");
    struct statvfs room {};
    ASSERT_EQ(statvfs(copy_of(running).c_str(), &room), 0);
    const std::uint64_t used = std::uint64_t{room.f_blocks - room.f_bfree} * room.f_frsize;
    ASSERT_OK(test::run_checked({"nsenter", "--target", std::to_string(running.pid()), "--mount", "mount", "-o", fmt::format("remount,size={}", used + (48u << 20)), root() + "/drill"}));
    const Drilled done = end_of(running);
    EXPECT_EQ(done.exit_code, 1) << done.text();
    EXPECT_EQ(done.report["problem"]["code"], "disk_full") << done.text();
    EXPECT_THAT(done.report["problem"]["what"].get<std::string>(), HasSubstr("are free on the disk"));
    EXPECT_EQ(done.report["wipe"]["processes_left"], 0);
    expect_failed_and_gone(done);
  }
}

TEST_F(DrillTrouble, AnOrdinaryUserIsIsolatedTooOrNothingIsStarted) {
  ASSERT_NO_FATAL_FAILURE(begin());
  ASSERT_NO_FATAL_FAILURE(snapshot_and_catch_up());
  ASSERT_OK(world_->stele->agent_process().stop());
  ASSERT_OK(world_->stele->receiver_process().stop());
  ASSERT_OK(test::run_checked({"chown", "-R", "postgres:postgres", root()}));
  auto allowed = test::run_process({"unshare", "--user", "--net", "true"}, {.as_database_user = true});
  ASSERT_OK(allowed);
  auto ran = test::run_process({STELE_BINARY_DIR "/bin/stele-restore", "--config", root() + "/restore.toml", "drill", "--json", "--passphrase-fd", "0"},
                               {.input = "a passphrase for tests only\n", .as_database_user = true});
  ASSERT_OK(ran);
  const Drilled done{ran->exit_code, nlohmann::json::parse(ran->out, nullptr, false), ran->err};
  if (allowed->exit_code == 0) {
    EXPECT_EQ(done.exit_code, 0) << done.text();
    const auto& proof = done.report["isolation"];
    EXPECT_TRUE(proof["own_network"].get<bool>()) << done.text();
    EXPECT_EQ(proof["interfaces"], "lo");
    EXPECT_EQ(proof["routes"], 0);
    EXPECT_EQ(proof["user"], "postgres");
    EXPECT_EQ(done.report["wipe"]["processes_left"], 0) << done.text();
    expect_wiped();
  } else {
    EXPECT_EQ(done.exit_code, 5) << done.text();
    EXPECT_THAT(done.report["problem"]["what"].get<std::string>(), HasSubstr("this host does not allow it"));
    EXPECT_EQ(done.report["wipe"]["files"], 0) << "nothing had been written";
    expect_failed_and_gone(done);
  }
}

}  // namespace
}  // namespace stele::scenario
