#include "core/base/time.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace stele {

namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;

/// Reads exactly `digits` digits at `pos`, or fails.
bool read_number(std::string_view text, std::size_t& pos, int digits, int& out) {
  out = 0;
  for (int i = 0; i < digits; ++i, ++pos) {
    if (pos >= text.size() || !std::isdigit(static_cast<unsigned char>(text[pos]))) return false;
    out = out * 10 + (text[pos] - '0');
  }
  return true;
}

bool skip(std::string_view text, std::size_t& pos, char c) {
  if (pos >= text.size() || text[pos] != c) return false;
  ++pos;
  return true;
}

int days_of_month(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

/// The zone at `pos` to the end of the text as seconds east of UTC.
bool read_zone(std::string_view text, std::size_t pos, int& seconds_east) {
  if (text.substr(pos) == "Z" || text.substr(pos) == "z") {
    seconds_east = 0;
    return true;
  }
  int sign = skip(text, pos, '+') ? 1 : skip(text, pos, '-') ? -1 : 0;
  int hours = 0, minutes = 0;
  if (sign == 0 || !read_number(text, pos, 2, hours)) return false;
  if (pos < text.size()) {
    skip(text, pos, ':');
    if (!read_number(text, pos, 2, minutes) || pos != text.size()) return false;
  }
  if (hours > 15 || minutes > 59) return false;
  seconds_east = sign * (hours * 3600 + minutes * 60);
  return true;
}

}  // namespace

std::string to_iso8601(Timestamp t) {
  std::int64_t seconds = t.micros / kMicrosPerSecond, micros = t.micros % kMicrosPerSecond;
  if (micros < 0) {
    micros += kMicrosPerSecond;
    --seconds;
  }
  std::time_t when = seconds;
  std::tm tm{};
  gmtime_r(&when, &tm);
  std::string out = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                                tm.tm_min, tm.tm_sec);
  if (micros != 0) out += fmt::format(".{:06}", micros);
  return out + "Z";
}

Result<Timestamp> parse_timestamp(std::string_view text) {
  Error bad{ErrorCode::kUsage, fmt::format("'{}' is not a time", text), "write it as 2026-11-23T15:30:00+08:00"};
  std::tm tm{};
  std::size_t pos = 0;
  int year = 0, month = 0;
  if (!read_number(text, pos, 4, year) || !skip(text, pos, '-') || !read_number(text, pos, 2, month) || !skip(text, pos, '-') ||
      !read_number(text, pos, 2, tm.tm_mday)) {
    return bad;
  }
  if (!skip(text, pos, 'T') && !skip(text, pos, ' ')) return bad;
  if (!read_number(text, pos, 2, tm.tm_hour) || !skip(text, pos, ':') || !read_number(text, pos, 2, tm.tm_min)) return bad;
  if (skip(text, pos, ':') && !read_number(text, pos, 2, tm.tm_sec)) return bad;
  std::int64_t micros = 0;
  if (skip(text, pos, '.')) {
    std::int64_t unit = kMicrosPerSecond / 10;
    std::size_t first = pos;
    for (; pos < text.size() && std::isdigit(static_cast<unsigned char>(text[pos])); ++pos, unit /= 10) micros += unit * (text[pos] - '0');
    if (pos == first) return bad;
  }
  if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > days_of_month(year, month)) return bad;
  // 24:00:00 is the end of the day, 60 a leap second.
  if (tm.tm_hour > 24 || tm.tm_min > 59 || tm.tm_sec > 60 || (tm.tm_hour == 24 && (tm.tm_min != 0 || tm.tm_sec != 0 || micros != 0))) return bad;
  tm.tm_year = year - 1900;
  tm.tm_mon = month - 1;
  while (pos < text.size() && text[pos] == ' ') ++pos;
  std::time_t seconds = 0;
  if (pos == text.size()) {
    tm.tm_isdst = -1;
    seconds = std::mktime(&tm);
  } else {
    int east = 0;
    if (!read_zone(text, pos, east)) return bad;
    seconds = timegm(&tm) - east;
  }
  return Timestamp{static_cast<std::int64_t>(seconds) * kMicrosPerSecond + micros};
}

Timestamp SystemClock::now() {
  return {std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
}

Instant SystemClock::steady_now() { return std::chrono::steady_clock::now(); }

}  // namespace stele
