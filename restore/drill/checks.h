#pragma once

#include <atomic>

#include "core/config/drill_config.h"
#include "core/format/table_counts.h"
#include "restore/drill/result.h"
#include "restore/main/restore_job.h"
#include "restore/postgres/after_start.h"

namespace stele::restore {

class CountJudge;

/// Looks at a started copy and judges it: each function gives finished checks and never throws anything away; what could not be looked
/// at has failed. Blocking, one thread; everything ends within 100 ms after `cancelled`.
class CopyChecks {
 public:
  /// All must outlive it. `work` is a directory for outputs of programs.
  CopyChecks(RestoreJob& job, ServerProcess& server, const config::DrillConfig& config, std::string work, const std::atomic<bool>& cancelled);

  /// Where recovery ended against the plan; gives the time of the last transaction and the server's version, too.
  Check recovery_end(std::optional<RecoveredState>& state);
  /// The network namespace and the settings in effect; `proof` gets what was seen.
  Check isolation(IsolationProof& proof);
  /// Takes the settings of the restored roles and databases away, and makes a role for the assertions that can only read.
  Status prepare(const std::string& id);
  /// pg_amcheck over every database.
  Check amcheck();
  /// Tables and rows against what the agent sealed when the snapshot began; skipped where it sealed nothing. After prepare().
  Check counts(CountComparison& comparison);
  /// Every .sql file of the folder, in the order of their names. A folder without one is a failed check.
  std::vector<Check> assertions(const std::string& folder);
  /// After the server has stopped: pg_checksums. Skipped only where the source's pages have no checksums.
  Check page_checksums();

 private:
  Instant deadline() const;
  struct Finished {
    ProcessEnd end;
    std::string output;
  };
  Result<Finished> run_program(const std::string& name, std::vector<std::string> arguments);
  Result<pg::ControlFile> read_control() const;
  Check assertion(const std::string& file, const std::string& path);
  /// As the role that can only read, in a transaction that cannot write.
  Result<std::unique_ptr<SqlSession>> read_only_session(const std::string& database);
  Status count_database(const format::DatabaseCounts& sealed, CountJudge& judge);
  RestoreJob& job_;
  ServerProcess& server_;
  const ServerOptions server_options_;
  const config::DrillConfig& config_;
  std::string work_;
  const std::atomic<bool>& cancelled_;
  std::string reader_;  ///< role
};

}  // namespace stele::restore
