#pragma once

#include <string>

#include "core/recovery/plan.h"

namespace CLI {
class App;
}

namespace stele::restore {

/// --target-* as given.
struct TargetOptions {
  std::string time, lsn, xid, name, timeline;
  bool immediate = false, exclusive = false;
  bool accept_abandoned = false, accept_damaged = false;
};
void add_target_options(CLI::App& command, TargetOptions& options);

/// kUsage for more than one target, or one that cannot be read.
Result<recovery::Target> to_target(const TargetOptions& options);
recovery::PlanOptions to_plan_options(const TargetOptions& options);

}  // namespace stele::restore
