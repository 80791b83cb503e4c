#pragma once

#include <string>

#include "restore/drill/result.h"
#include "restore/report/html.h"

namespace stele::restore {

/// What was counted against what was sealed, by database, and what deviates, as HTML. Empty when the check was not reached. Pure.
std::string counts_table(const CountComparison& counts, Language language);

}  // namespace stele::restore
