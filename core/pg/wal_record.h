#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/pg/control_file.h"

namespace stele::pg {

/// Resource managers (access/rmgrlist.h); the numbers are the same in PostgreSQL 13 to 17. Others are extensions (128 and up).
enum class Rmgr : std::uint8_t { kXlog = 0, kTransaction, kStorage, kClog, kDatabase, kTablespace, kMultiXact, kRelMap, kStandby, kHeap2,
  kHeap, kBtree, kHash, kGin, kGist, kSequence, kSpGist, kBrin, kCommitTs, kReplicationOrigin, kGeneric, kLogicalMessage };
/// As pg_waldump prints it, "Heap2"; "custom" for a number above the built-in ones.
std::string_view to_string(Rmgr rmgr);

/// Info codes of Rmgr::kXlog (catalog/pg_control.h), the upper four bits of xl_info.
enum class XlogInfo : std::uint8_t { kCheckpointShutdown = 0x00, kCheckpointOnline = 0x10, kNoop = 0x20, kNextOid = 0x30, kSwitch = 0x40,
  kBackupEnd = 0x50, kParameterChange = 0x60, kRestorePoint = 0x70, kFpwChange = 0x80, kEndOfRecovery = 0x90, kFpiForHint = 0xA0,
  kFpi = 0xB0, kOverwriteContrecord = 0xD0, kCheckpointRedo = 0xE0 };

struct BlockReference {
  Oid tablespace = 0, database = 0, relation = 0;  ///< RelFileNode / RelFileLocator
  std::uint8_t fork = 0;                            ///< 0 main, 1 free space map, 2 visibility map, 3 init
  std::uint8_t id = 0;                              ///< block reference number within the record
  std::uint32_t block = 0;
  bool has_image = false;
  bool applies_image = false;          ///< redo restores the image (BKPIMAGE_APPLY); otherwise for consistency checks only
  bool compressed = false;
  bool will_init = false;              ///< redo builds the page anew (BKPBLOCK_WILL_INIT)
  std::uint16_t image_length = 0;      ///< as stored: without the hole, maybe compressed
  std::uint16_t hole_offset = 0, hole_length = 0;
  std::uint32_t image_offset = 0;      ///< where the image begins in the record, page headers not counted
};

/// COMMIT, ABORT, COMMIT PREPARED, ABORT PREPARED (access/xact.h).
struct TransactionEnd {
  bool commit = false;
  bool prepared = false;
  TransactionId xid = 0;   ///< top level; of the prepared transaction for the PREPARED forms: what recovery_target_xid compares
  Timestamp time;          ///< xact_time
  std::uint32_t subxids = 0;
};
struct RestorePoint {
  Timestamp time;
  std::string name;
  Position end;            ///< end of its record: where recovery_target_name stops
};
struct CheckpointRecord {
  bool shutdown = false;
  Checkpoint checkpoint;
};
struct EndOfRecovery {
  Timestamp time;
  TimelineId timeline = 0, previous_timeline = 0;
};
struct ParameterChange {
  std::uint32_t max_connections = 0, max_worker_processes = 0, max_wal_senders = 0, max_prepared_xacts = 0, max_locks_per_xact = 0;
  WalLevel wal_level = WalLevel::kMinimal;
  bool wal_log_hints = false, track_commit_timestamp = false;
};
struct BackupEnd {
  Position start;  ///< of the backup: the redo position in its backup_label
};
struct OverwriteContrecord {
  Position overwritten;  ///< start of the record that was never finished
  Timestamp time;
};
struct WalSwitch {};

using NotableRecord = std::variant<std::monostate, TransactionEnd, RestorePoint, CheckpointRecord, EndOfRecovery, ParameterChange, BackupEnd,
                                   OverwriteContrecord, WalSwitch>;

/// One record as far as Stele reads it. Valid during the call that hands it over.
struct WalRecord {
  Position start;
  Position end;             ///< PostgreSQL's EndRecPtr: aligned to 8; the end of the segment after a WAL switch
  Position previous;        ///< xl_prev
  TimelineId timeline = 0;  ///< of the page where it ends; 0 while no page header was seen
  std::uint32_t total_length = 0;
  Rmgr rmgr = Rmgr::kXlog;
  std::uint8_t info = 0;    ///< xl_info
  TransactionId xid = 0;    ///< 0: none
  std::vector<BlockReference> blocks;
  NotableRecord notable;

  /// XLR_SPECIAL_REL_UPDATE: changes relation files in ways that block references do not show.
  bool special_relation_update() const { return (info & 0x01) != 0; }
};

}  // namespace stele::pg
