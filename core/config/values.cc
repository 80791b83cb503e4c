#include "core/config/values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace stele::config {
namespace {

Error expected(std::string_view what, std::string_view text) {
  return Error{ErrorCode::kConfig, fmt::format("expected {}, found \"{}\"", what, text.substr(0, 80)), ""};
}

struct Unit {
  std::string_view word;
  std::uint64_t factor;
};

constexpr std::array<Unit, 10> kSizeUnits{{{"", 1},
                                           {"B", 1},
                                           {"KiB", 1ull << 10},
                                           {"MiB", 1ull << 20},
                                           {"GiB", 1ull << 30},
                                           {"TiB", 1ull << 40},
                                           {"kB", 1000},
                                           {"MB", 1000'000},
                                           {"GB", 1000'000'000},
                                           {"TB", 1000'000'000'000}}};
constexpr std::array<Unit, 4> kBitRateUnits{
    {{"bit/s", 1}, {"kbit/s", 1000}, {"Mbit/s", 1000'000}, {"Gbit/s", 1000'000'000}}};
// Largest first: the order a duration is written in.
constexpr std::array<Unit, 6> kTimeUnits{
    {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1000}, {"us", 1}}};
constexpr std::uint64_t kMostMicros = 36'525ull * 86'400'000'000;  // 100 years

/// Takes the digits at the start of `text`; false when there are none or they do not fit.
bool take_number(std::string_view& text, std::uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

template <std::size_t N>
bool scale(std::string_view unit, const std::array<Unit, N>& units, std::uint64_t& number) {
  for (const Unit& u : units) {
    if (unit != u.word) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / u.factor) return false;
    number *= u.factor;
    return true;
  }
  return false;
}

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) {
  std::string_view rest = text;
  std::uint64_t number = 0;
  if (!take_number(rest, number) || !scale(rest, kSizeUnits, number)) {
    return expected("a size such as \"512KiB\", \"16MiB\" or \"2GB\"", text);
  }
  return number;
}

Result<Duration> parse_duration(std::string_view text) {
  const Error error = expected("a duration such as \"5ms\", \"10s\" or \"1h30m\"", text);
  std::string_view rest = text;
  std::uint64_t total = 0;
  std::size_t next_unit = 0;
  if (rest.empty()) return error;
  while (!rest.empty()) {
    std::uint64_t number = 0;
    if (!take_number(rest, number)) return error;
    const std::string_view word = rest.substr(0, rest.find_first_of("0123456789"));
    std::size_t unit = next_unit;
    while (unit < kTimeUnits.size() && kTimeUnits[unit].word != word) ++unit;
    if (unit == kTimeUnits.size()) return error;
    if (number > kMostMicros / kTimeUnits[unit].factor) return error;
    total += number * kTimeUnits[unit].factor;
    if (total > kMostMicros) return error;
    next_unit = unit + 1;
    rest.remove_prefix(word.size());
  }
  return Duration(static_cast<std::int64_t>(total));
}

Result<std::uint64_t> parse_rate(std::string_view text) {
  const Error error = expected("a rate such as \"20Mbit/s\", \"5MB/s\" or \"unlimited\"", text);
  if (text == "unlimited") return std::uint64_t{0};
  std::string_view rest = text;
  std::uint64_t number = 0;
  if (!take_number(rest, number)) return error;
  std::uint64_t bits = number;
  if (scale(rest, kBitRateUnits, bits)) {
    number = bits / 8;
  } else {
    if (!rest.ends_with("/s")) return error;
    rest.remove_suffix(2);
    if (rest.empty() || !scale(rest, kSizeUnits, number)) return error;
  }
  // Zero means "unlimited" to every reader of the value: somebody who writes 0 means the opposite.
  if (number == 0) return error;
  return number;
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::array<std::string_view, 6> kWords{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t word = 0;
  // 1023.95 would be printed as 1024.0.
  while (value >= 1023.95 && word + 1 < kWords.size()) {
    value /= 1024;
    ++word;
  }
  return fmt::format("{:.1f} {}", value, kWords[word]);
}

std::string format_rate(double bytes_per_second) {
  if (!(bytes_per_second > 0)) return "0 B/s";
  if (bytes_per_second >= 9e18) bytes_per_second = 9e18;
  return format_bytes(static_cast<std::uint64_t>(bytes_per_second)) + "/s";
}

std::string format_duration(Duration duration) {
  const std::int64_t micros = duration.count();
  if (micros < 0)
    return "-" + format_duration(micros == std::numeric_limits<std::int64_t>::min() ? Duration::max() : -duration);
  if (micros < 1000) return fmt::format("{} us", micros);
  if (micros < 1'000'000) return fmt::format("{} ms", micros / 1000);
  if (micros < 9'950'000) return fmt::format("{:.1f} s", static_cast<double>(micros) / 1e6);
  const std::int64_t seconds = micros / 1'000'000 + (micros % 1'000'000 >= 500'000 ? 1 : 0);
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h {}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds % 86'400 / 3600);
}

std::string format_duration_zh(Duration duration) {
  const std::int64_t s = duration.count() / 1'000'000 + duration.count() % 1'000'000 / 500'000;  // any duration, without overflow
  auto two = [](std::int64_t a, const char* unit, std::int64_t b, const char* lesser) { return b == 0 ? fmt::format("{} {}", a, unit) : fmt::format("{} {} {} {}", a, unit, b, lesser); };
  if (s < 60) return fmt::format("{} 秒", s);
  if (s < 3600) return two(s / 60, "分", s % 60, "秒");
  if (s < 86'400) return two(s / 3600, "小时", s / 60 % 60, "分");
  return two(s / 86'400, "天", s / 3600 % 24, "小时");
}

std::string Endpoint::to_string() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const Error error = expected("an address such as \"receiver.example.org:9550\" or \"[::1]:9550\"", text);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.size() > 300) return error;
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    if (host.find_first_not_of("0123456789abcdefABCDEF:.%") != std::string_view::npos) return error;
  } else if (host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
             std::string_view::npos) {
    return error;
  }
  std::uint64_t number = 0;
  if (host.empty() || !take_number(port, number) || !port.empty() || number == 0 || number > 65535) return error;
  return Endpoint{std::string(host), static_cast<std::uint16_t>(number)};
}

}  // namespace stele::config
