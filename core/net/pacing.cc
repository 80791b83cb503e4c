#include "core/net/pacing.h"

#include <algorithm>
#include <cmath>

namespace stele::net {

TokenBucket::TokenBucket(std::uint64_t rate, std::uint64_t burst, Instant now)
    : rate_(rate), burst_(static_cast<double>(burst)), tokens_(burst_), last_(now) {}

void TokenBucket::refill(Instant now) {
  if (now <= last_) return;
  const double seconds = std::chrono::duration<double>(now - last_).count();
  tokens_ = std::min(burst_, tokens_ + seconds * static_cast<double>(rate_));
  last_ = now;
}

std::chrono::nanoseconds TokenBucket::delay(std::uint64_t bytes, Instant now) {
  if (rate_ == 0) return std::chrono::nanoseconds::zero();
  refill(now);
  const double needed = std::min(static_cast<double>(bytes), burst_) - tokens_;
  if (needed <= 0) return std::chrono::nanoseconds::zero();
  // Rounded up, so that waiting exactly so long is enough; a day bounds the conversion for tiny rates.
  const double seconds = std::min(needed / static_cast<double>(rate_), 86400.0);
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::ceil(seconds * 1e9)) + 1);
}

void TokenBucket::take(std::uint64_t bytes, Instant now) {
  if (rate_ == 0) return;
  refill(now);
  tokens_ -= static_cast<double>(bytes);
}

void TokenBucket::set_rate(std::uint64_t rate, std::uint64_t burst, Instant now) {
  if (rate_ == 0) {
    tokens_ = static_cast<double>(burst);
    last_ = now;
  } else {
    refill(now);
  }
  rate_ = rate;
  burst_ = static_cast<double>(burst);
  tokens_ = std::min(tokens_, burst_);
}

}  // namespace stele::net
