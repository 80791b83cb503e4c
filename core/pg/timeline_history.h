#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/identity.h"
#include "core/pg/versions.h"

namespace stele::pg {

/// An ancestor: the log of this timeline counts in [begin, end); end is the switch point to the next one.
struct TimelineRange {
  TimelineId tli = 0;
  Position begin, end;
  std::string reason;  ///< PostgreSQL's free text; may hold names: never hashed, never shown off-site
  /// The reason does not count.
  bool operator==(const TimelineRange& o) const { return tli == o.tli && begin == o.begin && end == o.end; }
};

/// One branch of the log: a timeline and how it came to be (access/transam/timeline.c). Timeline 1 has no ancestors.
struct TimelineHistory {
  TimelineId tli = 1;
  std::vector<TimelineRange> ancestors;  ///< oldest first; the first begins at 0, each begins where the one before ends

  /// Where this timeline itself begins: the last switch point, 0 for a timeline without ancestors.
  Position begin() const { return ancestors.empty() ? Position{} : ancestors.back().end; }
  /// The timeline whose log holds position p (tliOfPointInHistory).
  TimelineId timeline_at(Position p) const;
  /// Where `ancestor` ends in this history (tliSwitchPoint); nothing for the own timeline or a stranger.
  std::optional<Position> switch_point(TimelineId ancestor) const;
  /// True when `other` is this history or one it descends from: same switch points, and other.tli occurs here.
  bool descends_from(const TimelineHistory& other) const;
  /// The position up to which both are one log: the end of the common past. Not below 0.
  Position common_end(const TimelineHistory& other) const;
  /// The history of one of the ancestors (or of itself); nothing for a stranger.
  std::optional<TimelineHistory> history_of(TimelineId ancestor) const;

  bool operator==(const TimelineHistory&) const = default;
};

inline constexpr std::size_t kMaxHistoryFileSize = 1 << 20;

/// The content of TLI.history. Comments and empty lines are allowed; kDamaged when a line is not "TLI<blank>LSN<blank>reason",
/// when timelines do not grow, do not stay below `tli`, or a switch point goes backwards. Timelines can share a switch point.
Result<TimelineHistory> parse_timeline_history(TimelineId tli, std::string_view text);
/// The content of the file as PostgreSQL writes it.
std::string write_timeline_history(const TimelineHistory& history);
/// The bytes that identify a history: timelines and switch points, no text (layout: timeline_history.md).
Bytes canonical_bytes(const TimelineHistory& history);

}  // namespace stele::pg
