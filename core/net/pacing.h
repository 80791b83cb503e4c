#pragma once

#include <cstdint>

#include "core/base/time.h"

namespace stele::net {

/// A token bucket for bytes: the agent's bandwidth limit and a receiver's limit for each site. Pure; not thread-safe.
///
/// A sender asks delay() before it sends `bytes`, waits that long, and calls take(). A message larger than the burst is
/// allowed once the bucket is full and leaves a debt, so that one large message is never stuck.
class TokenBucket {
 public:
  /// rate in bytes per second, 0 = unlimited; burst in bytes (how much may go at once after a pause).
  TokenBucket(std::uint64_t rate, std::uint64_t burst, Instant now);

  /// Zero when `bytes` may go now, else how long until they may.
  std::chrono::nanoseconds delay(std::uint64_t bytes, Instant now);
  void take(std::uint64_t bytes, Instant now);
  /// A new rate from now on (hourly windows of the configuration); what was saved up is kept up to the new burst.
  void set_rate(std::uint64_t rate, std::uint64_t burst, Instant now);
  std::uint64_t rate() const { return rate_; }

 private:
  void refill(Instant now);
  std::uint64_t rate_;
  double burst_;
  double tokens_;
  Instant last_;
};

}  // namespace stele::net
