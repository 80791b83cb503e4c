#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/identity.h"
#include "core/base/time.h"

/// What a store holds of one database, without bytes and without keys: the input of everything that says "reachable". Receivers make
/// it from their catalog, restore hosts from the objects. Whoever makes it has checked who signed what; this part only reasons.
namespace stele::recovery {

enum class BranchReason : std::uint8_t { kFirst = 1, kTimelineSwitch = 2, kFork = 3, kNewEnrolment = 4 };

/// One earlier timeline: it owns the log up to `end`.
struct SwitchPoint {
  std::uint32_t timeline = 0;
  Position end;
  auto operator<=>(const SwitchPoint&) const = default;
};

/// A stream: one branch of one lineage.
struct BranchFact {
  StreamId stream;
  StreamId parent;  ///< zero: none
  Position fork;    ///< where this branch leaves its parent; its first position where there is none
  std::uint32_t timeline = 0;
  std::vector<SwitchPoint> history;  ///< earlier timelines, oldest first
  std::uint64_t lineage = 0;         ///< PostgreSQL's system identifier
  std::uint64_t segment_size = 0;    ///< bytes of a WAL segment, a power of two
  std::uint32_t server_version = 0;  ///< server_version_num
  Generation generation;             ///< of the agent that began it
  Timestamp created;
  BranchReason reason = BranchReason::kFirst;
};

/// Consecutive frames [first_frame, last_frame] of one object, as stored. A range may be empty: an as-of.
struct RunFact {
  StreamId stream;
  ObjectId object;
  PositionRange range;
  std::uint32_t first_frame = 0, last_frame = 0;
  JoinTag join_start;  ///< at range.begin; zero where the run does not begin its object
  JoinTag join_end;    ///< at range.end
  Timestamp min_commit, max_commit;  ///< commit and abort records that end in the run; none: 0
  Timestamp first_server_time, last_server_time;  ///< the source's clock; the last one is the run's as-of
  Timestamp received;                ///< the receiver's clock
  std::string name;                  ///< the object in the store
  std::uint64_t bytes = 0;           ///< as stored
};

/// A committed snapshot.
struct SnapshotFact {
  SnapshotId id;
  StreamId stream;
  Position start, stop;  ///< backup start and stop
  Timestamp started, finished;
  std::uint32_t damaged_pages = 0;
  bool full = false;
  std::uint64_t raw_bytes = 0;  ///< of all files
  std::uint64_t new_bytes = 0;  ///< stored for this snapshot alone
  std::string manifest;         ///< the object in the store
};

/// A ledger entry in the numbers of core/format/fact.h; shown, and used where it says something that objects do not.
struct LedgerFact {
  std::uint16_t kind = 0;
  StreamId stream, related;
  Timestamp time;
  Position begin, end;
  std::uint64_t value = 0;
  std::string note;
};
inline constexpr std::uint16_t kLedgerBranchReserved = 9;

/// Everything about one database.
struct Facts {
  DatabaseName database;
  std::vector<BranchFact> branches;
  std::vector<RunFact> runs;
  std::vector<SnapshotFact> snapshots;
  std::vector<LedgerFact> ledger;

  const BranchFact* branch(const StreamId& stream) const;
};

/// A position and the source's time there.
struct Moment {
  Position position;
  Timestamp time;
  auto operator<=>(const Moment&) const = default;
  /// "16/B374D848 (2026-11-23T15:33:45Z)".
  std::string to_string() const;
};

}  // namespace stele::recovery
