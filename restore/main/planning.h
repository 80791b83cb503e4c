#pragma once

#include "core/recovery/plan.h"
#include "restore/catalog/store_catalog.h"

namespace stele::restore {

/// make_plan over a store that may hold damaged or forged objects: where such an object is why a target cannot be reached, that is the
/// error (exit code 4, not 3); and "the latest moment" is refused while damaged log or branches could hold a later one, unless
/// options.accept_damaged says otherwise.
Result<recovery::Plan> plan_restore(const StoreCatalog& catalog, const recovery::Target& target, const recovery::PlanOptions& options, recovery::LogIndex* index);

}  // namespace stele::restore
