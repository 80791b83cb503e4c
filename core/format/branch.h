#pragma once

#include <vector>

#include "core/base/time.h"
#include "core/format/record.h"

namespace stele::format {

/// Why a branch was begun.
enum class BranchReason : std::uint8_t {
  kFirst = 1,           ///< the first of its lineage under this enrolment
  kTimelineSwitch = 2,  ///< PostgreSQL began a new timeline at `fork`
  kFork = 3,            ///< the source's history is not the one streamed: rolled back or a clone
  kNewEnrolment = 4,    ///< another agent key goes on
};

/// One earlier timeline of a history: it owns [.., end).
struct TimelineSwitch {
  std::uint32_t timeline = 0;
  Position end;
  auto operator<=>(const TimelineSwitch&) const = default;
};

/// The first record of a stream: site, database, lineage and branch. Its identity part gives the StreamId, so an id proves
/// what it names. Timeline history files are carried as (timeline, switch point) only: their reason text may hold names.
struct BranchRecord {
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;  ///< whose hash makes the StreamId
  DatabaseName database;
  Engine engine = Engine::kPostgres;
  std::uint64_t lineage = 0;  ///< PostgreSQL's system identifier
  std::uint32_t timeline = 0;
  std::vector<TimelineSwitch> history;  ///< earlier timelines, oldest first
  BranchNonce nonce;

  Generation generation;
  Digest enrolment;
  std::uint64_t segment_size = 0;    ///< bytes of a WAL segment
  std::uint32_t server_version = 0;  ///< PostgreSQL's server_version_num
  BranchReason reason = BranchReason::kFirst;
  StreamId parent;   ///< zero where there is none
  Position fork;     ///< where this branch leaves the parent; the stream's first position where there is no parent
  Timestamp created;

  StreamId stream() const;  ///< hash of the identity fields (the first seven)
  Result<SignedRecord> sign(const crypto::SigningKey& agent) const;
  static Result<BranchRecord> read(const SignedRecord& record);
};

inline constexpr std::size_t kMaxTimelines = 1024;

}  // namespace stele::format
