#include <fmt/format.h>
#include <signal.h>

#include <filesystem>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;

TEST(Outage, ARestoreGoesOnWhenItsReceiverComesBackAndIsTemporaryWhileItIsAway) {
  World::Options options;
  options.members = 20'000;
  options.synchronous = false;
  auto started = World::start(std::move(options));
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.snapshot());
  ASSERT_OK(world.source->psql("CREATE TABLE word AS SELECT 'kept' AS word"));
  ASSERT_OK(world.stele->wait_caught_up(*world.source));
  ASSERT_OK(world.stele->restore_from_receiver());
  auto target = test::PostgresCluster::create_empty();
  ASSERT_OK(target);
  const std::string into = (*target)->data_directory(), words = world.stele->root() + "/passphrase";
  ASSERT_OK(test::write_file_text(words, "a passphrase for tests only\n"));

  test::Daemon running("stele-restore");
  ASSERT_OK(running.start({"/bin/sh", "-c", fmt::format("exec {}/bin/stele-restore --config {}/restore.toml run --into {} --passphrase-fd 3 3<{}", STELE_BINARY_DIR, world.stele->root(), into, words)},
                          world.stele->root() + "/run.log"));
  // The marker stands before the first byte of a file is asked for.
  ASSERT_OK(test::wait_for("the restore begins to write", 120, [&] { return fs::exists(into + ".stele-incomplete") || !running.running(); }));
  ASSERT_TRUE(running.running()) << test::read_file_text(world.stele->root() + "/run.log");
  ASSERT_EQ(kill(running.pid(), SIGSTOP), 0);
  world.stele->receiver_process().kill_hard();
  ASSERT_EQ(kill(running.pid(), SIGCONT), 0);

  // Another one that begins meanwhile is told to try again, and has written nothing.
  const std::string other = world.stele->root() + "/other";
  auto refused = world.stele->restore({"run", "--into", other});
  ASSERT_OK(refused);
  EXPECT_EQ(refused->exit_code, 75) << refused->err;
  EXPECT_FALSE(fs::exists(other));
  EXPECT_TRUE(running.running()) << test::read_file_text(world.stele->root() + "/run.log");

  ASSERT_OK(world.stele->start_receiver());
  ASSERT_OK(test::wait_for("the restore ends", 180, [&] { return !running.running(); }));
  ASSERT_EQ(running.exit_code(), 0) << test::read_file_text(world.stele->root() + "/run.log");
  EXPECT_FALSE(fs::exists(into + ".stele-incomplete"));
  ASSERT_OK((*target)->start(120));
  ASSERT_OK(test::wait_for("recovery ends", 120, [&] {
    const auto state = (*target)->psql("SELECT pg_is_in_recovery()");
    return state.ok() && *state == "f";
  }));
  auto rows = (*target)->psql("SELECT word FROM word");
  ASSERT_OK(rows);
  EXPECT_EQ(*rows, "kept");
}

}  // namespace
}  // namespace stele::scenario
