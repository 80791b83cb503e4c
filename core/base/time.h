#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>

#include "core/base/result.h"

namespace stele {

/// A moment on the wall clock in microseconds since 1970-01-01 00:00:00 UTC: PostgreSQL's resolution. 0 means "none".
struct Timestamp {
  std::int64_t micros = 0;
  auto operator<=>(const Timestamp&) const = default;
  bool is_none() const { return micros == 0; }
};

using Duration = std::chrono::microseconds;
/// A moment on the monotonic clock; only differences mean something.
using Instant = std::chrono::steady_clock::time_point;

/// Times come from other hosts: what would be out of range stays at its end.
inline Timestamp operator+(Timestamp t, Duration d) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(t.micros, d.count(), &sum)) sum = d.count() > 0 ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min();
  return {sum};
}
inline Duration operator-(Timestamp a, Timestamp b) {
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(a.micros, b.micros, &difference)) return a > b ? Duration::max() : Duration::min();
  return Duration(difference);
}

/// "2026-11-23T15:33:45.123456Z"; the fraction is left out when it is zero.
std::string to_iso8601(Timestamp t);
/// ISO 8601 with "T" or a space, an optional fraction, and a zone ("Z", "+08", "+08:00", "+0800"). Without a zone the host's is used.
/// kUsage when it is not a time.
Result<Timestamp> parse_timestamp(std::string_view text);

/// The seam for time: decisions are given times, shells ask a Clock. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() = 0;
  virtual Instant steady_now() = 0;
};

/// The host's clocks.
class SystemClock final : public Clock {
 public:
  Timestamp now() override;
  Instant steady_now() override;
};

}  // namespace stele
