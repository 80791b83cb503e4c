#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"

struct pg_conn;  // libpq's PGconn

namespace stele::restore {

/// Where a restored server listens.
struct SqlAddress {
  std::string host;  ///< an absolute socket directory, or a host name
  int port = 5432;
  std::string user = "postgres";  ///< role
  bool superuser = true;          ///< the role is one: no preload library of the restored roles or databases is loaded
};

using SqlRow = std::vector<std::optional<std::string>>;  ///< text form; nullopt is NULL
struct SqlRows {
  std::vector<std::string> columns;
  std::vector<SqlRow> rows;
  /// The single value of a query that must return one; kDatabase when it did not, or when it is NULL.
  Result<std::string> single(std::string_view what) const;
};

/// One connection to a restored server. Blocking, one thread at a time; every wait ends at its deadline (kTimeout; the
/// session is then of no use) or, within 100 ms, when `cancelled` becomes true (kCancelled). The operator's environment
/// (PGHOST, passwords, services) does not reach it; search_path is pg_catalog only until the caller changes it, since
/// the database is hostile input.
class SqlSession {
 public:
  /// kTemporary while the server starts up or replays without answering; kDatabase for other refusals; kClosed when
  /// nobody listens.
  static Result<std::unique_ptr<SqlSession>> connect(const SqlAddress& address, std::string_view database,
                                                     Instant deadline, const std::atomic<bool>* cancelled = nullptr);
  ~SqlSession();
  SqlSession(const SqlSession&) = delete;
  SqlSession& operator=(const SqlSession&) = delete;

  /// One or more statements; rows are those of the last that has any. kDatabase with SQLSTATE when the server refuses;
  /// kLimit beyond 64 MiB of rows.
  Result<SqlRows> query(std::string_view sql, Instant deadline);

 private:
  SqlSession(pg_conn* conn, const std::atomic<bool>* cancelled) : conn_(conn), cancelled_(cancelled) {}
  pg_conn* conn_;
  const std::atomic<bool>* cancelled_;
};

}  // namespace stele::restore
