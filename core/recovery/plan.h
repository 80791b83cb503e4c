#pragma once

#include "core/recovery/log_index.h"
#include "core/recovery/target.h"
#include "core/recovery/windows.h"

namespace stele::recovery {

/// How PostgreSQL is told where to stop.
enum class RecoveryKind : std::uint8_t {
  kEndOfLog,   ///< no recovery_target: replay ends where the log given to it ends
  kTime,       ///< recovery_target_time: a later commit or abort is in the log, so PostgreSQL will stop
  kLsn,        ///< recovery_target_lsn
  kXid,
  kName,
  kImmediate,  ///< recovery_target = 'immediate'
};

struct RecoveryTarget {
  RecoveryKind kind = RecoveryKind::kEndOfLog;
  std::string value;      ///< as PostgreSQL wants it; empty for kEndOfLog and kImmediate
  bool inclusive = true;  ///< recovery_target_inclusive
};

/// What a restore does, decided before anything is touched.
struct Plan {
  Target target;
  SnapshotFact snapshot;
  BranchPath path;
  std::vector<LogPiece> log;      ///< from the start of the segment that holds snapshot.start to `end`, in order
  std::vector<std::size_t> runs;  ///< indexes into Facts::runs to fetch, in order, each once
  std::uint64_t log_raw_bytes = 0, log_stored_bytes = 0;
  Position log_begin;
  Position end;                   ///< wal-fetch gives nothing of the log at or past this position
  RecoveryTarget recovery;
  std::uint32_t timeline = 0;     ///< recovery_target_timeline
  std::vector<SwitchPoint> history;    ///< of that timeline
  std::vector<std::string> segments;   ///< WAL file names that wal-fetch gives, in order
  std::uint64_t segment_size = 0;
  Moment reaches;                 ///< what the restored database shows; the time is the source's clock, 0 where unknown
  bool exact = false;             ///< `reaches.position` is exact; otherwise recovery stops at or before it
  std::vector<std::string> notes; ///< for the operator, such as abandoned tails and damaged pages
};

struct PlanOptions {
  bool accept_abandoned = false;  ///< go on although an abandoned tail exists that the target's timeline does not choose about
  bool accept_damaged = false;    ///< use a snapshot with damaged pages when no other reaches the target
};

/// The nearest moments that can be restored, before and after what was asked for.
struct Nearest {
  std::optional<Moment> before, after;
  std::string to_string() const;
};
Nearest nearest_moments(const Survey& survey, const Target& target);

/// Newest snapshot whose stop position is at or before the target's and whose branch is an ancestor of the target's (or it), and the
/// log from there. `index` may be null: times, LSNs and "immediate" are then resolved from headers where these are clear.
/// kUnreachable, naming the nearest moments; kAmbiguous; kKeyMissing where only decoding could tell; kDamaged where only a snapshot
/// with damaged pages would do; errors of the index.
Result<Plan> make_plan(const Facts& facts, const Target& target, const PlanOptions& options, LogIndex* index);

/// WAL file names for [begin, end) of a timeline with its earlier ones. The segment in which a timeline begins carries its number:
/// PostgreSQL looks there first, and the bytes before the switch are the parent's.
std::vector<std::string> wal_segments(std::uint32_t timeline, const std::vector<SwitchPoint>& history, Position begin, Position end, std::uint64_t segment_size);

}  // namespace stele::recovery
