#include "agent/spool/ack_policy.h"

#include <algorithm>
#include <vector>

namespace stele::agent {

void AckPolicy::begin_stream(const StreamId& stream) {
  stream_ = stream;
  spool_ = confirmed_ = waiting_at_ = probe_ = {};
  waiting_since_.reset();
}

void AckPolicy::spool_durable(Position end, Instant now) {
  spool_ = std::max(spool_, end);
  update(now);
}

void AckPolicy::receiver_durable(const std::string& receiver, const StreamId& stream, Position end, Instant now) {
  receivers_[stream][receiver] = end;
  if (stream == stream_) update(now);
}

void AckPolicy::receiver_lacks(const std::string& receiver, bool lacks, Instant now) {
  lacks ? void(lacking_.insert(receiver)) : void(lacking_.erase(receiver));
  update(now);
}

void AckPolicy::tick(Instant now) { update(now); }

Position AckPolicy::kth_end(bool whole_only) const {
  std::vector<Position> ends;
  if (auto current = receivers_.find(stream_); current != receivers_.end()) {
    for (const auto& [name, end] : current->second) {
      if (!whole_only || !lacking_.contains(name)) ends.push_back(end);
    }
  }
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
    probe_ = spool_;
    probe_since_ = now;
  } else if (degraded_ && quorum >= probe_) {
    // Under load the quorum is always a little behind the spool: what counts is that it follows soon enough.
    if (quorum >= spool_ || now - probe_since_ < options_.degrade_after) {
      degraded_ = false;
      transition_ = false;
      waiting_since_ = now;
      waiting_at_ = quorum;
    }
    probe_ = spool_;
    probe_since_ = now;
  }
  confirmed_ = std::max(confirmed_, degraded_ ? spool_ : quorum);
}

}  // namespace stele::agent
