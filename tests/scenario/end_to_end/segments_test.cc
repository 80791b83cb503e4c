#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using test::PostgresCluster;

/// pg_receivewal and the agent read the same log. What `run` stages for PostgreSQL must be the same bytes, file for
/// file.
TEST(Segments, RestoredOnesAreByteIdenticalToWhatPgReceivewalWrote) {
  World::Options options;
  options.postgres.wal_segment_mb = 1;
  auto started = World::start(std::move(options));
  ASSERT_OK(started);
  World& world = *started;
  PostgresCluster& source = *world.source;
  ASSERT_OK(world.snapshot());

  const std::string archive = source.root_directory() + "/archive";
  ASSERT_OK(as_owner({"mkdir", archive}));
  ASSERT_OK(source.run({"pg_receivewal", "-D", archive, "--create-slot", "--slot", "beside"}));
  std::vector<std::string> argv = {PostgresCluster::program("pg_receivewal"),
                                   "-D",
                                   archive,
                                   "--slot",
                                   "beside",
                                   "-h",
                                   source.socket_directory(),
                                   "-U",
                                   "postgres"};
  if (geteuid() == 0) argv.insert(argv.begin(), {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"});
  test::Daemon beside("pg_receivewal");
  ASSERT_OK(beside.start(argv, source.root_directory() + "/pg_receivewal.log"));

  ASSERT_OK(world.start_clients());
  ASSERT_OK(world.wait_progress(300));
  // Full-page images, a long record over several pages, switches that leave segments half empty, an outage of the
  // agent.
  ASSERT_OK(source.psql("CHECKPOINT"));
  ASSERT_OK(source.psql("SELECT pg_logical_emit_message(false, 'long', repeat('x', 3000000))"));
  ASSERT_OK(source.psql("SELECT pg_switch_wal()"));
  ASSERT_OK(world.wait_progress(300));
  world.stele->agent_process().kill_hard();
  ASSERT_OK(world.stele->start_agent());
  ASSERT_OK(world.wait_progress(300));
  ASSERT_OK(world.stop_clients());
  auto last = source.psql("SELECT pg_walfile_name(pg_switch_wal())");
  ASSERT_OK(last);
  ASSERT_OK(test::wait_for("pg_receivewal writes " + *last, 30, [&] { return fs::exists(archive + "/" + *last); }));
  ASSERT_OK(beside.stop());
  ASSERT_OK(world.stele->wait_caught_up(source));

  const std::string into = world.stele->root() + "/into";
  ASSERT_OK(world.stele->restore_ok({"run", "--into", into}));
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(archive)) {
    const std::string name = entry.path().filename();
    if (name.size() != 24) continue;  // a partial one
    const std::string fetched = world.stele->root() + "/fetched";
    auto answer = world.stele->restore_plain({"wal-fetch", "--staging", into + ".stele-wal", name, fetched});
    ASSERT_OK(answer);
    ASSERT_EQ(answer->exit_code, 0) << name << ": " << answer->out << answer->err;
    const std::string ours = test::read_file_text(fetched), theirs = test::read_file_text(entry.path());
    ASSERT_EQ(ours.size(), theirs.size()) << name;
    const auto differ = std::mismatch(ours.begin(), ours.end(), theirs.begin());
    ASSERT_TRUE(differ.first == ours.end()) << name << " differs at byte " << (differ.first - ours.begin());
    fs::remove(fetched);
    ++compared;
  }
  EXPECT_GE(compared, 5);
}

}  // namespace
}  // namespace stele::scenario
