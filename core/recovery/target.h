#pragma once

#include "core/recovery/facts.h"

namespace stele::recovery {

enum class TargetKind : std::uint8_t { kLatest, kTime, kLsn, kXid, kName, kImmediate };

/// What an operator asks for, in PostgreSQL's words (recovery_target_*).
struct Target {
  TargetKind kind = TargetKind::kLatest;
  Timestamp time;
  Position lsn;
  std::uint32_t xid = 0;
  std::string name;
  bool exclusive = false;  ///< recovery_target_inclusive = off; only time, LSN and transaction id
  /// "" (where the database is now), a timeline number, or the beginning of a branch's id (at least four digits of its hexadecimal
  /// form) or "latest". Naming one also says that abandoned tails are known and not wanted.
  std::string timeline;

  /// "time 2026-11-23T15:33:45Z", for messages.
  std::string to_string() const;
};

/// The branch that a target's timeline means. kAmbiguous when several have this number (the hint lists them), kUnreachable when none.
Result<StreamId> resolve_timeline(const Facts& facts, const std::string& timeline);

}  // namespace stele::recovery
