#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/postgres/address.h"
#include "agent/postgres/interrupt.h"
#include "agent/postgres/pg_error.h"
#include "core/base/bytes.h"
#include "core/base/time.h"

struct pg_conn;    // libpq's PGconn
struct pg_result;  // libpq's PGresult

namespace stele::agent {

enum class ConnectionMode {
  kSql,          ///< an ordinary session in `dbname` (default: postgres)
  kReplication,  ///< physical replication: walsender commands only
};

struct ConnectOptions {
  ConnectionMode mode = ConnectionMode::kSql;
  std::string application_name =
      "stele";  ///< must be the name in synchronous_standby_names; the conninfo's own name wins
  /// Set on replication connections, so that the server frees the slot this long after the client froze or lost its
  /// power (the default of 60 s would keep "slot is active" for a minute). Milliseconds.
  int wal_sender_timeout_ms = 4000;
};

using Row = std::vector<std::optional<std::string>>;
/// The rows of a simple query. Values are PostgreSQL's text form; nullopt is NULL.
struct Rows {
  std::vector<std::string> columns;
  std::vector<Row> rows;
  /// The single value of a query that must return one row; kDatabase when it did not, or when it is NULL.
  Result<std::string> single(std::string_view what) const;
};

struct ResultDeleter {
  void operator()(pg_result* result) const;
};
using PgResult = std::unique_ptr<pg_result, ResultDeleter>;

/// One connection to one server. Belongs to one thread at a time; blocking, but every wait ends at its deadline
/// (kTimeout) or when the interrupt is stopped (kCancelled). Only the name look-up of a host is libpq's and blocks
/// without a deadline (use `hostaddr` or a local resolver). After any error but a server's own refusal of a query the
/// connection is broken: `usable()` is false, make a new one.
class PgConnection {
 public:
  /// Connects to exactly this host. Errors: kTimeout, kCancelled, kClosed (refused, unreachable), kTemporary (starting
  /// up, shutting down, too many connections), kUnauthorised (password, pg_hba), kDatabase. Messages name the host,
  /// never a password.
  static Result<PgConnection> connect(const ServerAddress& address, const ConnectOptions& options, Instant deadline,
                                      std::shared_ptr<Interrupt> interrupt);
  ~PgConnection();
  PgConnection(PgConnection&&) noexcept;
  PgConnection& operator=(PgConnection&&) noexcept;

  /// Sends a simple query (SQL, or a walsender command, whose keywords are case-sensitive) and reads all of its
  /// results; rows are those of the last result that has any. At most 64 MiB of rows (kLimit).
  Result<Rows> query(std::string_view command, Instant deadline);

  const std::string& host() const { return host_; }  ///< the address's label
  const ServerAddress& address() const { return address_; }
  ConnectionMode mode() const { return mode_; }
  int server_version() const;  ///< 150020 for 15.20
  int backend_pid() const;
  bool usable() const;
  /// A quoted literal for SQL and walsender commands: 'it''s'.
  std::string literal(std::string_view text) const;

  // --- For the protocols built on this class (WalStream, BaseBackup) ---

  enum class Ready { kSocket, kWoken, kDeadline };
  /// Waits until the socket can be read (or written, when libpq has unsent bytes), the deadline, or `wake()` (only with
  /// `heed_wake`). Unsent bytes are flushed and arrived bytes consumed. kCancelled after stop(), kClosed when the
  /// server is gone.
  Result<Ready> wait(Instant deadline, bool heed_wake);
  /// The same without reading: for a caller that must not take more data. kSocket: unsent bytes went out. kClosed when
  /// the peer is gone.
  Result<Ready> wait_without_reading(Instant deadline, bool heed_wake);
  Status send(std::string_view command);
  /// The next result of the command in progress; null when there is no more.
  Result<PgResult> next_result(Instant deadline);
  ServerMessage message_of(const pg_result* result) const;
  ServerMessage connection_message() const;
  pg_conn* raw() { return conn_; }
  const std::shared_ptr<Interrupt>& interrupt() const { return interrupt_; }

 private:
  PgConnection(pg_conn* conn, ServerAddress address, ConnectionMode mode, std::shared_ptr<Interrupt> interrupt);
  pg_conn* conn_ = nullptr;
  ServerAddress address_;
  std::string host_;
  ConnectionMode mode_ = ConnectionMode::kSql;
  std::shared_ptr<Interrupt> interrupt_;
  bool broken_ = false;  // a wait ended in the middle of an exchange
};

}  // namespace stele::agent
