#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "restore/apply/data_directory.h"
#include "restore/fetch/log_reader.h"
#include "restore/main/context.h"
#include "restore/main/target_options.h"
#include "restore/postgres/after_start.h"
#include "restore/postgres/recovery_setup.h"
#include "restore/postgres/server_process.h"

namespace stele::restore {

/// `run` as the operator gave it, and what other users of a restore (extract, drills) add.
struct RunOptions {
  StoreOptions store;
  TargetOptions target;
  std::string into;
  bool start = false;
  int port = 0;
  std::string action = "promote";
  std::string role = "postgres";         ///< a superuser of the database, for questions to a private server
  std::vector<std::string> tablespaces;  ///< OID=DIR
  TablespaceOptions places;              ///< root and original
  DeltaOptions delta;
  bool standby = false;  ///< recover for ever: the log comes from `follow`

  // Not of the command line.
  bool side_instance = false;          ///< never serves: no timeline number is reserved for it
  ConfigurationOptions configuration;  ///< `port` above wins
  const std::atomic<bool>* cancelled = nullptr;  ///< true: give up soon with kCancelled
  /// The target, where it depends on what the store holds; otherwise `target` counts.
  std::function<Result<recovery::Target>(const recovery::Facts&)> choose_target;
  std::uint64_t extra_bytes = 0, max_bytes = 0;  ///< needed beside files and log; what all may take, 0: what is free
};

/// What was done.
struct RunReport {
  recovery::Plan plan;
  recovery::Facts facts;  ///< for the output of the plan: only its database
  std::string directory, staging, extra_directory;
  std::vector<TablespaceTarget> tablespaces;
  std::uint64_t files = 0, file_bytes = 0, stored_bytes_read = 0;
  std::optional<DeltaReport> delta;
  ConfigurationReport configuration;
  std::vector<Problem> problems;
  bool started = false;
  std::optional<RecoveryLog> recovery;  ///< with --start
  std::optional<RecoveredState> end;    ///< where the server was found when it was asked
  std::string end_not_checked;          ///< why it was not
  double seconds_plan = 0, seconds_files = 0, seconds_log = 0, seconds_total = 0, seconds_recovery = 0;
  double seconds_write = 0;        ///< of `seconds_files`: what the workers spent in writes, over their number, and the syncs
  std::uint64_t bytes_needed = 0;  ///< that the file systems must have

  nlohmann::json to_json() const;
  std::string to_text() const;
};

/// One restore in steps, so that others can stand between them: `decide`, `write`, then `start`, or a server of the caller's own by
/// `server_options` and `recover_to_end`. After an error of `write` the marker stands and there is no global/pg_control. One thread.
class RestoreJob {
 public:
  /// Both outlive the job.
  RestoreJob(const cli::Common& common, const RunOptions& options);
  /// With a store that is open already, and perhaps keys; otherwise decide() opens both.
  RestoreJob(const cli::Common& common, const RunOptions& options, std::unique_ptr<Context> context);
  ~RestoreJob();

  /// Everything that can be refused: place, target, keys, snapshot, tablespaces, room, PostgreSQL's programs (where `start` or
  /// `side_instance` say that a server will be wanted). Nothing is written.
  Status decide();
  /// Files, log, settings, global/pg_control.
  Status write();
  /// Starts a detached server as the configuration files say; one that is promoted is first asked privately whether it ended where the plan
  /// says (restore/postgres/README.md).
  Status start();

  /// How the restored server is started, detached. To be changed (private_directory, settings) and given to recover_to_end.
  ServerOptions server_options() const;
  /// `recover`, with the progress of the replay shown; a private server that promoted is asked where it ended, and must have ended there.
  Result<std::unique_ptr<ServerProcess>> recover_to_end(const ServerOptions& server, WaitOptions wait = {});

  /// After decide(); the database is known also where that refused something later.
  const RunReport& report() const;
  /// What the snapshot's manifest says in private: server version, texts, system identifier. After decide().
  const format::ManifestSealed& snapshot() const;
  /// The clear part of the same manifest.
  const format::ManifestReference& manifest() const;
  const StoreCatalog& catalog() const;
  Context& context();
  ProcessRunner& runner();
  /// Ends the job after a refusal and gives back what it worked with.
  std::unique_ptr<Context> take_context();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// All steps of `run`. Nothing is written before everything that can be refused was looked at; what fails later leaves the marker and no
/// global/pg_control.
Result<RunReport> run_restore(const cli::Common& common, const RunOptions& options);

}  // namespace stele::restore
