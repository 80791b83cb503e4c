#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/identity.h"
#include "core/base/reason.h"
#include "core/base/time.h"

namespace stele::receiver {

/// One hour of one database, as this receiver saw it: a line of HISTORY.md's `hours-YYYY-MM.tsv`. Several lines of one hour add up.
struct HourRow {
  Timestamp hour;  ///< its begin, UTC
  DatabaseName database;
  std::uint32_t observed_seconds = 0;      ///< looked at; the rest of the hour is unknown
  std::uint32_t within_seconds = 0;        ///< of these with the recovery point within the target
  std::uint32_t unrestorable_seconds = 0;  ///< of these without anything that could be restored
  double rpo_max_seconds = 0;
  double rpo_target_seconds = 0;           ///< 0: the agent told none
  double window_min_seconds = 0;
  double window_target_seconds = 0;        ///< 0: the agent told none
};

/// A reason began or ended: a line of `incidents-YYYY-MM.tsv`. `began` without an end: it lasted when the receiver stopped, or lasts still.
struct IncidentRow {
  Timestamp time;
  DatabaseName database;
  std::string code;
  Level level = Level::kWarning;
  bool began = true;
};

std::string to_line(const HourRow& row);
std::string to_line(const IncidentRow& row);
/// Nothing for a line that is not one, such as half a line after a crash.
std::optional<HourRow> parse_hour_line(std::string_view line);
std::optional<IncidentRow> parse_incident_line(std::string_view line);

/// "2026-11" of a moment, UTC: the month in a history file's name.
std::string month_of(Timestamp t);

/// Gathers what is to be kept for good: hours of observation and the begin and end of every reason. Pure; the owner writes the lines.
class KeptHistory {
 public:
  struct Sight {
    std::optional<double> rpo_seconds, rpo_target_seconds, window_target_seconds;
    double window_seconds = 0;
    const std::vector<Reason>* reasons = nullptr;
  };
  /// The database was like this for `seconds` up to `now`.
  void observe(const DatabaseName& database, Timestamp now, std::uint32_t seconds, const Sight& sight);

  /// Rows of hours that are over at `now`, and, with `everything`, of those that are not; each is given once.
  std::vector<HourRow> take_hours(Timestamp now, bool everything);
  std::vector<IncidentRow> take_incidents();
  /// Since when each open reason lasts, by code.
  const std::map<std::string, Timestamp>& open_reasons(const DatabaseName& database) const;

 private:
  std::map<std::pair<DatabaseName, Timestamp>, HourRow> hours_;
  std::map<DatabaseName, std::map<std::string, Timestamp>> open_;
  std::vector<IncidentRow> incidents_;
};

}  // namespace stele::receiver
