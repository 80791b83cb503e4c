#include "core/config/bandwidth.h"

#include <fmt/format.h>

#include <optional>

namespace stele::config {
namespace {

/// "HH:MM" to minutes; "24:00" is the end of the day.
std::optional<int> parse_clock(std::string_view text) {
  auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : -1000; };
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const int hour = digit(0) * 10 + digit(1), minute = digit(3) * 10 + digit(4);
  if (hour < 0 || minute < 0 || minute > 59 || hour * 60 + minute > 1440) return std::nullopt;
  return hour * 60 + minute;
}

}  // namespace

bool BandwidthWindow::contains(int minute) const {
  if (begin_minute < end_minute) return begin_minute <= minute && minute < end_minute;
  return minute >= begin_minute || minute < end_minute;
}

Result<BandwidthWindow> parse_hours(std::string_view text) {
  const Error error{
      ErrorCode::kConfig,
      fmt::format("expected hours such as \"08:00-20:00\" or \"22:00-06:00\", found \"{}\"", text.substr(0, 60)), ""};
  if (text.size() != 11 || text[5] != '-') return error;
  const auto begin = parse_clock(text.substr(0, 5)), end = parse_clock(text.substr(6));
  if (!begin || !end || *begin == *end || *begin == 1440 || *end == 0) {
    if (begin && end && *end == 0 && *begin != 0) return error.with_hint("midnight at the end is written 24:00");
    return error;
  }
  return BandwidthWindow{*begin, *end, 0};
}

std::uint64_t BandwidthPlan::limit_at(Timestamp now) const {
  if (windows_.empty()) return limit_;
  const int minute = zone_.minute_of_day(now);
  for (const BandwidthWindow& window : windows_) {
    if (window.contains(minute)) return window.bytes_per_second;
  }
  return limit_;
}

}  // namespace stele::config
