#pragma once

#include "core/recovery/coverage.h"

namespace stele::recovery {

/// A snapshot, and whether something can be restored with it: its log [start of start's segment, stop] is there.
struct SnapshotState {
  SnapshotFact fact;
  bool usable = false;
  std::string why_not;
};

/// A span of moments that can be restored on one path: from a snapshot's stop to the end of the contiguous log.
struct Window {
  StreamId head;
  std::uint32_t timeline = 0;
  Moment from, to;
  std::vector<SnapshotId> snapshots;  ///< usable in it, oldest first
};

/// The end of a branch.
struct BranchHead {
  StreamId stream;
  std::uint32_t timeline = 0;
  std::uint64_t lineage = 0;
  Moment end;
  bool current = false;    ///< where the database is now: what "latest" means
  bool continued = false;  ///< another branch left it
};

/// Log of a branch past the point where the current history left it. Commits in it were confirmed and are nowhere else.
struct AbandonedTail {
  StreamId stream;
  StreamId left_by;
  std::uint32_t timeline = 0;
  PositionRange range;
  Timestamp last_commit;  ///< none: no commit ends there
  Timestamp as_of;
  /// An enrolment began the current history anew, with a higher generation: whoever enrolled has chosen to leave the old one.
  bool chosen = false;
};

/// Everything `list`, `status` and retention say about one database.
struct Survey {
  std::vector<BranchHead> heads;
  std::vector<SnapshotState> snapshots;  ///< oldest first
  std::vector<Window> windows;           ///< of every head, oldest first
  std::vector<Gap> gaps;
  std::vector<AbandonedTail> tails;
  std::vector<JoinMismatch> mismatches;
  std::optional<StreamId> current;
};
Survey survey(const Facts& facts);

/// The branch where the database is now: highest generation, then descendants before ancestors, then the latest registered.
std::optional<StreamId> current_branch(const Facts& facts);

/// Tails that the history to `head` leaves behind, and branches of the same lineage that are not on it.
std::vector<AbandonedTail> abandoned_tails(const LogMap& log, const StreamId& head);

}  // namespace stele::recovery
