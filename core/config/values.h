#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/time.h"

namespace stele::config {

// The written forms of quantities, as configuration files and command lines use them. All functions are pure; a text
// that is not one gives kConfig with "expected ...". Nothing is guessed: a size without a unit is bytes, a duration
// needs its unit.

/// "512", "64KiB", "16MiB", "2GiB", "1TiB" (powers of 1,024) and "10kB", "5MB", "2GB", "1TB" (powers of 1,000).
/// Fractions are refused.
Result<std::uint64_t> parse_bytes(std::string_view text);

/// "250us", "5ms", "10s", "3m", "1h30m", "2d": numbers with units, largest unit first, each at most once. At most 100
/// years.
Result<Duration> parse_duration(std::string_view text);

/// Bytes per second from "20Mbit/s", "1Gbit/s", "500kbit/s" (powers of 1,000, bits) or a size with "/s": "5MB/s",
/// "4MiB/s". "unlimited" is 0, which means no limit.
Result<std::uint64_t> parse_rate(std::string_view text);

/// "16.0 MiB", for people. `format_rate` adds "/s".
std::string format_bytes(std::uint64_t bytes);
std::string format_rate(double bytes_per_second);
/// "1h 30m", "4.2 s", "12 ms", for people: two units at most.
std::string format_duration(Duration duration);
/// The same for Chinese sentences, in whole seconds and two units at most: "3 天 4 小时".
std::string format_duration_zh(Duration duration);

/// A network address "host:port" or "[ipv6]:port".
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
  /// The written form, with brackets around an IPv6 address.
  std::string to_string() const;
};
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace stele::config
