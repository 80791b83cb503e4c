#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "agent/postgres/connection.h"
#include "agent/postgres/reconnect.h"
#include "agent/postgres/wal_message.h"

namespace stele::agent {

/// The timeline that was asked for ended at `switch_point`; continue on `next_timeline` from there, never from one's
/// own position.
struct EndOfTimeline {
  std::uint32_t next_timeline = 0;
  Position switch_point;
};
struct WalIdle {};   ///< the deadline passed
struct WalWoken {};  ///< Interrupt::wake() was called
/// The server is shutting down and the connection is closed: either it had everything confirmed, or this side stepped
/// aside.
struct ServerShutdown {
  bool all_confirmed = false;  ///< the server ended the stream itself
};
using WalEvent = std::variant<WalData, WalKeepalive, EndOfTimeline, WalIdle, WalWoken, ServerShutdown>;

struct WalStreamOptions {
  std::string slot;  ///< empty: none is used
  Position start;  ///< normally the beginning of a WAL segment
  std::uint32_t timeline = 1;
  Duration status_interval =
      std::chrono::seconds(1);  ///< a status goes out at least this often; well under wal_sender_timeout / 2
  Duration shutdown_grace =
      std::chrono::seconds(3);  ///< how long a server that shuts down waits for confirmation before we step aside
};

/// One START_REPLICATION. Belongs to one thread. Answers keepalives inside next(), hold() and pump(): **a caller that
/// does not want more data calls hold()** (or pump() at least every second), and does not simply stay away, or the
/// server drops it after 4 s. The interrupt of the connection ends every wait. After an error, EndOfTimeline or
/// ServerShutdown the stream is finished; `take_connection()` gives the connection back after EndOfTimeline, so that
/// the next timeline starts at once.
class WalStream {
 public:
  /// The server checks some of this only after it has begun to stream, so the first next() can give the same errors.
  /// Errors beyond the connection's: kGap (the WAL is gone, or the slot invalidated), kFork (the position is ahead of
  /// the server or not in its history), kTemporary (slot in use, with the process id), kNotFound (no such slot). On
  /// error the connection is closed.
  static Result<WalStream> start(PgConnection connection, WalStreamOptions options, Clock& clock, Instant deadline);
  ~WalStream();
  WalStream(WalStream&&) noexcept;
  WalStream& operator=(WalStream&&) noexcept;

  /// The next event; data comes in order and without holes (kProtocol otherwise), at most about 128 KiB each.
  /// `WalData::bytes` is valid until the next call of next() or hold(). Returns WalIdle at the deadline, WalWoken after
  /// wake(); data that has arrived comes first.
  Result<WalEvent> next(Instant deadline);

  /// Waits without reading data (back-pressure), keeping the connection alive. WalIdle, WalWoken, or ServerShutdown: a
  /// server that shuts down while nothing is read is found by a connection attempt every 5 s and left.
  Result<WalEvent> hold(Instant deadline);

  /// Sends what is due without waiting. For callers with another reason to be in their own loop.
  Status pump();

  /// Reports `durable` as written, flushed and applied. Only what is durable by the configured policy; the server
  /// releases commits by it and removes WAL before it. Never goes back: a lower position than before is ignored. A
  /// position beyond what this stream has delivered is reported once the stream gets there, so a server with another
  /// history is never told that its commits are safe. Before the first call nothing is reported. Sent at once when the
  /// position grew, or when `request_reply` asks the server for a keepalive.
  Status send_status(Position durable, bool request_reply = false);

  Position received_end() const;  ///< end of the data delivered so far; the start position before any
  Position reported() const;      ///< what the server was told last; 0: nothing yet
  Position server_end() const;    ///< the server's end of WAL as last heard
  Timestamp server_time() const;  ///< the server's clock as last heard; none before the first message
  const std::string& host() const;
  /// After EndOfTimeline only.
  PgConnection take_connection();

 private:
  struct State;
  explicit WalStream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace stele::agent
