#pragma once

#include <nlohmann/json_fwd.hpp>

#include "restore/apply/data_directory.h"
#include "restore/main/context.h"
#include "restore/main/target_options.h"
#include "restore/postgres/recovery_setup.h"
#include "restore/postgres/server_process.h"

namespace stele::restore {

/// `run` as the operator gave it.
struct RunOptions {
  StoreOptions store;
  TargetOptions target;
  std::string into;
  bool start = false;
  int port = 0;
  std::string action = "promote";
  std::vector<std::string> tablespaces;  ///< OID=DIR
  TablespaceOptions places;              ///< root and original
};

/// What was done.
struct RunReport {
  recovery::Plan plan;
  recovery::Facts facts;  ///< for the output of the plan: only its database
  std::string directory, staging, extra_directory;
  std::vector<TablespaceTarget> tablespaces;
  std::uint64_t files = 0, file_bytes = 0, stored_bytes_read = 0;
  ConfigurationReport configuration;
  std::vector<Problem> problems;
  bool started = false;
  std::optional<RecoveryLog> recovery;  ///< with --start
  double seconds_files = 0, seconds_log = 0, seconds_total = 0, seconds_recovery = 0;

  nlohmann::json to_json() const;
  std::string to_text() const;
};

/// The whole restore: plan, refuse or write, configure, and start when asked. Nothing is written before everything that can be refused was
/// looked at; what fails later leaves the marker and no global/pg_control.
Result<RunReport> run_restore(const cli::Common& common, const RunOptions& options);

}  // namespace stele::restore
