#include "core/pg/control_file.h"

#include <fmt/format.h>

#include "core/pg/crc32c.h"
#include "core/pg/wal_segment.h"

namespace stele::pg {
namespace {

constexpr std::size_t kCrcOffset = 288;  // of ControlFileData in pg_control_version 1300 and 1700

/// Fields are aligned as the C compiler does on every 64-bit platform; these read at their offsets.
std::uint32_t u32_at(ByteView b, std::size_t at) { return ByteReader(b.subspan(at, 4)).u32(); }
std::uint64_t u64_at(ByteView b, std::size_t at) { return ByteReader(b.subspan(at, 8)).u64(); }
bool bool_at(ByteView b, std::size_t at) { return b[at] != 0; }

/// pg_time_t: seconds since 1970; 0 means none.
Timestamp seconds(std::uint64_t value) {
  auto s = static_cast<std::int64_t>(value);
  constexpr std::int64_t kMax = INT64_MAX / 1'000'000;
  return {std::clamp(s, -kMax, kMax) * 1'000'000};
}

Error damaged(std::string what) {
  return Error{ErrorCode::kDamaged, "read global/pg_control: " + std::move(what), ""};
}

}  // namespace

std::string_view to_string(DatabaseState state) {
  switch (state) {
    case DatabaseState::kStartup: return "starting up";
    case DatabaseState::kShutDown: return "shut down";
    case DatabaseState::kShutDownInRecovery: return "shut down in recovery";
    case DatabaseState::kShuttingDown: return "shutting down";
    case DatabaseState::kInCrashRecovery: return "in crash recovery";
    case DatabaseState::kInArchiveRecovery: return "in archive recovery";
    case DatabaseState::kInProduction: return "in production";
  }
  return "unrecognized status code";
}

std::string_view to_string(WalLevel level) {
  switch (level) {
    case WalLevel::kMinimal: return "minimal";
    case WalLevel::kReplica: return "replica";
    case WalLevel::kLogical: return "logical";
  }
  return "unrecognized wal_level";
}

Result<Checkpoint> parse_checkpoint(ByteView b) {
  if (b.size() < kCheckpointSize) {
    return Error{ErrorCode::kDamaged, fmt::format("checkpoint data of {} bytes instead of {}", b.size(), kCheckpointSize), ""};
  }
  Checkpoint c;
  c.redo = {u64_at(b, 0)};
  c.timeline = u32_at(b, 8);
  c.previous_timeline = u32_at(b, 12);
  c.full_page_writes = bool_at(b, 16);
  c.next_full_xid = u64_at(b, 24);
  c.next_oid = u32_at(b, 32);
  c.oldest_xid = u32_at(b, 44);
  c.time = seconds(u64_at(b, 64));
  c.oldest_active_xid = u32_at(b, 80);
  return c;
}

Result<ControlFile> parse_control_file(ByteView b) {
  if (b.size() < kCrcOffset + 4) return damaged(fmt::format("{} bytes only", b.size()));
  ControlFile c;
  c.system_identifier = u64_at(b, 0);
  c.pg_control_version = u32_at(b, 8);
  if (c.pg_control_version != 1300 && c.pg_control_version != 1700) {
    return Error{ErrorCode::kUnsupported, fmt::format("read global/pg_control: pg_control_version {}", c.pg_control_version),
                 "PostgreSQL 13 to 17 are known"};
  }
  std::uint32_t crc = crc32c_finish(crc32c(kCrc32cInit, b.first(kCrcOffset)));
  if (crc != u32_at(b, kCrcOffset)) return damaged("the CRC does not match");
  c.catalog_version = u32_at(b, 12);
  std::uint32_t state = u32_at(b, 16);
  if (state > static_cast<std::uint32_t>(DatabaseState::kInProduction)) return damaged(fmt::format("state {}", state));
  c.state = static_cast<DatabaseState>(state);
  c.time = seconds(u64_at(b, 24));
  c.checkpoint = {u64_at(b, 32)};
  STELE_TRY(c.checkpoint_copy, parse_checkpoint(b.subspan(40, kCheckpointSize)));
  c.min_recovery_point = {u64_at(b, 136)};
  c.min_recovery_point_timeline = u32_at(b, 144);
  c.backup_start_point = {u64_at(b, 152)};
  c.backup_end_point = {u64_at(b, 160)};
  c.backup_end_required = bool_at(b, 168);
  std::uint32_t level = u32_at(b, 172);
  if (level > static_cast<std::uint32_t>(WalLevel::kLogical)) return damaged(fmt::format("wal_level {}", level));
  c.wal_level = static_cast<WalLevel>(level);
  c.wal_log_hints = bool_at(b, 176);
  c.max_connections = u32_at(b, 180);
  c.max_worker_processes = u32_at(b, 184);
  c.max_wal_senders = u32_at(b, 188);
  c.max_prepared_xacts = u32_at(b, 192);
  c.max_locks_per_xact = u32_at(b, 196);
  c.track_commit_timestamp = bool_at(b, 200);
  c.block_size = u32_at(b, 216);
  c.relation_segment_blocks = u32_at(b, 220);
  c.wal_block_size = u32_at(b, 224);
  c.wal_segment_size = u32_at(b, 228);
  c.data_checksum_version = u32_at(b, 252);
  if (!check_wal_segment_size(c.wal_segment_size).ok()) return damaged(fmt::format("wal_segment_size {}", c.wal_segment_size));
  return c;
}

}  // namespace stele::pg
