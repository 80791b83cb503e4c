#pragma once

#include "restore/main/restore_job.h"

namespace stele::restore {

/// `run` on a terminal without a target: asks by `Guide`, shows the plan, and restores when that was confirmed. kCancelled: it was not.
Result<RunReport> run_guided(const cli::Common& common, const RunOptions& given);

}  // namespace stele::restore
