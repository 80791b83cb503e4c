#include "restore/main/planning.h"

#include <fmt/format.h>

#include <algorithm>

namespace stele::restore {

namespace {

bool is_log(const StoreCatalog& catalog, const Problem& problem) {
  const std::string prefix = catalog.database().to_string() + "/";
  if (!problem.object.starts_with(prefix)) return true;  // the journal
  const std::string_view rest = std::string_view(problem.object).substr(prefix.size());
  return rest.starts_with("log/") || rest.starts_with("branch/");
}

/// Something is here and does not count.
bool is_damage(const Problem& problem) { return !problem.hides_newer && exit_code(problem.error.code) == 4; }

}  // namespace

Status check_newest(const StoreCatalog& catalog, const Accept& accept) {
  for (const Problem& problem : catalog.problems()) {
    std::string_view hint;
    if (problem.hides_newer) {
      if (!accept.older) hint = "try again, give a target before it, or --accept-older for what the others hold; a receiver that is gone for good comes out of the configuration";
    } else if (is_damage(problem) && is_log(catalog, problem) && !accept.damaged) {
      hint = "give a target before it, ask another receiver, or --accept-damaged for what is left";
    }
    if (!hint.empty()) return Error{problem.error.code, fmt::format("the latest moment may lie in {}: {}", problem.object, problem.error.what), std::string(hint)};
  }
  return {};
}

Result<recovery::Plan> plan_restore(const StoreCatalog& catalog, const recovery::Target& target, const recovery::PlanOptions& options, bool accept_older,
                                    recovery::LogIndex* index) {
  if (target.kind == recovery::TargetKind::kLatest) {
    Status newest = check_newest(catalog, {accept_older, options.accept_damaged});
    if (!newest.ok()) return Error{newest.error().code, newest.error().what + "; nothing was written", newest.error().hint};
  }
  auto plan = recovery::make_plan(catalog.facts(), target, options, index);
  if (plan.ok() || plan.error().code != ErrorCode::kUnreachable) return plan;
  const auto& problems = catalog.problems();
  auto damage = std::find_if(problems.begin(), problems.end(), is_damage);
  if (damage == problems.end() && !accept_older) damage = std::find_if(problems.begin(), problems.end(), [](const Problem& p) { return p.hides_newer; });
  if (damage == problems.end()) return plan;
  return Error{damage->error.code, fmt::format("{}; {}: {}", plan.error().what, damage->object, damage->error.what), plan.error().hint};
}

}  // namespace stele::restore
