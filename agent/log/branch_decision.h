#pragma once

#include <optional>
#include <vector>

#include "core/format/branch.h"
#include "core/pg/timeline_history.h"

namespace stele::agent {

/// A branch that this agent has streamed, with where it stands.
struct KnownBranch {
  format::BranchRecord record;
  Position end;               ///< end of the last durable frame
  std::optional<JoinTag> join;  ///< join tag there
};

/// What a server says when the agent connects.
struct ServerFacts {
  std::uint64_t system_identifier = 0;
  pg::TimelineHistory history;  ///< of the server's current timeline
  Position flush;               ///< how far its log is on disk
  std::uint64_t segment_size = 0;
};

/// What to stream next. Pure decision of DESIGN section 4, "Change log".
struct BranchDecision {
  enum class Kind {
    kContinue,     ///< go on with the current branch at `begin`, after the overlap check
    kFinishOld,    ///< the server is on a newer timeline that leaves ours at `switch_point`: stream our timeline up to there, then ask again
    kNewTimeline,  ///< begin a branch for the server's timeline at `begin` (the switch point)
    kFork,         ///< the server's history is not ours: begin a branch without the old one's authority, and take a snapshot
    kFirst,        ///< nothing was streamed yet
  };
  Kind kind = Kind::kFirst;
  std::uint32_t timeline = 0;    ///< to ask the server for
  Position begin;                ///< first position of new frames; for kFirst and kFork without a common past: the caller chooses (the slot)
  std::optional<StreamId> parent;
  Position switch_point;         ///< kFinishOld
  /// The current branch reaches past the point where the new one leaves it: that tail exists nowhere else.
  std::optional<PositionRange> abandoned;
  std::string why;               ///< for the log and the ledger
};

/// `current` is the branch streamed last (nothing at the very first start); `known` all branches that the agent has
/// streamed, current included; those of other lineages are passed over.
/// kFork as an error: another system identifier than the enrolment's lineage (a foreign cluster with the same name).
Result<BranchDecision> decide_branch(const std::vector<KnownBranch>& known, const KnownBranch* current, const ServerFacts& server);

/// A branch record's history in core/pg's form, and back.
pg::TimelineHistory history_of(const format::BranchRecord& record);
std::vector<format::TimelineSwitch> switches_of(const pg::TimelineHistory& history);

/// Where to start streaming so that the whole WAL segment up to `position` is seen: the segment's first byte, or the segment before where
/// `position` is itself a first byte (FORMATS.md section 3).
Position overlap_begin(Position position, std::uint64_t segment_size);

}  // namespace stele::agent
