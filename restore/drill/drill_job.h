#pragma once

#include "restore/drill/result.h"
#include "restore/main/restore_job.h"

namespace stele::restore {

/// `drill` as it was asked for.
struct DrillOptions {
  StoreOptions store;
  TargetOptions target;
  bool random = false;
  std::optional<std::uint64_t> seed;  ///< of `random`; drawn when there is none
  std::string disaster_time;          ///< from when on the source counts as lost; empty: now
  std::string assertions;             ///< instead of the configured folder
};

/// What came of it. `error`: the drill did not run, or not to its end; then the result has failed, too.
struct DrillOutcome {
  DrillResult result;
  std::optional<Error> error;
  std::vector<KeyProof> keys;
};

/// One drill: restores with RestoreJob, as `run` does, into an isolated place, starts PostgreSQL there, waits for the target, checks, measures, wipes.
/// Always gives an outcome: whatever could not be done is a failure in it. Blocking; SIGTERM, SIGINT and SIGHUP end it early, wiped.
DrillOutcome run_drill(const cli::Common& common, const config::RestoreConfig& config, const DrillOptions& options);

/// The outcome of a drill that could not even begin.
DrillOutcome failed_drill(const config::RestoreConfig& config, const DrillOptions& options, const Error& why);

}  // namespace stele::restore
