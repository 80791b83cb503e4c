#include "agent/snapshot/names.h"

#include <fmt/format.h>

namespace stele::agent {

void NameOrder::append(const ChunkName& name, std::vector<format::ChunkList>& full) {
  list_.names.push_back(name);
  ++count_;
  if (list_.names.size() == format::kMaxListNames) full.push_back(std::exchange(list_, {}));
}

void NameOrder::add(std::uint64_t index, const ChunkName& name, std::vector<format::ChunkList>& full) {
  const std::size_t at = static_cast<std::size_t>(index - count_);
  if (at >= window_.size()) window_.resize(at + 1);
  window_[at] = name;
  while (!window_.empty() && window_.front()) {
    append(*window_.front(), full);
    window_.pop_front();
  }
}

Status NameOrder::finish(const std::vector<ChunkName>& tail, std::vector<format::ChunkList>& full) {
  if (!window_.empty())
    return Error{ErrorCode::kInternal, fmt::format("snapshot: chunk {} was never named", count_), ""};
  for (const ChunkName& name : tail) append(name, full);
  if (!list_.names.empty()) full.push_back(std::exchange(list_, {}));
  return {};
}

bool RecentNames::insert(const ChunkName& name) {
  if (young_.contains(name)) return false;
  const bool fresh = !old_.contains(name);
  if (young_.size() >= half_) old_ = std::exchange(young_, {});
  young_.insert(name);
  return fresh;
}

}  // namespace stele::agent
