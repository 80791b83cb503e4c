#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/postgres/connection.h"
#include "agent/postgres/server_info.h"

namespace stele::agent {

/// A role or database with its own synchronous_commit (pg_db_role_setting).
struct SyncCommitOverride {
  std::string database;  ///< empty: every database
  std::string role;      ///< empty: every role
  std::string value;     ///< "off", "local", "remote_apply", ...
};

/// A line of pg_hba.conf as the server parsed it (pg_hba_file_rules).
struct HbaRule {
  int line = 0;
  std::string type;
  std::vector<std::string> databases, users;
  std::string address, netmask, method;
  std::string error;  ///< why the line cannot be used, else empty
};

struct CollationVersion {
  std::string database;
  std::string name;      ///< empty: the database's own default collation
  std::string provider;  ///< "c" (libc), "i" (ICU), ...
  std::string recorded;  ///< the version its indexes were built with
  std::string actual;    ///< the version the host's library has
};

/// The facts `stele-agent check` judges, as the server states them; no judgement here. What the role may not see is
/// nullopt.
struct DatabaseFacts {
  std::string role;
  bool can_replicate = false;  ///< rolreplication or superuser
  bool is_superuser = false;
  bool has_pg_monitor = false;
  int version_num = 0;
  bool in_recovery = false;
  std::string wal_level;
  std::optional<std::int64_t> max_slot_wal_keep_size;  ///< bytes; nullopt: -1, no limit
  int max_wal_senders = 0;
  int used_wal_senders = 0;
  int max_replication_slots = 0;
  int used_replication_slots = 0;
  std::string synchronous_standby_names;
  std::string synchronous_commit;  ///< of this session: the server's default for this role and database
  std::vector<SyncCommitOverride> synchronous_commit_overrides;
  bool data_checksums = false;
  bool full_page_writes = true;
  bool fsync = true;
  std::string archive_mode, archive_command, archive_library;
  std::optional<std::string> data_directory, config_file, hba_file, ident_file;  ///< nullopt: needs pg_monitor
  /// Configuration files that lie outside the data directory: a base backup does not hold them.
  std::vector<std::string> files_outside_data_directory;
  std::string shared_preload_libraries, session_preload_libraries, local_preload_libraries;
  std::optional<std::vector<HbaRule>> hba_rules;
  std::vector<CollationVersion>
      collations;  ///< of every database (its default) and of this database (those in pg_collation with a version)
  ClockDifference clock_difference;
  std::uint64_t database_size = 0;  ///< bytes, of all databases this role may measure
};

/// Needs an SQL connection. A fact that cannot be read because of privileges is left out; any other failure is the
/// error.
Result<DatabaseFacts> read_database_facts(PgConnection& sql, Clock& clock, Instant deadline);

/// The two pg_hba.conf lines this agent needs, ready to paste: one for `replication`, one for the database it asks.
/// Pure.
std::vector<std::string> needed_hba_lines(std::string_view role, std::string_view database,
                                          std::string_view client_address, bool tls);

/// The elements of a PostgreSQL array in text form ("{a,\"b c\",NULL}"); kDatabase when it is not one. Pure.
Result<std::vector<std::string>> parse_text_array(std::string_view text);

/// True when `file` lies beneath `directory` (both absolute, compared as text after lexical normalisation). Pure.
bool lies_beneath(std::string_view file, std::string_view directory);

}  // namespace stele::agent
