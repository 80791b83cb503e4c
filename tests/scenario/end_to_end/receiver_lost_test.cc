#include <filesystem>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;

/// The receiver's disk is lost and it starts with an empty one while commits go on. Nobody is there to think of a snapshot: the agent takes
/// it, and from then on the new store is enough.
TEST(ReceiverLost, AnEmptyStoreIsMadeWholeWithoutAPerson) {
  auto started = World::start();
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.snapshot());
  ASSERT_OK(world.start_clients());
  ASSERT_OK(world.wait_progress(300));

  world.stele->receiver_process().kill_hard();
  fs::remove_all(world.stele->store_directory());
  fs::remove_all(world.stele->receiver_directory() + "/catalog");
  ASSERT_OK(world.stele->start_receiver());
  ASSERT_OK(world.wait_progress(300, 180)) << world.stele->logs();
  // What was acknowledged counts only behind a snapshot, so the commits waited for it.
  auto listed = world.stele->restore({"--json", "list"});
  ASSERT_OK(listed);
  ASSERT_EQ(listed->exit_code, 0) << listed->err;
  EXPECT_NE(listed->out.find("\"snapshots\":[{"), std::string::npos) << listed->out;
  ASSERT_OK(world.wait_progress(100));
  auto acknowledged = world.stop_clients();
  ASSERT_OK(acknowledged);

  world.stele->agent_process().kill_hard();
  world.stele->receiver_process().kill_hard();
  ASSERT_OK(world.source->kill_hard());
  ASSERT_OK(world.stele->forget_agent());
  auto restored = world.restore();
  ASSERT_OK(restored);
  ASSERT_OK(world.check_ledger(**restored));
}

}  // namespace
}  // namespace stele::scenario
