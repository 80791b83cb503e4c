#pragma once

#include <vector>

#include "restore/report/history.h"
#include "restore/report/html.h"

namespace stele::restore {

/// An item of a standard, and what this drill measured that belongs to it. No verdict: whether the item is met, an assessor says.
struct StandardItem {
  std::string standard;  ///< "GB/T 22239-2019"
  std::string clause;    ///< "8.1.4.9 b)"
  std::string title;
  std::string fact;      ///< measured in this drill, or that it was not measured
};

/// GB/T 22239-2019 (level 3) and GB/T 20988-2025 (by the titles of its clauses). Pure.
std::vector<StandardItem> standard_items(const DrillResult& result, const History& earlier, Language language);

}  // namespace stele::restore
