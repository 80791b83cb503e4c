#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "tests/support/free_port.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/process.h"

namespace stele::test {

/// Asks every 20 ms until `done`, or less often where asking takes long; kTimeout "WHAT: not within N s".
Status wait_for(std::string_view what, int seconds, const std::function<bool()>& done);

/// A child that lives until it is stopped; SIGKILL from the kernel when the test dies.
class Daemon {
 public:
  explicit Daemon(std::string name) : name_(std::move(name)) {}
  ~Daemon() { kill_hard(); }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  Status start(const std::vector<std::string>& argv, const std::string& log_file);
  bool running();
  /// Exit code of a child that ended (128 + signal); -1 while it runs or before it was started.
  int exit_code() const { return exit_code_; }
  /// SIGTERM, then waits; kTimeout after `seconds`, it then still runs.
  Status stop(int seconds = 30);
  void kill_hard();
  pid_t pid() const { return pid_; }

 private:
  std::string name_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
};

struct SteleOptions {
  std::string site = "440000", database = "registry";
  std::string conninfo;           ///< of the protected server, for the agent
  std::string ack = "receivers";  ///< [policy] ack
  bool open_store = true;         ///< seal soon, so that short tests have sealed runs too
  std::string agent_extra;        ///< lines appended to agent.toml (whole tables)
  std::string on_full = "hold";
  std::string policy_extra;       ///< lines in [policy]
  std::string spool_max_bytes = "256MiB";
  std::string spool_extra;        ///< lines in [spool]
  std::string receiver_extra;     ///< lines appended to receiver.toml
};

/// The three programs as an operator runs them: one directory with certificates, keys and configuration files, and the
/// children that were started. Everything is removed with the object, unless STELE_KEEP is set. Use from the test's
/// main thread.
class StelePrograms {
 public:
  /// Makes directories, certificates and configuration, recovery and authority keys, the agent's keys and its
  /// enrolment.
  static Result<std::unique_ptr<StelePrograms>> create(SteleOptions options);
  ~StelePrograms();

  Status start_receiver();
  /// Starts the agent and does not wait.
  Status start_agent();
  /// Until PostgreSQL has the agent as a streaming (with `synchronous`: as a synchronous) standby.
  Status wait_streaming(PostgresCluster& source, bool synchronous, int seconds = 30);
  /// Until the receiver acknowledged what the source has flushed now.
  Status wait_caught_up(PostgresCluster& source, int seconds = 60);
  Daemon& agent_process() { return agent_; }
  Daemon& receiver_process() { return receiver_; }

  /// Runs a command to its end: agent({"snapshot"}), restore({"run", "--into", DIR}) with the passphrase on standard
  /// input.
  Result<ProcessOutput> agent(std::vector<std::string> arguments);
  Result<ProcessOutput> receiver(std::vector<std::string> arguments);
  Result<ProcessOutput> restore(std::vector<std::string> arguments);
  /// The command line of such a command, to be started and left alone.
  std::vector<std::string> agent_command(std::vector<std::string> arguments) const;
  /// stele-restore without configuration and passphrase.
  Result<ProcessOutput> restore_plain(std::vector<std::string> arguments);
  /// The same; another exit code than 0 is kDatabase with both outputs.
  Result<std::string> agent_ok(std::vector<std::string> arguments);
  Result<std::string> restore_ok(std::vector<std::string> arguments);

  /// Gives the agent new keys and a new enrolment, as after a reinstallation; the agent must not run.
  Status enrol_agent();
  /// Removes what an agent's host holds besides configuration: spool and state.
  Status forget_agent();
  /// Another server (or several) to protect; the agent reads it at its next start.
  Status protect(const std::string& conninfo);
  /// "host:port" instead of the receiver's own address (a relay).
  Status agent_connects_to(const std::string& address);
  /// Points restore.toml at the store directory (the default), or at the running receiver.
  Status restore_from_store();
  Status restore_from_receiver();
  /// Makes the restore host's signing key, once, and appends a [drill] table to restore.toml: of this database, with everything below root().
  /// `lines`: further ones of the table.
  Status prepare_drills(const std::string& assertions, const std::string& lines = "");
  /// Prometheus' text that the last drill wrote; "" before the first.
  std::string drill_metrics() const;

  const std::string& root() const { return root_; }
  std::string store_directory() const { return root_ + "/receiver/store"; }
  std::string agent_directory() const { return root_ + "/agent"; }
  std::string receiver_directory() const { return root_ + "/receiver"; }
  int receiver_port() const { return receiver_port_; }
  int receiver_metrics_port() const { return receiver_metrics_port_; }
  int agent_metrics_port() const { return agent_metrics_port_; }
  /// /metrics of a program; "" when nobody answers.
  std::string agent_metrics() const;
  std::string receiver_metrics() const;
  /// The ends of the programs' logs, for messages.
  std::string logs() const;

 private:
  explicit StelePrograms(std::string root, SteleOptions options);
  Status write_receiver_config();
  Status write_agent_config();
  Status write_restore_config(bool from_store);
  /// What `keygen` makes, with the same passphrase but at a cost that is for tests: at the product's, every command that opens a key takes a
  /// second of processor time.
  Status make_keys();
  int enrolments_ = 0;
  std::string root_;
  SteleOptions options_;
  std::string receiver_address_;  ///< as the agent knows it
  int receiver_port_ = 0, receiver_metrics_port_ = 0, agent_metrics_port_ = 0;
  Daemon agent_{"stele-agent"}, receiver_{"stele-receiver"};
};

/// The body of http://127.0.0.1:PORT/PATH; "" when it cannot be had within a second.
std::string http_get(int port, std::string_view path);

std::string read_file_text(const std::string& path);
Status write_file_text(const std::string& path, std::string_view text, int mode = 0644);

}  // namespace stele::test
