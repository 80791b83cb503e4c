#include <fmt/format.h>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

/// The line is away for longer than the spool lasts, and the operator chose that the primary's disk comes first.
TEST(Release, AFullSpoolLetsTheSlotGoAndTheGapIsToldAndClosedByASnapshot) {
  World::Options options;
  options.members = 2'000;
  options.synchronous = false;
  options.programs.spool_max_bytes = "64MiB";
  options.programs.on_full = "release";
  options.programs.policy_extra = "release_after = \"1s\"";
  auto started = World::start(std::move(options));
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.snapshot());
  ASSERT_OK(world.stele->wait_caught_up(*world.source));

  world.stele->receiver_process().kill_hard();
  ASSERT_OK(world.source->psql("CREATE TABLE noise AS SELECT sha512(random()::text::bytea) || sha512(random()::text::bytea) AS bytes "
                               "FROM generate_series(1, 900000)"));
  auto lost = world.source->psql("SELECT pg_current_wal_flush_lsn()");
  ASSERT_OK(lost);
  ASSERT_OK(world.source->psql("CREATE TABLE later AS SELECT 1"));
  // The slot is behind all of it although no receiver has it: the server may drop its WAL.
  ASSERT_OK(test::wait_for("the slot goes forward", 120, [&] {
    auto moved = world.source->psql(fmt::format("SELECT restart_lsn > '{}' FROM pg_replication_slots", *lost));
    return moved.ok() && *moved == "t";
  })) << world.stele->logs();
  for (int i = 0; i < 3; ++i) ASSERT_OK(world.source->psql("SELECT pg_switch_wal(); CHECKPOINT"));

  // An agent that is killed meanwhile goes on releasing: the spool is as full as before, and what it would stream next is gone.
  world.stele->agent_process().kill_hard();
  auto meanwhile = world.source->psql("CREATE TABLE meanwhile AS SELECT 1; SELECT pg_switch_wal()");
  ASSERT_OK(meanwhile);
  auto behind = world.source->psql("SELECT pg_current_wal_flush_lsn()");
  ASSERT_OK(behind);
  ASSERT_OK(world.stele->start_agent());
  ASSERT_OK(test::wait_for("the slot goes forward again", 120, [&] {
    auto moved = world.source->psql(fmt::format("SELECT restart_lsn >= '{}' FROM pg_replication_slots", *behind));
    return moved.ok() && *moved == "t";
  })) << world.stele->logs();

  ASSERT_OK(world.stele->start_receiver());
  ASSERT_OK(world.stele->wait_caught_up(*world.source, 120)) << world.stele->logs();
  ASSERT_OK(world.source->psql("CREATE TABLE after_gap AS SELECT 'here' AS word"));
  ASSERT_OK(world.stele->wait_caught_up(*world.source));
  ASSERT_OK(test::wait_for("the snapshot that closes the gap", 120, [&] {
    auto plan = world.stele->restore({"plan"});
    return plan.ok() && plan->exit_code == 0;
  })) << world.stele->logs();
  EXPECT_NE(world.stele->logs().find("released because the spool was full"), std::string::npos) << world.stele->logs();
  auto inside = world.stele->restore({"plan", "--target-lsn", *lost});
  ASSERT_OK(inside);
  EXPECT_EQ(inside->exit_code, 3) << inside->out << inside->err;

  world.stele->agent_process().kill_hard();
  world.stele->receiver_process().kill_hard();
  ASSERT_OK(world.source->kill_hard());
  auto restored = world.restore();
  ASSERT_OK(restored);
  auto word = (*restored)->psql("SELECT word FROM after_gap");
  ASSERT_OK(word);
  EXPECT_EQ(*word, "here");
}

}  // namespace
}  // namespace stele::scenario
