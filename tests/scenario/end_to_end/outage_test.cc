#include <fmt/format.h>
#include <signal.h>

#include <filesystem>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using test::PostgresCluster;

/// One snapshot at a receiver, for all tests; what happens while it is restored differs.
class Outage : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    World::Options options;
    options.members = 20'000;
    options.synchronous = false;
    auto started = World::start(std::move(options));
    ASSERT_OK(started);
    world_ = std::make_unique<World>(std::move(*started));
    ASSERT_OK(world_->snapshot());
    ASSERT_OK(world_->source->psql("CREATE TABLE word AS SELECT 'kept' AS word"));
    ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
    ASSERT_OK(world_->stele->restore_from_receiver());
    complete_ = true;
  }
  static void TearDownTestSuite() { world_.reset(); }

  void SetUp() override {
    ASSERT_TRUE(complete_);
    auto target = PostgresCluster::create_empty();
    ASSERT_OK(target);
    target_ = std::move(*target);
  }

  /// Begins a restore and freezes it where it has not asked for the first byte of a file yet.
  void begin(const std::string& more = "", const std::string& program = STELE_BINARY_DIR "/bin/stele-restore") {
    ASSERT_OK(test::write_file_text(root() + "/passphrase", "a passphrase for tests only\n"));
    ASSERT_OK(running_.start({"/bin/sh", "-c", fmt::format("exec {0} --config {1}/restore.toml run --into {2} --yes {3} --passphrase-fd 3 3<{1}/passphrase", program, root(), into(), more)}, log_file()));
    // The marker stands before the first byte of a file is asked for.
    ASSERT_OK(test::wait_for("the restore begins to write", 120, [&] { return fs::exists(into() + ".stele-incomplete") || !running_.running(); }));
    ASSERT_TRUE(running_.running()) << log();
    ASSERT_EQ(kill(running_.pid(), SIGSTOP), 0);
  }
  void go_on() { ASSERT_EQ(kill(running_.pid(), SIGCONT), 0); }
  void expect_end(int exit_code) {
    ASSERT_OK(test::wait_for("the restore ends", 180, [&] { return !running_.running(); }));
    ASSERT_EQ(running_.exit_code(), exit_code) << log();
  }
  void expect_restored() {
    EXPECT_FALSE(fs::exists(into() + ".stele-incomplete"));
    ASSERT_OK(target_->start());
    ASSERT_OK(test::wait_for("recovery ends", 120, [&] {
      const auto state = target_->psql("SELECT pg_is_in_recovery()");
      return state.ok() && *state == "f";
    }));
    auto rows = target_->psql("SELECT word FROM word");
    ASSERT_OK(rows);
    EXPECT_EQ(*rows, "kept");
  }

  static const std::string& root() { return world_->stele->root(); }
  std::string into() const { return target_->data_directory(); }
  std::string log_file() const { return target_->root_directory() + "/run.log"; }
  std::string log() const { return test::read_file_text(log_file()); }

  static inline std::unique_ptr<World> world_;
  static inline bool complete_ = false;
  std::unique_ptr<PostgresCluster> target_;
  test::Daemon running_{"stele-restore"};
};

TEST_F(Outage, ARestoreGoesOnWhenItsReceiverComesBack) {
  ASSERT_NO_FATAL_FAILURE(begin());
  world_->stele->receiver_process().kill_hard();
  go_on();
  // Another one that begins meanwhile is told to try again, and has written nothing.
  const std::string other = root() + "/other";
  auto refused = world_->stele->restore({"run", "--into", other});
  ASSERT_OK(refused);
  EXPECT_EQ(refused->exit_code, 75) << refused->err;
  EXPECT_FALSE(fs::exists(other));
  EXPECT_TRUE(running_.running()) << log();

  ASSERT_OK(world_->stele->start_receiver());
  ASSERT_NO_FATAL_FAILURE(expect_end(0));
  expect_restored();
}

TEST_F(Outage, ARestoreWhoseReceiverStaysAwayIsTemporaryAndLeavesNothingThatStarts) {
  const std::string file = root() + "/restore.toml", config = test::read_file_text(file);
  ASSERT_OK(test::write_file_text(file, "receiver_patience = \"2s\"\n" + config));
  ASSERT_NO_FATAL_FAILURE(begin("--start"));
  world_->stele->receiver_process().kill_hard();
  go_on();
  ASSERT_NO_FATAL_FAILURE(expect_end(75));
  EXPECT_NE(log().find("hint: is the receiver running"), std::string::npos) << log();
  EXPECT_NE(test::read_file_text(into() + ".stele-incomplete").find("no server starts on it"), std::string::npos);
  EXPECT_FALSE(fs::exists(into() + "/global/pg_control"));
  EXPECT_FALSE(fs::exists(into() + ".log")) << "PostgreSQL was not started";
  EXPECT_FALSE(target_->start(60).ok());
  ASSERT_OK(test::write_file_text(file, config));
  ASSERT_OK(world_->stele->start_receiver());
}

TEST_F(Outage, AnUpgradeOfTheProgramInTheMiddleChangesNothing) {
  // A package manager puts the new file beside the old one, then renames it.
  const std::string built = STELE_BINARY_DIR "/bin/stele-restore", program = target_->root_directory() + "/stele-restore";
  fs::copy_file(built, program);
  fs::copy_file(built, program + ".new");
  ASSERT_NO_FATAL_FAILURE(begin("", program));
  fs::rename(program + ".new", program);
  go_on();
  ASSERT_NO_FATAL_FAILURE(expect_end(0));
  const std::string settings = test::read_file_text(into() + "/postgresql.auto.conf");
  EXPECT_NE(settings.find(program), std::string::npos);
  EXPECT_EQ(settings.find("(deleted)"), std::string::npos);
  expect_restored();
}

}  // namespace
}  // namespace stele::scenario
