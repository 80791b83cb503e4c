#pragma once

#include "agent/postgres/connection.h"
#include "core/format/table_counts.h"

namespace stele::agent {

/// What a snapshot seals so that a drill can tell whether a restored database still has its tables and rows.
struct ServerCounts {
  std::vector<format::DatabaseCounts> databases;
  std::vector<std::string> warnings;  ///< which database has no counts, and why
};

/// Asks every database of the server, the connection's own first. Catalog and statistics only: no privilege on a table is needed, no table is
/// read or locked. Never fails: what does not answer within a few seconds, or lets the role not in, is a warning. All together take at most
/// `patience`.
ServerCounts read_table_counts(PgConnection& sql, Duration patience);

}  // namespace stele::agent
