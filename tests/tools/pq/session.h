#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

struct pg_conn;

namespace stele::pq {

using Row = std::vector<std::optional<std::string>>;

/// A plain blocking libpq session for tools and tests. One thread at a time.
class Session {
 public:
  /// kClosed when the server cannot be reached or refuses.
  static Result<Session> connect(const std::string& conninfo);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  /// Runs one or more statements; rows of the last one that has any. kDatabase when the server refuses (the session can
  /// be used on), kClosed when it is gone.
  Result<std::vector<Row>> query(std::string_view sql);
  /// The value of a query that returns one row.
  Result<std::string> value(std::string_view sql);

  struct Commit {
    enum class Outcome {
      kCommitted,  ///< COMMIT returned
      kWarned,     ///< COMMIT returned with a warning: durable here only (a cancelled wait for a synchronous standby)
      kRefused,    ///< the server says that it did not commit
      kUnknown     ///< the connection broke before the answer: nobody knows
    };
    Outcome outcome = Outcome::kUnknown;
    std::string message;  ///< the warning or the error
    std::optional<std::string> position,
        committed_at;  ///< after the commit: WAL insert position, server's clock; absent when the server was gone
  };
  /// Sends COMMIT and, in the same message, asks for position and time; the commit's own answer decides the outcome.
  Commit commit();

  /// COPY table FROM STDIN: begin, then lines in text format, then end.
  Status copy_begin(std::string_view sql);
  Status copy_lines(std::string_view lines);
  Status copy_end();

 private:
  struct Closer {
    void operator()(pg_conn* conn) const;
  };
  explicit Session(pg_conn* conn);
  Error error(std::string_view doing) const;
  std::unique_ptr<pg_conn, Closer> conn_;
  std::unique_ptr<std::string> warning_;  // filled by the notice receiver; on the heap since the session moves
};

}  // namespace stele::pq
