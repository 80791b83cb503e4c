#pragma once

#include <string_view>

#include "core/base/identity.h"
#include "core/pg/versions.h"

namespace stele::pg {

/// catalog/pg_control.h, enum DBState.
enum class DatabaseState : std::uint32_t {
  kStartup = 0,
  kShutDown = 1,
  kShutDownInRecovery = 2,
  kShuttingDown = 3,
  kInCrashRecovery = 4,
  kInArchiveRecovery = 5,
  kInProduction = 6,
};
/// As pg_controldata prints it, e.g. "in production".
std::string_view to_string(DatabaseState state);

/// wal_level as stored (access/xlog.h).
enum class WalLevel : std::uint32_t { kMinimal = 0, kReplica = 1, kLogical = 2 };
std::string_view to_string(WalLevel level);

/// The body of a checkpoint record, kept in pg_control too (catalog/pg_control.h, struct CheckPoint; PostgreSQL 13 to 17).
struct Checkpoint {
  Position redo;
  TimelineId timeline = 0;
  TimelineId previous_timeline = 0;
  bool full_page_writes = false;
  std::uint64_t next_full_xid = 0;  ///< epoch in the upper 32 bits
  Oid next_oid = 0;
  TransactionId oldest_xid = 0;
  TransactionId oldest_active_xid = 0;
  Timestamp time;                   ///< full seconds
};
inline constexpr std::size_t kCheckpointSize = 88;
Result<Checkpoint> parse_checkpoint(ByteView bytes);

/// global/pg_control, as far as Stele needs it.
struct ControlFile {
  std::uint64_t system_identifier = 0;
  std::uint32_t pg_control_version = 0;
  std::uint32_t catalog_version = 0;
  DatabaseState state = DatabaseState::kStartup;
  Timestamp time;                    ///< last update, full seconds
  Position checkpoint;               ///< where the last checkpoint record starts
  Checkpoint checkpoint_copy;
  Position min_recovery_point;
  TimelineId min_recovery_point_timeline = 0;
  Position backup_start_point, backup_end_point;
  bool backup_end_required = false;
  WalLevel wal_level = WalLevel::kMinimal;
  bool wal_log_hints = false;
  std::uint32_t max_connections = 0, max_worker_processes = 0, max_wal_senders = 0, max_prepared_xacts = 0, max_locks_per_xact = 0;
  bool track_commit_timestamp = false;
  std::uint32_t block_size = 0;          ///< of data pages
  std::uint32_t relation_segment_blocks = 0;  ///< RELSEG_SIZE: blocks in one file of a large relation
  std::uint32_t wal_block_size = 0;
  std::uint32_t wal_segment_size = 0;
  std::uint32_t data_checksum_version = 0;  ///< 0: checksums off
};

/// PG_CONTROL_FILE_SIZE
inline constexpr std::size_t kControlFileSize = 8192;

/// kUnsupported for another pg_control_version than 1300 (PostgreSQL 13 to 16) and 1700 (17), kDamaged for a wrong CRC, a short
/// file or values that cannot be. 296 bytes are enough.
Result<ControlFile> parse_control_file(ByteView bytes);

}  // namespace stele::pg
