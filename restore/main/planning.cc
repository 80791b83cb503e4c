#include "restore/main/planning.h"

#include <fmt/format.h>

namespace stele::restore {

namespace {

bool is_log(const StoreCatalog& catalog, const Problem& problem) {
  const std::string prefix = catalog.database().to_string() + "/";
  if (!problem.object.starts_with(prefix)) return true;  // the journal
  const std::string_view rest = std::string_view(problem.object).substr(prefix.size());
  return rest.starts_with("log/") || rest.starts_with("branch/");
}

}  // namespace

Result<recovery::Plan> plan_restore(const StoreCatalog& catalog, const recovery::Target& target, const recovery::PlanOptions& options, recovery::LogIndex* index) {
  const Problem* damage = nullptr;
  const Problem* log_damage = nullptr;
  for (const Problem& problem : catalog.problems()) {
    if (exit_code(problem.error.code) != 4) continue;
    if (damage == nullptr) damage = &problem;
    if (log_damage == nullptr && is_log(catalog, problem)) log_damage = &problem;
  }
  if (target.kind == recovery::TargetKind::kLatest && log_damage != nullptr && !options.accept_damaged) {
    return Error{log_damage->error.code, fmt::format("the latest moment may lie in {}: {}; nothing was written", log_damage->object, log_damage->error.what),
                 "give a target before it, ask another receiver, or --accept-damaged for what is left"};
  }
  auto plan = recovery::make_plan(catalog.facts(), target, options, index);
  if (plan.ok() || plan.error().code != ErrorCode::kUnreachable || damage == nullptr) return plan;
  return Error{damage->error.code, fmt::format("{}; {}: {}", plan.error().what, damage->object, damage->error.what), plan.error().hint};
}

}  // namespace stele::restore
