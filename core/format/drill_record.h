#pragma once

#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/format/record.h"

namespace stele::format {

/// Longest note of a drill record, in bytes.
inline constexpr std::size_t kMaxDrillNote = 512;
inline constexpr std::size_t kMaxDrillKeys = 32;
/// The longest drill record; a receiver checks it before anything else.
inline constexpr std::size_t kMaxDrillRecordBytes = 8 << 10;

enum class DrillOutcomeKind : std::uint8_t {
  kPassed = 1,
  kFailed = 2,     ///< it ran, and a check failed
  kDidNotRun = 3,
};
std::string_view drill_outcome_name(DrillOutcomeKind outcome);

/// What a restore host says about one drill. Nobody but that host vouches for it: readers show whose key signed it. Durations are in
/// microseconds; 0 where nothing was measured.
struct DrillRecord {
  DatabaseName database;
  FixedBytes<16, struct DrillIdTag> drill;  ///< random
  Timestamp started, finished;              ///< the restore host's clock
  DrillOutcomeKind outcome = DrillOutcomeKind::kDidNotRun;
  StreamId stream;           ///< zero: no plan was made
  SnapshotId snapshot;
  Timestamp target;          ///< the moment that was restored, the source's clock; 0: not known
  Position reached;
  Timestamp last_commit;     ///< the last transaction in the copy
  std::uint64_t rto = 0, rpo = 0, rto_target = 0, rpo_target = 0;
  std::uint32_t passed = 0, failed = 0, skipped = 0;  ///< checks
  struct Key {
    Digest public_key;       ///< hash of the recipient's public key
    Timestamp newest_epoch;  ///< when the newest epoch that it opened began
  };
  std::vector<Key> keys;     ///< that really opened the store; ascending, each once
  Digest report;             ///< hash of the JSON report; zero: none was written
  std::string note;          ///< why it failed, for people: names of checks and error codes, nothing of the database

  Result<SignedRecord> sign(const crypto::SigningKey& restore_host) const;
  static Result<DrillRecord> read(const SignedRecord& record);
};

/// kForged unless the key that the record names signed it: whose key that is, the reader must know.
Status verify_own_signature(const SignedRecord& record);

/// "SITE/DATABASE/drill/TIME-ID.rec": by time, ID the record's.
std::string drill_name(const DatabaseName& database, Timestamp finished, const Digest& id);

}  // namespace stele::format
