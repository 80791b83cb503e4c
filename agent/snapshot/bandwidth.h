#pragma once

#include <mutex>

#include "core/base/time.h"
#include "core/config/bandwidth.h"
#include "core/net/pacing.h"

namespace stele::agent {

/// The configured bandwidth of this agent's line, shared by the change log and the snapshot: the log never waits, what
/// it sends is taken from what the snapshot may send. Thread-safe.
class SharedBandwidth {
 public:
  SharedBandwidth(config::BandwidthPlan plan, Clock& clock);

  /// The log sent so many bytes: counted, never delayed.
  void log_sent(std::uint64_t bytes);
  /// How many of `wanted` bytes (at least 1) may go now: all where there is no limit, else at most kSlice; 0: ask again
  /// after `wait`.
  std::size_t take(std::size_t wanted, std::chrono::nanoseconds& wait);

  /// Bytes per second now, 0: no limit.
  std::uint64_t limit();

  /// What is handed to the socket at once: 16 KiB take 6.5 ms on a line of 20 Mbit/s.
  static constexpr std::size_t kSlice = 16 << 10;

 private:
  void follow_plan();
  const config::BandwidthPlan plan_;
  Clock& clock_;
  std::mutex mutex_;
  net::TokenBucket bucket_;
};

}  // namespace stele::agent
