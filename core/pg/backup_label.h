#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/identity.h"
#include "core/pg/versions.h"

namespace stele::pg {

/// The file backup_label (access/transam/xlogbackup.c, build_backup_content).
struct BackupLabel {
  Position start_wal_location;      ///< redo position of the checkpoint
  std::string start_wal_file;
  Position checkpoint_location;
  std::string backup_method;        ///< "streamed"
  std::string backup_from;          ///< "primary" or "standby"
  std::string start_time;           ///< text in the server's zone
  std::string label;
  TimelineId start_timeline = 0;
  std::optional<Position> incremental_from;  ///< PostgreSQL 17
  std::optional<TimelineId> incremental_from_timeline;
};

inline constexpr std::size_t kMaxBackupLabelSize = 64 * 1024;

/// Unknown lines are ignored; kDamaged when START WAL LOCATION, CHECKPOINT LOCATION or a well-formed value is missing.
/// START TIMELINE may be missing in old files; it is then taken from the file name.
Result<BackupLabel> parse_backup_label(std::string_view text);
std::string write_backup_label(const BackupLabel& label);

/// The file tablespace_map: tablespace OID to the original directory (access/transam/xlogrecovery.c, read_tablespace_map).
/// kDamaged for a line that is not "OID PATH" or an OID given twice.
Result<std::map<Oid, std::string>> parse_tablespace_map(std::string_view text);
std::string write_tablespace_map(const std::map<Oid, std::string>& tablespaces);

}  // namespace stele::pg
