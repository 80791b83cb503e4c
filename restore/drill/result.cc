#include "restore/drill/result.h"

#include <algorithm>

namespace stele::restore {

std::string_view check_result_name(CheckResult result) {
  switch (result) {
    case CheckResult::kPassed: return "passed";
    case CheckResult::kFailed: return "failed";
    case CheckResult::kSkipped: return "skipped";
  }
  return "failed";
}

std::string_view phase_name(Phase phase) {
  switch (phase) {
    case Phase::kPlan: return "plan";
    case Phase::kFetch: return "fetch";
    case Phase::kWrite: return "write";
    case Phase::kReplay: return "replay";
    case Phase::kStart: return "start";
    case Phase::kChecks: return "checks";
  }
  return "unknown";
}

std::string_view count_problem_name(CountDeviation::Problem problem) {
  switch (problem) {
    case CountDeviation::Problem::kDatabaseMissing: return "database_missing";
    case CountDeviation::Problem::kFewerRelations: return "fewer_relations";
    case CountDeviation::Problem::kTableMissing: return "table_missing";
    case CountDeviation::Problem::kFewerRows: return "fewer_rows";
    case CountDeviation::Problem::kNotCounted: return "not_counted";
  }
  return "not_counted";
}

std::size_t DrillResult::count(CheckResult result) const {
  return static_cast<std::size_t>(std::count_if(checks.begin(), checks.end(), [&](const Check& c) { return c.result == result; }));
}

bool DrillResult::passed() const {
  return ran && problem.empty() && count(CheckResult::kFailed) == 0 && count(CheckResult::kPassed) > 0 && wipe.nothing_left;
}

}  // namespace stele::restore
