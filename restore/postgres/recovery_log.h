#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/base/identity.h"
#include "core/base/time.h"
#include "core/pg/versions.h"
#include "restore/postgres/config_file.h"

namespace stele::restore {

/// Why a server did not come up, as far as its log tells.
enum class StartProblem {
  kNone,
  kTargetNotReached,  ///< "recovery ended before configured recovery target was reached"
  kMissingWal,        ///< restore_command failed, or the log has a hole or ends before the backup is consistent
  kSettingTooLow,     ///< max_connections and the like: see needed_setting
  kMissingLibrary,
  kPortBusy,
  kDirectoryInUse,  ///< another postmaster has this data directory
  kPermission,
  kConfiguration,  ///< a configuration file is refused
  kWrongVersion,
  kDamagedFiles,  ///< PANIC, control file, pages
  kMemory,
  kDiskFull,
  kTablespace,
  kKilled,  ///< a process of the server was ended by a signal
  kOther,
};
/// A short stable word such as "missing_wal".
std::string_view to_string(StartProblem problem);

/// What a server's log tells about one start and its recovery. Lines are read as this program starts servers: messages
/// in English and log_line_prefix '%m [%p] '. What clients say (their FATAL lines) does not count.
struct RecoveryLog {
  std::optional<Position> redo_start, consistent_at, redo_done;
  bool target_reached = false;      ///< "recovery stopping ..."
  std::string stopping;             ///< that line: "recovery stopping before commit of transaction 742, time 2026-..."
  bool paused_at_target = false;    ///< "pausing at the end of recovery"
  bool paused_for_setting = false;  ///< hot standby cannot go on: a setting is too low (see needed_setting)
  std::optional<pg::TimelineId> new_timeline;
  bool archive_recovery_complete = false;
  bool ready = false;  ///< "database system is ready to accept connections" (not "read-only")
  bool ready_read_only = false;
  std::optional<Timestamp> redo_started, redo_ended;  ///< this host's clock; only where log_timezone is UTC
  std::string last_transaction_time;  ///< PostgreSQL's text, "2026-11-23 15:33:45.123456+00"; empty: none was replayed
  StartProblem problem = StartProblem::kNone;
  std::string reason;                     ///< message (and detail) of the line that ended the server, one line
  std::optional<Setting> needed_setting;  ///< for kSettingTooLow and paused_for_setting
};

/// Reads the log of one start. `postmaster` 0: not known, taken from the first line. Text that is no log line is
/// skipped; at most the last 4 MiB are looked at.
RecoveryLog read_recovery_log(std::string_view text, pid_t postmaster = 0);

/// The error with a hint for a server that ended by itself or cannot go on; `log_file` is named in it.
Error start_error(const RecoveryLog& log, std::string_view data_directory, std::string_view log_file);

}  // namespace stele::restore
