#include "core/config/cron.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace stele::config {
namespace {

using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using SysMicros = std::chrono::time_point<std::chrono::system_clock, microseconds>;

SysMicros to_sys(Timestamp time) {
  return SysMicros(microseconds(time.micros));
}

/// No zone is UTC: needs no time zone database.
template <typename D>
date::local_time<D> to_local(const date::time_zone* zone, std::chrono::time_point<std::chrono::system_clock, D> time) {
  const auto offset = zone == nullptr ? seconds(0) : zone->get_info(date::floor<seconds>(time)).offset;
  return date::local_time<D>(time.time_since_epoch() + offset);
}

constexpr std::array<std::string_view, 12> kMonths{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                   "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kDays{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNicknames{{{"@yearly", "0 0 1 1 *"},
                                                                                   {"@annually", "0 0 1 1 *"},
                                                                                   {"@monthly", "0 0 1 * *"},
                                                                                   {"@weekly", "0 0 * * 0"},
                                                                                   {"@daily", "0 0 * * *"},
                                                                                   {"@midnight", "0 0 * * *"},
                                                                                   {"@hourly", "0 * * * *"}}};

/// What one field may hold.
struct FieldRule {
  std::string_view name;
  unsigned lowest, highest;
  const std::string_view* words;  ///< names of the values from first_word, or null
  std::size_t word_count;
  unsigned first_word;
};

bool same_word(std::string_view text, std::string_view upper) {
  if (text.size() != upper.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'a' && text[i] <= 'z' ? static_cast<char>(text[i] - 'a' + 'A') : text[i];
    if (c != upper[i]) return false;
  }
  return true;
}

std::optional<unsigned> parse_value(std::string_view text, const FieldRule& rule) {
  for (std::size_t i = 0; i < rule.word_count; ++i) {
    if (same_word(text, rule.words[i])) return rule.first_word + static_cast<unsigned>(i);
  }
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (value < rule.lowest || value > rule.highest) return std::nullopt;
  return value;
}

/// Sets the bits that one item of a list names: "*", "5", "1-5", "*/15", "8-18/2", "10/20" (from 10 to the highest).
template <typename Set>
bool parse_item(std::string_view item, const FieldRule& rule, Set set) {
  unsigned step = 1;
  const std::size_t slash = item.find('/');
  if (slash != std::string_view::npos) {
    const std::string_view text = item.substr(slash + 1);
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || step == 0 || step > rule.highest)
      return false;
    item = item.substr(0, slash);
  }
  unsigned from = rule.lowest, to = rule.highest;
  if (item != "*") {
    const std::size_t dash = item.find('-');
    const auto first = parse_value(item.substr(0, dash), rule);
    if (!first) return false;
    from = *first;
    if (dash != std::string_view::npos) {
      const auto last = parse_value(item.substr(dash + 1), rule);
      if (!last || *last < from) return false;
      to = *last;
    } else if (slash == std::string_view::npos) {
      to = from;
    }
  }
  for (unsigned value = from; value <= to; value += step) set(value);
  return true;
}

template <typename Set>
Status parse_field(std::string_view text, const FieldRule& rule, Set set) {
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    if (!parse_item(rest.substr(0, comma), rule, set)) {
      return Error{
          ErrorCode::kConfig,
          fmt::format("schedule: the {} \"{}\" is not a number from {} to {}, a range, a step or a list of these",
                      rule.name, text.substr(0, 60), rule.lowest, rule.highest),
          "five fields: minute hour day-of-month month day-of-week, for example \"30 2 * * SUN\""};
    }
    if (comma == std::string_view::npos) return {};
    rest = rest.substr(comma + 1);
  }
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  try {
    TimeZone zone;
    zone.zone_ = name == "local" ? date::current_zone() : date::locate_zone(name);
    return zone;
  } catch (const std::exception&) {
    return Error{ErrorCode::kConfig,
                 fmt::format("expected a time zone such as \"Asia/Shanghai\", found \"{}\"", name.substr(0, 60)),
                 "the names are the files under /usr/share/zoneinfo (package tzdata)"};
  }
}

std::string TimeZone::name() const {
  return zone_ == nullptr ? "UTC" : zone_->name();
}

int TimeZone::minute_of_day(Timestamp time) const {
  const auto local = to_local(zone_, to_sys(time));
  return static_cast<int>(date::floor<minutes>(local - date::floor<date::days>(local)).count());
}

std::string TimeZone::format(Timestamp time) const {
  const auto whole = date::floor<seconds>(to_sys(time));
  return zone_ == nullptr ? date::format("%F %T UTC", whole) : date::format("%F %T %Z", date::make_zoned(zone_, whole));
}

