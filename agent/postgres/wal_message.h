#pragma once

#include <variant>

#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::agent {

/// Messages of the physical replication stream inside CopyData (PostgreSQL documentation, "Streaming Replication
/// Protocol"); big-endian.

/// 'w': WAL bytes [start, start + bytes.size()).
struct WalData {
  Position start;
  Position server_end;    ///< how far the server's log was on disk when it sent this
  Timestamp server_time;  ///< the server's clock when it sent this
  ByteView bytes;         ///< valid until the stream's next call
};

/// 'k': the server is alive and idle.
struct WalKeepalive {
  Position server_end;
  Timestamp server_time;
  bool reply_requested = false;  ///< WalStream has answered already
};

using WalMessage = std::variant<WalData, WalKeepalive>;
/// Parses one CopyData message; kProtocol when it is too short, of an unknown kind, or its range would pass the end of
/// the log's numbers.
Result<WalMessage> parse_wal_message(ByteView message);

/// 'r': Standby Status Update with write = flush = apply = `durable`. `now` is this host's clock.
Bytes standby_status(Position durable, Timestamp now, bool request_reply);

/// PostgreSQL counts microseconds from 2000-01-01 00:00:00 UTC.
Timestamp from_postgres_time(std::int64_t micros);
std::int64_t to_postgres_time(Timestamp time);

}  // namespace stele::agent
