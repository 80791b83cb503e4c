#include "tests/scenario/end_to_end/world.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/tools/pq/session.h"
#include "tests/tools/registry/load.h"

namespace stele::scenario {

using test::PostgresCluster;

Result<World> World::start() {
  return start(Options());
}

Result<World> World::start(Options options) {
  World world;
  world.members = options.members;
  // Every restored copy keeps what the source said about itself: nothing in it may matter to the test.
  options.postgres.config +=
      "\nwal_level = replica\nmax_wal_senders = 10\nmax_slot_wal_keep_size = 2GB\ntrack_commit_timestamp = on\n";
  STELE_TRY(world.source, PostgresCluster::create(options.postgres));
  STELE_CHECK(world.source->start());
  STELE_TRY(std::string role, world.source->psql("CREATE ROLE stele LOGIN REPLICATION; GRANT pg_monitor TO stele"));
  (void)role;
  {
    STELE_TRY(pq::Session session, pq::Session::connect(world.source->conninfo()));
    STELE_CHECK(registry::load(session, registry::Generator(1, options.members), [](std::int64_t, std::int64_t) {}));
  }
  options.programs.conninfo =
      fmt::format("host={} port={} user=stele dbname=postgres", world.source->socket_directory(), world.source->port());
  STELE_TRY(world.stele, test::StelePrograms::create(options.programs));
  world.ledger = world.stele->root() + "/ledger.tsv";
  STELE_CHECK(world.stele->start_receiver());
  if (options.through_relay) {
    world.relay_file = world.stele->root() + "/relay.record";
    STELE_TRY(world.relay, test::RecordingRelay::start(world.stele->receiver_port(), world.relay_file));
    STELE_CHECK(world.stele->agent_connects_to(fmt::format("127.0.0.1:{}", world.relay->port())));
  }
  STELE_CHECK(world.stele->start_agent());
  STELE_CHECK(world.stele->wait_streaming(*world.source, false));
  if (options.synchronous) {
    STELE_CHECK(world.source->append_config("synchronous_standby_names = 'stele'"));
    STELE_CHECK(world.source->reload());
    STELE_CHECK(world.stele->wait_streaming(*world.source, true));
  }
  return world;
}

Status World::start_clients(int count) {
  clients = std::make_unique<test::Daemon>("clients");
  return clients->start({fmt::format("{}/bin/stele-demo-workload", STELE_BINARY_DIR), "--conninfo", source->conninfo(),
                         "--ledger", ledger, "--members", std::to_string(members), "--clients", std::to_string(count)},
                        stele->root() + "/clients.log");
}

Result<std::int64_t> World::stop_clients() {
  STELE_CHECK(clients->stop());
  if (clients->exit_code() != 0) {
    return Error{ErrorCode::kDatabase, "the clients failed: " + test::read_file_text(stele->root() + "/clients.log"),
                 ""};
  }
  return acknowledged();
}

std::int64_t World::acknowledged() const {
  std::ifstream in(ledger);
  std::int64_t count = 0;
  for (std::string line; std::getline(in, line);) count += line.starts_with("acknowledged") ? 1 : 0;
  return count;
}

Status World::wait_progress(std::int64_t more, int seconds) {
  const std::int64_t before = acknowledged();
  const auto ended = [&] { return !stele->agent_process().running() || !stele->receiver_process().running(); };
  Status done = test::wait_for(fmt::format("{} more commits after {}", more, before), seconds,
                               [&] { return acknowledged() >= before + more || ended(); });
  if (done.ok() && !ended()) return {};
  return Error{
      ErrorCode::kTimeout,
      fmt::format("{}; exit code of agent {}, of receiver {} (-1: it runs)\n{}--- server\n{}",
                  done.ok() ? "a program ended by itself" : done.error().what, stele->agent_process().exit_code(),
                  stele->receiver_process().exit_code(), stele->logs(), source->log_tail()),
      ""};
}

Result<std::unique_ptr<PostgresCluster>> World::restore(std::vector<std::string> arguments) {
  STELE_TRY(auto restored, PostgresCluster::create_empty());
  arguments.insert(arguments.begin(), {"run", "--into", restored->data_directory()});
  STELE_TRY(std::string out, stele->restore_ok(arguments));
  (void)out;
  STELE_CHECK(restored->start(120));
  STELE_CHECK(test::wait_for("recovery ends", 120, [&] {
    const auto in_recovery = restored->psql("SELECT pg_is_in_recovery()");
    return in_recovery.ok() && *in_recovery == "f";
  }));
  return restored;
}

Result<std::string> World::check_ledger(PostgresCluster& restored, const std::string& until) {
  std::vector<std::string> argv = {fmt::format("{}/bin/stele-demo-ledger-check", STELE_BINARY_DIR), "--ledger", ledger,
                                   "--conninfo", restored.conninfo()};
  if (!until.empty()) argv.insert(argv.end(), {"--until", until});
  STELE_TRY(test::ProcessOutput out, test::run_process(argv));
  if (out.exit_code != 0)
    return Error{ErrorCode::kDatabase, fmt::format("ledger check, exit code {}: {}{}", out.exit_code, out.out, out.err),
                 ""};
  return out.out;
}

}  // namespace stele::scenario
