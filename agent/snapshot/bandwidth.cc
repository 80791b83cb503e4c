#include "agent/snapshot/bandwidth.h"

#include <algorithm>

namespace stele::agent {
namespace {

/// What may go at once after a pause: a twentieth of a second, but at least one slice.
std::uint64_t burst_of(std::uint64_t rate) {
  return std::max<std::uint64_t>(rate / 20, SharedBandwidth::kSlice);
}

}  // namespace

SharedBandwidth::SharedBandwidth(config::BandwidthPlan plan, Clock& clock)
    : plan_(std::move(plan)),
      clock_(clock),
      bucket_(plan_.limit_at(clock.now()), burst_of(plan_.limit_at(clock.now())), clock.steady_now()) {}

void SharedBandwidth::follow_plan() {
  const std::uint64_t rate = plan_.limit_at(clock_.now());
  if (rate != bucket_.rate()) bucket_.set_rate(rate, burst_of(rate), clock_.steady_now());
}

void SharedBandwidth::log_sent(std::uint64_t bytes) {
  std::lock_guard lock(mutex_);
  follow_plan();
  bucket_.take(bytes, clock_.steady_now());
}

std::size_t SharedBandwidth::take(std::size_t wanted, std::chrono::nanoseconds& wait) {
  std::lock_guard lock(mutex_);
  follow_plan();
  wait = std::chrono::nanoseconds::zero();
  if (bucket_.rate() == 0) return wanted;
  const std::size_t slice = std::min(wanted, kSlice);
  wait = bucket_.delay(slice, clock_.steady_now());
  if (wait.count() > 0) return 0;
  bucket_.take(slice, clock_.steady_now());
  return slice;
}

std::uint64_t SharedBandwidth::limit() {
  std::lock_guard lock(mutex_);
  follow_plan();
  return bucket_.rate();
}

}  // namespace stele::agent
