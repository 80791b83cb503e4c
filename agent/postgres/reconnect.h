#pragma once

#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/time.h"

namespace stele::agent {

/// Why a stream ended or did not begin; also the label of the metric "reconnects by reason".
enum class ReconnectReason {
  kLost,          ///< the connection broke: killed server, killed walsender, network
  kRefused,       ///< nobody listens, or the host is not reachable
  kStartingUp,    ///< 57P03 while the server recovers
  kShuttingDown,  ///< the server said so, or ended the stream in its shutdown
  kSlotActive,    ///< another process holds the slot: usually this agent's own former connection
  kTimelineEnd,   ///< not a failure: go on with the next timeline
  kBusy,          ///< too many connections or walsenders
  kUnauthorised,  ///< password, pg_hba, privilege: a person must act
  kOther,
};
std::string_view reconnect_reason_name(ReconnectReason reason);
/// The reason in an Error made by this folder. Pure.
ReconnectReason reconnect_reason(const Error& error);

/// Decides how long to wait before the next attempt. Pure: given times, no I/O. After a kill the first attempt comes at
/// once and later ones at most 500 ms apart for as long as the cause is one that ends by itself quickly, so that the
/// agent streams again within 2 s; a server that is shutting down is asked every 2 to 5 s only; what needs a person,
/// every 5 to 60 s.
class ReconnectPolicy {
 public:
  /// Called when an attempt or a stream has failed; the time to wait from `now`.
  Duration failed(ReconnectReason reason, Instant now);
  /// Called when the stream delivers. A connection that then lasts 10 s forgets earlier failures.
  void streaming(Instant now);
  int attempts() const { return attempts_; }

 private:
  int attempts_ = 0;
  ReconnectReason last_ = ReconnectReason::kTimelineEnd;
  std::optional<Instant> streaming_since_;
};

/// Notices a server that waits in its shutdown for us: its walsender then answers every reply at once with another
/// keepalive that asks for a reply (walsender.c, WalSndDone), while an ordinary one asks only after half of
/// wal_sender_timeout without a reply. Judged by the server's own clock, so a caller that reads late changes nothing.
/// Pure.
class ShutdownDetector {
 public:
  void data();
  void keepalive(bool reply_requested, Timestamp server_time);
  /// Three quick requests in a row without data between: confirm by a connection attempt (57P03).
  bool suspected() const { return quick_requests_ >= 3; }
  void reset();

 private:
  Timestamp last_request_;
  int quick_requests_ = 0;
};

}  // namespace stele::agent
