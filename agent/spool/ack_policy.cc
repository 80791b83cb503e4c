#include "agent/spool/ack_policy.h"

#include <algorithm>
#include <vector>

namespace stele::agent {

void AckPolicy::begin_stream(const StreamId& stream) {
  stream_ = stream;
  spool_ = confirmed_ = waiting_at_ = {};
  receivers_.clear();
  waiting_since_.reset();
}

void AckPolicy::spool_durable(Position end, Instant now) {
  spool_ = std::max(spool_, end);
  update(now);
}

void AckPolicy::receiver_durable(const std::string& receiver, const StreamId& stream, Position end, Instant now) {
  if (stream != stream_) return;
  receivers_[receiver] = end;  // may go back: a receiver that rolled back holds less
  update(now);
}

void AckPolicy::tick(Instant now) { update(now); }

Position AckPolicy::quorum_end() const {
  std::vector<Position> ends;
  for (const auto& [name, end] : receivers_) ends.push_back(end);
  const auto k = static_cast<std::size_t>(options_.quorum);
  if (k == 0 || ends.size() < k) return {};
  std::nth_element(ends.begin(), ends.begin() + static_cast<std::ptrdiff_t>(k - 1), ends.end(), std::greater<>());
  return ends[k - 1];
}

void AckPolicy::update(Instant now) {
  if (options_.spool_only) {
    confirmed_ = std::max(confirmed_, spool_);
    return;
  }
  const Position quorum = std::min(quorum_end(), spool_);
  if (quorum >= spool_) {
    waiting_since_.reset();
  } else if (!waiting_since_ || quorum > waiting_at_) {
    waiting_since_ = now;  // the quorum moves: it is slow, not lost
    waiting_at_ = quorum;
  }
  if (!degraded_ && options_.may_degrade && waiting_since_ && now - *waiting_since_ >= options_.degrade_after) {
    degraded_ = true;
    transition_ = true;
  } else if (degraded_ && quorum >= confirmed_ && quorum >= spool_) {
    degraded_ = false;
    transition_ = false;
  }
  confirmed_ = std::max(confirmed_, degraded_ ? spool_ : quorum);
}

}  // namespace stele::agent
