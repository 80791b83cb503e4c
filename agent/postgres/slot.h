#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/postgres/connection.h"
#include "core/base/identity.h"

namespace stele::agent {

/// 1 to 63 of [a-z0-9_], PostgreSQL's rule for slot names; kConfig otherwise.
Status check_slot_name(std::string_view name);

enum class SlotCreated { kNew, kExisted };
/// Creates a physical slot that reserves WAL at once, or finds that there is one. Needs a replication connection, to a
/// primary or a standby; call it for every host. kDatabase with a hint when the role lacks REPLICATION or
/// max_replication_slots is used up.
Result<SlotCreated> ensure_slot(PgConnection& replication, std::string_view name, Instant deadline);

/// pg_replication_slots.wal_status: how safe the WAL that the slot needs is.
enum class WalStatus { kUnknown, kReserved, kExtended, kUnreserved, kLost };

struct SlotState {
  std::string name;
  bool physical = true;
  bool active = false;
  int active_pid = 0;
  std::optional<Position> restart;  ///< oldest WAL it keeps; none: it has reserved nothing or was invalidated
  WalStatus wal_status = WalStatus::kUnknown;
  std::optional<std::int64_t>
      safe_wal_size;           ///< bytes that can be written before it may be lost; none: no limit is set
  std::uint64_t retained = 0;  ///< bytes of WAL between `restart` and the server's end
  Position server_end;         ///< pg_current_wal_lsn, on a standby the replay position
  std::string
      invalidation_reason;  ///< PostgreSQL 17 and newer; "wal_status lost" where older servers say no more; else empty

  bool invalidated() const { return wal_status == WalStatus::kLost || !invalidation_reason.empty(); }
};
/// Needs an SQL connection; no slot: kNotFound. Reading needs no privilege.
Result<SlotState> read_slot(PgConnection& sql, std::string_view name, Instant deadline);

/// Moves an unused slot of a standby forward to `to` (at most to what the standby has replayed), so that it does not
/// keep WAL for ever. Returns where the slot stands; it never moves back, and a slot in use is left alone. Needs an SQL
/// connection and REPLICATION.
Result<Position> advance_slot(PgConnection& sql, std::string_view name, Position to, Instant deadline);

/// Drops the slot: only on an operator's explicit command. Needs a replication connection. kNotFound when there is
/// none, kTemporary when it is in use.
Status drop_slot(PgConnection& replication, std::string_view name, Instant deadline);

}  // namespace stele::agent
