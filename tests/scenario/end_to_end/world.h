#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/postgres_cluster.h"
#include "tests/support/programs/relay.h"
#include "tests/support/programs/stele_programs.h"

namespace stele::scenario {

/// ASSERT_OK(result) << "more words": fails the test with the error's text.
#define ASSERT_OK(expr) ASSERT_EQ("", ::stele::scenario::problem_of(expr))
#define EXPECT_OK(expr) EXPECT_EQ("", ::stele::scenario::problem_of(expr))
template <typename R>
std::string problem_of(const R& result) {
  return result.ok() ? std::string() : result.error().to_string();
}

/// A protected server with a small registry, the three programs around it, and clients that record what was
/// acknowledged.
struct World {
  std::unique_ptr<test::PostgresCluster> source;
  std::unique_ptr<test::StelePrograms> stele;
  std::unique_ptr<test::RecordingRelay> relay;
  std::string relay_file;  ///< every byte that went through it
  std::unique_ptr<test::Daemon> clients;
  std::string ledger;  ///< file that the clients append to
  std::int64_t members = 0;

  struct Options {
    test::PostgresOptions postgres;
    test::SteleOptions programs;
    std::int64_t members = 3'000;
    bool synchronous = true;
    bool through_relay = false;  ///< the agent reaches the receiver through `relay`
  };
  /// Server with the role that the agent needs, registry, receiver, agent; `synchronous`: commits wait for the agent.
  static Result<World> start(Options options);
  static Result<World> start();

  /// Starts the clients; they go on through every outage.
  Status start_clients(int count = 4);
  /// Ends them and gives how many commits were acknowledged in all.
  Result<std::int64_t> stop_clients();
  std::int64_t acknowledged() const;
  /// Until the clients had `more` further commits acknowledged.
  Status wait_progress(std::int64_t more, int seconds = 300);

  /// `stele-agent snapshot`, and what it printed.
  Result<std::string> snapshot() { return stele->agent_ok({"snapshot"}); }

  /// Restores into a fresh cluster and starts it. `arguments` are those of `run` besides --into.
  Result<std::unique_ptr<test::PostgresCluster>> restore(std::vector<std::string> arguments = {});
  /// stele-demo-ledger-check; kDatabase with what it printed when a commit is missing.
  Result<std::string> check_ledger(test::PostgresCluster& restored, const std::string& until = "");
};

/// Runs a command as the user who owns the server's files.
inline Result<std::string> as_owner(const std::vector<std::string>& argv) {
  return test::run_checked(argv, {.as_database_user = true});
}

}  // namespace stele::scenario
