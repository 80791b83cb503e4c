#include "receiver/ingest/range_set.h"

namespace stele::receiver {

void RangeSet::add(PositionRange range) {
  if (range.empty()) return;
  auto next = ranges_.upper_bound(range.begin);
  if (next != ranges_.begin()) {
    auto previous = std::prev(next);
    if (previous->second >= range.begin) {
      range.begin = previous->first;
      range.end = std::max(range.end, previous->second);
      next = ranges_.erase(previous);
    }
  }
  while (next != ranges_.end() && next->first <= range.end) {
    range.end = std::max(range.end, next->second);
    next = ranges_.erase(next);
  }
  ranges_.emplace(range.begin, range.end);
}

void RangeSet::remove(PositionRange range) {
  if (range.empty()) return;
  auto at = ranges_.upper_bound(range.begin);
  if (at != ranges_.begin() && std::prev(at)->second > range.begin) --at;
  while (at != ranges_.end() && at->first < range.end) {
    const auto [begin, end] = *at;
    at = ranges_.erase(at);
    if (begin < range.begin) ranges_.emplace(begin, range.begin);
    if (end > range.end) ranges_.emplace(range.end, end);
  }
}

bool RangeSet::covers(PositionRange range) const {
  auto next = ranges_.upper_bound(range.begin);
  if (next == ranges_.begin()) return false;
  auto holder = std::prev(next);
  return range.begin <= holder->second && range.end <= holder->second;
}

Position RangeSet::begin_of(Position end) const {
  auto next = ranges_.upper_bound(end);
  if (next == ranges_.begin()) return end;
  auto holder = std::prev(next);
  return end <= holder->second ? holder->first : end;
}

std::vector<PositionRange> RangeSet::ranges() const {
  std::vector<PositionRange> out;
  for (const auto& [begin, end] : ranges_) out.push_back({begin, end});
  return out;
}

}  // namespace stele::receiver
