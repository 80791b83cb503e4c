#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/identity.h"
#include "core/base/result.h"
#include "core/base/time.h"

namespace date {
class time_zone;
}

namespace stele::config {

/// A time zone of the system's tz database. Cheap to copy; the database lives as long as the process.
class TimeZone {
 public:
  /// UTC.
  TimeZone() = default;
  /// "Asia/Shanghai", "UTC", or "local" for the host's zone. kConfig when the host does not know it (is tzdata
  /// installed?).
  static Result<TimeZone> find(std::string_view name);

  /// "Asia/Shanghai", also when "local" was asked for.
  std::string name() const;
  /// Minutes since local midnight, 0 to 1439.
  int minute_of_day(Timestamp time) const;
  /// "2026-11-23 23:33:45 CST", for messages.
  std::string format(Timestamp time) const;

  /// nullptr is UTC.
  const date::time_zone* zone() const { return zone_; }

 private:
  const date::time_zone* zone_ = nullptr;
};

/// A schedule in cron's five fields: minute, hour, day of month, month, day of week. Each is `*`, a number, a name
/// (JAN, MON), a range `1-5`, a step `*/15` or `8-18/2`, or a list of these; day of week 0 and 7 are Sunday. Also
/// @yearly, @monthly, @weekly,
/// @daily, @midnight and @hourly. When both day fields are restricted a day that matches either counts (cron's rule).
/// Pure.
///
/// Daylight saving, as cron does it. When the hour field is not `*`, a time in a gap fires once, at the end of the gap,
/// and a time that comes twice fires at its first coming only. When the hour field is `*`, real time counts: a skipped
/// hour has no times, and a repeated hour has them twice.
class CronSchedule {
 public:
  /// kConfig with the field that is wrong; also for a date that never comes (30 February).
  static Result<CronSchedule> parse(std::string_view expression);

  /// The first time strictly later than `after`, a whole minute. A schedule always has one.
  Timestamp next(Timestamp after, const TimeZone& zone) const;
  /// As it was written.
  const std::string& expression() const { return expression_; }

 private:
  bool day_matches(unsigned month, unsigned day, unsigned weekday) const;

  std::string expression_;
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_hour_ = false, any_day_ = false, any_weekday_ = false;
};

/// A delay in [0, at_most), the same for a database on every host and after every restart, so that provinces do not all
/// begin at 02:00.
Duration schedule_jitter(const DatabaseName& name, Duration at_most);

}  // namespace stele::config
