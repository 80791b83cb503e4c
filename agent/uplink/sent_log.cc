#include "agent/uplink/sent_log.h"

#include <algorithm>

namespace stele::agent {

std::optional<SentLog::Sent> SentLog::acknowledged(const ObjectId& object, std::uint32_t number) {
  auto named = std::find_if(waiting_.begin(), waiting_.end(), [&](const Sent& s) { return s.object == object && s.number == number; });
  if (named == waiting_.end()) return std::nullopt;
  const Sent last = *named;
  for (auto each = waiting_.begin(); each != std::next(named); ++each) ends_[each->stream] = std::max(ends_[each->stream], each->end);
  waiting_.erase(waiting_.begin(), std::next(named));
  return last;
}

bool SentLog::explains(const StreamId& stream, Position end, const ObjectId& object, std::uint32_t number) {
  if (auto known = ends_.find(stream); known != ends_.end() && end <= known->second) return true;
  const bool was_sent = std::any_of(waiting_.begin(), waiting_.end(), [&](const Sent& s) { return s.object == object && s.number == number; });
  if (was_sent) ends_[stream] = std::max(ends_[stream], end);
  return was_sent;
}

}  // namespace stele::agent
