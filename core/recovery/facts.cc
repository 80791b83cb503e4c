#include "core/recovery/facts.h"

#include <fmt/format.h>

namespace stele::recovery {

const BranchFact* Facts::branch(const StreamId& stream) const {
  for (const BranchFact& b : branches) {
    if (b.stream == stream) return &b;
  }
  return nullptr;
}

std::string Moment::to_string() const {
  if (time.is_none()) return position.to_string();
  return fmt::format("{} ({})", position.to_string(), to_iso8601(time));
}

}  // namespace stele::recovery
