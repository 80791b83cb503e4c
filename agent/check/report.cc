#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "agent/check/decisions.h"

namespace stele::agent {

namespace {

std::string_view colour_of(CheckLevel level) {
  switch (level) {
    case CheckLevel::kOk:
      return "\033[32m";
    case CheckLevel::kWarn:
      return "\033[33m";
    case CheckLevel::kFail:
      break;
  }
  return "\033[31m";
}

}  // namespace

std::string checks_text(const std::vector<Check>& checks, bool colour) {
  std::string out;
  std::size_t warnings = 0, failures = 0;
  for (const Check& check : checks) {
    warnings += check.level == CheckLevel::kWarn ? 1 : 0;
    failures += check.level == CheckLevel::kFail ? 1 : 0;
    const std::string level = fmt::format("{:<4}", check_level_name(check.level));
    out += fmt::format("{}  {}: {}\n", colour ? fmt::format("{}{}\033[0m", colour_of(check.level), level) : level, check.name, check.what);
    if (check.what_to_do.empty()) continue;
    std::string indented = check.what_to_do;
    for (std::size_t at = 0; (at = indented.find('\n', at)) != std::string::npos; at += 9) indented.replace(at, 1, "\n        ");
    out += fmt::format("      → {}\n", indented);
  }
  return out + fmt::format("{} checks, {} warnings, {} failures\n", checks.size(), warnings, failures);
}

std::string checks_json(const std::vector<Check>& checks) {
  nlohmann::ordered_json out;
  out["ok"] = check_exit_code(checks) == 0;
  out["checks"] = nlohmann::ordered_json::array();
  for (const Check& check : checks) {
    out["checks"].push_back({{"name", check.name}, {"level", check_level_name(check.level)}, {"what", check.what}, {"what_to_do", check.what_to_do}});
  }
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace stele::agent
