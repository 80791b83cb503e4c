#include "core/base/reason.h"

#include <algorithm>

namespace stele {

std::string_view level_word(Level level) {
  switch (level) {
    case Level::kOk: return "ok";
    case Level::kWarning: return "warning";
    case Level::kCritical: return "critical";
  }
  return "critical";
}

Level worst(const std::vector<Reason>& reasons) {
  Level level = Level::kOk;
  for (const Reason& r : reasons) level = std::max(level, r.level);
  return level;
}

void Reasons::add(Level level, std::string code, std::string english, std::string chinese) {
  all_.push_back({level, std::move(code), std::move(english), std::move(chinese)});
}

std::vector<Reason> Reasons::worst_first() {
  std::stable_sort(all_.begin(), all_.end(), [](const Reason& a, const Reason& b) { return a.level > b.level; });
  return std::move(all_);
}

}  // namespace stele