Result<CronSchedule> CronSchedule::parse(std::string_view expression) {
  CronSchedule out;
  out.expression_ = std::string(expression.substr(0, 1000));
  for (const auto& [nickname, fields] : kNicknames) {
    if (expression == nickname) expression = fields;
  }
  std::vector<std::string_view> fields;
  for (std::size_t at = expression.find_first_not_of(" \t"); at != std::string_view::npos && fields.size() < 7;) {
    const std::size_t end = std::min(expression.find_first_of(" \t", at), expression.size());
    fields.push_back(expression.substr(at, end - at));
    at = expression.find_first_not_of(" \t", end);
  }
  if (fields.size() != 5 || expression.size() > 1000) {
    return Error{ErrorCode::kConfig,
                 fmt::format("schedule \"{}\" does not have five fields", out.expression_.substr(0, 100)),
                 "minute hour day-of-month month day-of-week, for example \"30 2 * * SUN\", or @daily"};
  }
  STELE_CHECK(parse_field(fields[0], {"minute", 0, 59, nullptr, 0, 0}, [&](unsigned v) { out.minutes_.set(v); }));
  STELE_CHECK(parse_field(fields[1], {"hour", 0, 23, nullptr, 0, 0}, [&](unsigned v) { out.hours_.set(v); }));
  STELE_CHECK(parse_field(fields[2], {"day of month", 1, 31, nullptr, 0, 0}, [&](unsigned v) { out.days_.set(v); }));
  STELE_CHECK(parse_field(fields[3], {"month", 1, 12, kMonths.data(), kMonths.size(), 1},
                          [&](unsigned v) { out.months_.set(v); }));
  STELE_CHECK(parse_field(fields[4], {"day of week", 0, 7, kDays.data(), kDays.size(), 0},
                          [&](unsigned v) { out.weekdays_.set(v % 7); }));
  out.any_hour_ = fields[1].starts_with('*');
  out.any_day_ = fields[2].starts_with('*');
  out.any_weekday_ = fields[4].starts_with('*');

  // A date that never comes would make next() search for ever.
  constexpr std::array<unsigned, 13> kLongest{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool possible =
      !out.any_weekday_ && !out.any_day_;  // either field may match, and every month has each day of the week
  for (unsigned month = 1; month <= 12; ++month) {
    for (unsigned day = 1; day <= kLongest[month]; ++day) possible = possible || (out.months_[month] && out.days_[day]);
  }
  if (!possible) {
    return Error{ErrorCode::kConfig, fmt::format("schedule \"{}\": this date never comes", out.expression_), ""};
  }
  return out;
}

bool CronSchedule::day_matches(unsigned month, unsigned day, unsigned weekday) const {
  if (!months_[month]) return false;
  // cron's rule: two restricted day fields are alternatives; otherwise both must match (a starred field may carry a
  // step).
  if (!any_day_ && !any_weekday_) return days_[day] || weekdays_[weekday];
  return days_[day] && weekdays_[weekday];
}

Timestamp CronSchedule::next(Timestamp after, const TimeZone& time_zone) const {
  const date::time_zone* zone = time_zone.zone();
  const auto start = date::floor<seconds>(to_sys(after));
  // One day earlier: times inside a gap that swallows a whole day (Samoa, 2011-12-30) fire when the gap ends.
  date::local_days day = date::floor<date::days>(to_local(zone, start)) - date::days(1);
  // 29 February can be eight years away; a starred weekday step ("29 2 */6") makes it rarer, hence the wide limit.
  for (int i = 0; i < 366 * 100; ++i, day += date::days(1)) {
    const date::year_month_day ymd(day);
    if (!day_matches(unsigned(ymd.month()), unsigned(ymd.day()), date::weekday(day).c_encoding())) continue;
    std::optional<SysMicros> best;
    auto offer = [&](date::sys_seconds candidate) {
      if (SysMicros(candidate) > to_sys(after) && (!best || SysMicros(candidate) < *best)) best = candidate;
    };
    for (int hour = 0; hour < 24; ++hour) {
      if (!hours_[static_cast<std::size_t>(hour)]) continue;
      for (int minute = 0; minute < 60; ++minute) {
        if (!minutes_[static_cast<std::size_t>(minute)]) continue;
        const date::local_seconds local = day + std::chrono::hours(hour) + minutes(minute);
        if (zone == nullptr) {
          offer(date::sys_seconds(local.time_since_epoch()));
          continue;
        }
        const date::local_info info = zone->get_info(local);
        if (info.result == date::local_info::unique) {
          offer(date::sys_seconds(local.time_since_epoch() - info.first.offset));
        } else if (info.result == date::local_info::ambiguous) {
          offer(date::sys_seconds(local.time_since_epoch() - info.first.offset));
          if (any_hour_) offer(date::sys_seconds(local.time_since_epoch() - info.second.offset));
        } else if (!any_hour_) {
          offer(info.first.end);
        }
      }
    }
    if (best) return Timestamp{best->time_since_epoch().count()};
  }
  // Not reached for a schedule that parse() let through: 100 years hold every day of every month on every day of the
  // week.
  return Timestamp{};
}

Duration schedule_jitter(const DatabaseName& name, Duration at_most) {
  if (at_most.count() <= 0) return Duration(0);
  // FNV-1a, then a finalising mix: it only has to spread names, and must never change between versions.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name.to_string()) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  return Duration(static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(at_most.count())));
}

}  // namespace stele::config
