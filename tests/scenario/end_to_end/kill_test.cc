#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <random>
#include <thread>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

int environment_number(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::atoi(text);
}

/// Agent, receiver and PostgreSQL are killed with -9 at random moments, then everything but the store directory is
/// destroyed. Every commit that was acknowledged is in the restored database. STELE_KILL_ROUNDS: how often;
/// STELE_KILL_SEED: which moments.
TEST(KillTest, EveryAcknowledgedCommitIsInTheRestoredDatabase) {
  const int rounds = environment_number("STELE_KILL_ROUNDS", 3);
  const int seed = environment_number("STELE_KILL_SEED", static_cast<int>(std::random_device{}() & 0x7fffffff));
  std::cout << "rounds " << rounds << ", seed " << seed << " (STELE_KILL_SEED repeats it)" << std::endl;
  std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
  const auto pause = [&](int most_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution<int>(0, most_ms)(random)));
  };

  auto started = World::start();
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.start_clients());
  ASSERT_OK(world.wait_progress(20));
  ASSERT_OK(world.snapshot());

  for (int round = 1; round <= rounds; ++round) {
    pause(1500);
    const int victims = std::uniform_int_distribution<int>(1, 7)(random);
    const bool agent = victims & 1, receiver = victims & 2, server = victims & 4;
    const auto one_in = [&](int n) { return std::uniform_int_distribution<int>(1, n)(random) == 1; };
    std::string names;
    // Sometimes a snapshot is on its way when the blow falls; it may fail, its half must do no harm.
    test::Daemon snapshot("snapshot");
    if (one_in(4)) {
      ASSERT_OK(snapshot.start(world.stele->agent_command({"snapshot"}), world.stele->root() + "/snapshot.log"));
      names += " (during a snapshot)";
      pause(400);
    }
    // One after the other, at moments of their own.
    if (agent) {
      world.stele->agent_process().kill_hard();
      names += " agent";
      pause(100);
    }
    if (receiver) {
      world.stele->receiver_process().kill_hard();
      names += " receiver";
      pause(100);
    }
    if (server) {
      ASSERT_OK(world.source->kill_hard());
      names += " postgres";
    }
    pause(500);
    if (agent && !receiver && !server && one_in(3)) {
      // The agent's disk is lost as well: what counts is at the receiver.
      ASSERT_OK(world.stele->forget_agent());
      names += " and its spool";
    }
    if (server) ASSERT_OK(world.source->start());
    if (receiver) ASSERT_OK(world.stele->start_receiver());
    if (agent) ASSERT_OK(world.stele->start_agent());
    if (agent && one_in(4)) {
      // Once more, in the middle of its start.
      pause(200);
      world.stele->agent_process().kill_hard();
      ASSERT_OK(world.stele->start_agent());
      names += " agent again";
    }
    ASSERT_TRUE(world.stele->agent_process().running()) << world.stele->logs();
    const auto back = std::chrono::steady_clock::now();
    ASSERT_OK(world.wait_progress(50)) << "round " << round << ", killed:" << names << ", seed " << seed;
    std::cout << fmt::format("round {}: killed{}; 50 more commits {:.1f} s after the restart, {} acknowledged so far",
                             round, names,
                             std::chrono::duration<double>(std::chrono::steady_clock::now() - back).count(),
                             world.acknowledged())
              << std::endl;
  }

  // The end, in the middle of the work, each at a moment of its own.
  pause(500);
  world.stele->receiver_process().kill_hard();
  pause(50);
  world.stele->agent_process().kill_hard();
  ASSERT_OK(world.source->kill_hard());
  auto acknowledged = world.stop_clients();
  ASSERT_OK(acknowledged);
  std::error_code problem;
  std::filesystem::remove_all(world.source->data_directory(), problem);
  ASSERT_FALSE(problem) << problem.message();
  std::filesystem::remove_all(world.stele->agent_directory(), problem);
  ASSERT_FALSE(problem) << problem.message();
  for (const auto& entry : std::filesystem::directory_iterator(world.stele->receiver_directory())) {
    if (entry.path() != world.stele->store_directory()) std::filesystem::remove_all(entry.path());
  }

  auto restored = world.restore();
  ASSERT_OK(restored) << "seed " << seed;
  auto checked = world.check_ledger(**restored);
  ASSERT_OK(checked) << "seed " << seed;
  std::cout << "rounds " << rounds << ": " << *checked << std::flush;
  auto invalid = (*restored)->psql(
      "SELECT count(*) FROM registry.member WHERE NOT registry.identity_number_is_valid(identity_number)");
  ASSERT_OK(invalid);
  EXPECT_EQ(*invalid, "0");
}

}  // namespace
}  // namespace stele::scenario
