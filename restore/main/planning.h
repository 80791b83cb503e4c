#pragma once

#include "core/recovery/plan.h"
#include "restore/catalog/store_catalog.h"

namespace stele::restore {

/// What an operator may go on without.
struct Accept {
  bool older = false;    ///< --accept-older: log that a receiver may hold and did not give
  bool damaged = false;  ///< --accept-damaged: log that is here and does not count
};

/// Refuses where log behind everything in the catalog may exist: a receiver did not give what it has (kTemporary, kGap), or log or branches are
/// damaged or forged (their codes).
Status check_newest(const StoreCatalog& catalog, const Accept& accept);

/// make_plan over a store that may hold damaged or forged objects: where such an object, or a receiver that did not answer, may be why a target
/// cannot be reached, that is the error (exit code 4 or 75, not 3); and "the latest moment" is refused where check_newest says so; options.accept_damaged is one of the two to accept.
Result<recovery::Plan> plan_restore(const StoreCatalog& catalog, const recovery::Target& target, const recovery::PlanOptions& options, bool accept_older,
                                    recovery::LogIndex* index);

}  // namespace stele::restore
