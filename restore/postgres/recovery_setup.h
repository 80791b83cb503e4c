#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/io/file_system.h"
#include "core/pg/control_file.h"
#include "restore/postgres/config_file.h"
#include "restore/postgres/installation.h"

namespace stele::restore {

/// Where recovery ends, in PostgreSQL's words (recovery_target_*).
struct RecoveryTarget {
  enum class Kind { kNone, kTime, kLsn, kXid, kName, kImmediate };
  Kind kind = Kind::kNone;
  std::string value;  ///< the parameter's text; empty for none and immediate

  static RecoveryTarget none() { return {}; }  ///< to the end of the log that restore_command gives
  static RecoveryTarget time(Timestamp t);     ///< to the microsecond, written in UTC
  static RecoveryTarget lsn(Position p);
  static RecoveryTarget xid(pg::TransactionId xid);
  static RecoveryTarget name(std::string restore_point);
  static RecoveryTarget immediate();  ///< as soon as the snapshot is consistent
  bool operator==(const RecoveryTarget&) const = default;
};

enum class TargetAction { kPromote, kPause, kShutdown };

struct RecoverySettings {
  RecoveryTarget target;
  bool inclusive = true;            ///< false: stop just before the target
  std::string timeline = "latest";  ///< recovery_target_timeline: "latest", "current" or a number
  TargetAction action = TargetAction::kPromote;
  std::string restore_command;  ///< from make_restore_command; never empty, or PostgreSQL refuses to start
  bool standby = false;  ///< standby.signal instead of recovery.signal: asks restore_command again and again, until it is promoted
};

/// What is known of the source when its data directory has been written.
struct SourceFacts {
  int server_version = 0;         ///< 150020
  pg::ControlFile control;        ///< for the settings that recovery may not lower
  std::vector<Setting> settings;  ///< of the source as its agent saw them (pg_settings); may be empty
  std::vector<std::string>
      extra_files;  ///< names of configuration files from outside the data directory, for the report
};

struct ConfigurationOptions {
  std::string listen_addresses = "localhost";          ///< "": no TCP at all
  std::optional<int> port;                             ///< otherwise the source's
  std::optional<std::string> unix_socket_directories;  ///< otherwise the source's where they exist here
  /// Texts for files that the data directory does not have; PostgreSQL's own need is added. Empty: a minimal file is
  /// made, whose pg_hba admits only local users (peer, and password on loopback).
  std::string postgresql_conf, pg_hba_conf, pg_ident_conf;
  /// With a value: every preload library that is not named is taken out (drills).
  std::optional<std::vector<std::string>> allowed_libraries;
  bool drop_missing_libraries = false;  ///< take out preload libraries that this host does not have
  bool keep_logical_workers = false;    ///< false: subscriptions stay idle, so that no publisher's slot is advanced
  std::vector<Setting> forced;          ///< written last; win over everything here
};

/// A setting of the source that does not apply in the restored server.
struct Neutralised {
  std::string name;
  std::string source_value;  ///< "(not shown)" for commands and connection strings: they may hold secrets
  std::string now;           ///< the value in the restored server, or "removed"
  std::string where;         ///< file below the data directory, with line: "postgresql.conf:12"
  std::string reason;
};

struct ConfigurationReport {
  std::vector<Neutralised> neutralised;
  std::vector<Setting> raised;             ///< hot-standby minima that the source's files do not reach
  std::vector<std::string> made_files;     ///< postgresql.conf, pg_hba.conf, pg_ident.conf when there was none
  std::vector<std::string> removed_files;  ///< standby.signal, recovery.conf
  std::vector<std::string>
      edited_files;  ///< the source's files in which lines had to become comments; the original is FILE.stele-source
  std::vector<std::string> missing_libraries;  ///< preload libraries this host does not have
  int port = 5432;                             ///< in effect
  std::string listen_addresses;
  std::string unix_socket_directories;  ///< in effect; empty: the server's compiled default
};

/// Makes a restored data directory ready for recovery: writes recovery.signal and postgresql.auto.conf (the source's
/// ALTER SYSTEM settings that are harmless, then ours between markers, so that ours win), and the configuration files
/// that are missing. The source's own files are changed only where nothing later can win over a line: data_directory,
/// hba_file, ident_file, external_pid_file, include directives that reach outside the data directory, and lines
/// PostgreSQL refuses become comments. Everything is durable on success; it may be repeated. To be called after
/// verify_backup (an edited file is no longer what the backup manifest says) and before give_tree_to. `installation`
/// tells which libraries exist; null: not asked. kConfig: settings that cannot be; kExists: a server may be running
/// there; kDamaged: no backup_label, or a tablespace_map is left that would recreate links to the source's directories.
Result<ConfigurationReport> configure(io::FileSystem& fs, const std::string& data_directory,
                                      const RecoverySettings& recovery, const SourceFacts& source,
                                      const ConfigurationOptions& options, const Installation* installation);

/// Raises one of our settings in postgresql.auto.conf, after recovery asked for more than pg_control knew (see
/// RecoveryLog).
Status raise_setting(io::FileSystem& fs, const std::string& data_directory, const Setting& setting);

/// Takes the recovery target and restore_command out of ours, after recovery has ended at the target: a standby that somebody copies from the
/// server would inherit them, and could not follow it. What the source's files say of them does not come back.
Status clear_recovery_target(io::FileSystem& fs, const std::string& data_directory);

}  // namespace stele::restore
