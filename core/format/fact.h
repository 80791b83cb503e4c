#pragma once

#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/format/record.h"

namespace stele::format {

/// What the ledger says happened. The numbers are part of the format; unknown kinds are kept and shown by number.
enum class FactKind : std::uint16_t {
  kGap = 1,              ///< [begin, end) of the stream is lost at the source
  kFork = 2,             ///< the source's history differs from the stream at `begin`
  kAbandonedBranch = 3,  ///< [begin, end) of the stream is past the point where `related` leaves it
  kDegraded = 4,         ///< commits were confirmed without the quorum from `time` on, at `begin`
  kDegradedEnd = 5,
  kRolledBack = 6,       ///< a receiver came back with less than it had acknowledged
  kStateLost = 7,        ///< the agent's spool or state was lost and rebuilt from a receiver
  kSnapshotDamaged = 8,
  kBranchReserved = 9,   ///< a restore reserved the next timeline number
  kDamage = 10,          ///< a receiver found stored bytes damaged or missing: [begin, end) of the stream where known
};

inline constexpr std::size_t kMaxFactNote = 512;

std::string_view fact_kind_name(FactKind kind);

/// A ledger entry: signed by the agent about its stream, or by a receiver about itself.
struct Fact {
  DatabaseName database;
  StreamId stream;
  FactKind kind{};
  std::uint64_t serial = 0;  ///< grows for one signer
  Timestamp time;
  Position begin, end;
  StreamId related;
  std::uint64_t value = 0;   ///< a count, bytes or a timeline number, after the kind
  std::string note;          ///< for people, without personal data; sign() makes it one line of at most kMaxFactNote bytes

  Result<SignedRecord> sign(const crypto::SigningKey& key) const;
  static Result<Fact> read(const SignedRecord& record);
};

}  // namespace stele::format
