#include "agent/stream/recovery_point.h"

#include <algorithm>

namespace stele::agent {

namespace {
constexpr std::size_t kMostMarks = 4096;
}  // namespace

void RecoveryPoint::begin_stream() {
  marks_.clear();
  reached_.end = {};
}

void RecoveryPoint::sealed(Position end, Timestamp last_commit, Position server_end, Timestamp server_time) {
  const Timestamp before = marks_.empty() ? reached_.time : marks_.back().time;
  marks_.push_back({end, std::max(before, end >= server_end ? server_time : last_commit)});
  if (marks_.size() < kMostMarks) return;
  // Every other one goes: a position between two marks then counts as the earlier one, which is never too good.
  std::deque<Mark> kept;
  for (std::size_t i = 1; i < marks_.size(); i += 2) kept.push_back(marks_[i]);
  if (marks_.size() % 2 == 1) kept.push_back(marks_.back());
  marks_ = std::move(kept);
}

void RecoveryPoint::heard(Position server_end, Timestamp server_time) {
  Mark& newest = marks_.empty() ? reached_ : marks_.back();
  if (newest.end >= server_end) newest.time = std::max(newest.time, server_time);
}

Timestamp RecoveryPoint::reached(Position end) {
  while (!marks_.empty() && marks_.front().end <= end) {
    reached_ = marks_.front();
    marks_.pop_front();
  }
  return reached_.time;
}

}  // namespace stele::agent
