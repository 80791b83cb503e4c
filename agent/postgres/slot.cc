#include "agent/postgres/slot.h"

#include <charconv>

namespace stele::agent {
namespace {

Result<std::int64_t> integer(const std::optional<std::string>& text) {
  std::int64_t out = 0;
  if (!text) return out;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (error != std::errc() || end != text->data() + text->size()) {
    return Error{ErrorCode::kDatabase, fmt::format("slot state: \"{}\" is not a number", text->substr(0, 40)), ""};
  }
  return out;
}

WalStatus wal_status(const std::optional<std::string>& text) {
  if (text == "reserved") return WalStatus::kReserved;
  if (text == "extended") return WalStatus::kExtended;
  if (text == "unreserved") return WalStatus::kUnreserved;
  if (text == "lost") return WalStatus::kLost;
  return WalStatus::kUnknown;
}

// A standby's end is what it has replayed: pg_replication_slot_advance goes no further (slotfuncs.c).
constexpr std::string_view kServerEnd =
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE "
    "pg_catalog.pg_current_wal_flush_lsn() END";

}  // namespace

Status check_slot_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (good) return {};
  return Error{ErrorCode::kConfig, fmt::format("slot name \"{}\" is not allowed", name.substr(0, 80)),
               "use 1 to 63 lower-case letters, digits and underscores"};
}

Result<SlotCreated> ensure_slot(PgConnection& replication, std::string_view name, Instant deadline) {
  STELE_CHECK(check_slot_name(name));
  auto made = replication.query(fmt::format("CREATE_REPLICATION_SLOT {} PHYSICAL RESERVE_WAL", name), deadline);
  if (made.ok()) return SlotCreated::kNew;
  if (made.error().code == ErrorCode::kExists) return SlotCreated::kExisted;
  Error error = std::move(made).error();
  if (sqlstate_of(error) == "42501") error.hint = "as a superuser: ALTER ROLE <the agent's role> REPLICATION;";
  if (sqlstate_of(error) == "53400")
    error.hint = "raise max_replication_slots on this server (restart), or drop a slot nobody uses";
  return error;
}

Result<SlotState> read_slot(PgConnection& sql, std::string_view name, Instant deadline) {
  STELE_CHECK(check_slot_name(name));
  const bool has_reason = sql.server_version() >= 170000;
  STELE_TRY(Rows rows,
            sql.query(fmt::format("SELECT slot_type, active, active_pid, restart_lsn, wal_status, safe_wal_size, {0}, "
                                  "pg_catalog.pg_wal_lsn_diff({0}, restart_lsn)::int8, {1} "
                                  "FROM pg_catalog.pg_replication_slots WHERE slot_name = {2}",
                                  kServerEnd, has_reason ? "invalidation_reason" : "NULL", sql.literal(name)),
                      deadline));
  if (rows.rows.empty()) {
    return Error{ErrorCode::kNotFound, fmt::format("slot {} does not exist on {}", name, sql.host()), ""};
  }
  const Row& row = rows.rows[0];
  SlotState out{.name = std::string(name)};
  out.physical = row[0] == "physical";
  out.active = row[1] == "t";
  STELE_TRY(const std::int64_t pid, integer(row[2]));
  out.active_pid = static_cast<int>(pid);
  if (row[3]) {
    STELE_TRY(out.restart, parse_position(*row[3]));
  }
  out.wal_status = wal_status(row[4]);
  if (row[5]) {
    STELE_TRY(out.safe_wal_size, integer(row[5]));
  }
  if (row[6]) {
    STELE_TRY(out.server_end, parse_position(*row[6]));
  }
  STELE_TRY(const std::int64_t retained, integer(row[7]));
  out.retained = static_cast<std::uint64_t>(std::max<std::int64_t>(retained, 0));
  if (row[8]) out.invalidation_reason = *row[8];
  if (out.invalidation_reason.empty() && out.wal_status == WalStatus::kLost)
    out.invalidation_reason = "wal_status lost";
  return out;
}

Result<Position> advance_slot(PgConnection& sql, std::string_view name, Position to, Instant deadline) {
  STELE_TRY(const SlotState before, read_slot(sql, name, deadline));
  if (!before.restart) {
    return Error{ErrorCode::kDatabase,
                 fmt::format("slot {} on {} keeps no WAL, so it cannot be advanced", name, sql.host()),
                 "drop it and let the agent create it again"};
  }
  const Position target = std::min(to, before.server_end);
  if (before.active || target <= *before.restart) return *before.restart;
  auto moved = sql.query(fmt::format("SELECT end_lsn FROM pg_catalog.pg_replication_slot_advance({}, {})",
                                     sql.literal(name), sql.literal(target.to_string())),
                         deadline);
  if (!moved.ok()) {
    // Someone began to stream from it in between: it moves by itself.
    if (sqlstate_of(moved.error()) == "55006") return *before.restart;
    return moved.error();
  }
  STELE_TRY(const std::string end, moved->single("pg_replication_slot_advance"));
  return parse_position(end);
}

Status drop_slot(PgConnection& replication, std::string_view name, Instant deadline) {
  STELE_CHECK(check_slot_name(name));
  auto dropped = replication.query(fmt::format("DROP_REPLICATION_SLOT {}", name), deadline);
  if (!dropped.ok()) return std::move(dropped).error();
  return {};
}

}  // namespace stele::agent
