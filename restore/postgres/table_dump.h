#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "restore/postgres/installation.h"
#include "restore/postgres/sql_session.h"

namespace stele::restore {

/// A table as the operator names it.
struct TableName {
  std::string schema, table;
  auto operator<=>(const TableName&) const = default;
  /// "registry.member", quoted where SQL would need it.
  std::string to_string() const;
};

/// "registry.member", "member" (of schema public), "\"Odd.Name\".t": SQL's rules, unquoted parts are lower case. kUsage.
Result<TableName> parse_table_name(std::string_view text);

/// 'text' as a literal in SQL, whatever it holds.
std::string sql_literal(std::string_view text);

/// One table of a restored database, with the partitions and children that belong to it (pg_dump --table leaves those out).
struct FoundTable {
  TableName name;
  std::vector<TableName> children;
};
/// What is there of these names, in their order; nothing for a name that is not there.
Result<std::vector<std::optional<FoundTable>>> find_tables(SqlSession& session, const std::vector<TableName>& names, Instant deadline);
/// Up to five tables whose names come near, for a hint.
Result<std::vector<TableName>> near_tables(SqlSession& session, const TableName& name, Instant deadline);

/// PostgreSQL's own tools of the restored server's version, run as the caller. kDatabase with their words; kCancelled.
class DumpTools {
 public:
  /// All outlive it. What the tools say goes to `log_file`.
  DumpTools(ProcessRunner& runner, const Installation& installation, std::string log_file, const std::atomic<bool>* cancelled)
      : runner_(runner), installation_(installation), log_file_(std::move(log_file)), cancelled_(cancelled) {}

  struct Dump {
    SqlAddress from;
    std::string database;
    std::vector<TableName> tables;  ///< empty: everything
    bool data_only = false;
    bool custom = false;  ///< pg_dump's custom format, else SQL
    std::string file;     ///< must exist already: its mode stays
  };
  Status dump(const Dump& what);
  /// Loads a custom dump in one transaction, without owners and privileges. `connection` is libpq's and holds no password.
  Status load(const std::string& file, const std::string& connection, bool data_only);
  /// Runs SQL at a connection and gives psql's unaligned output.
  Result<std::string> ask(const std::string& connection, const std::string& sql);

 private:
  Status run(const std::string& what, std::vector<std::string> argv, std::vector<std::pair<std::string, std::string>> environment);
  ProcessRunner& runner_;
  const Installation& installation_;
  std::string log_file_;
  const std::atomic<bool>* cancelled_;
};

/// kUsage for a connection string with a password in it: every user of the host could read it from the command line.
Status check_connection(const std::string& connection);

}  // namespace stele::restore
