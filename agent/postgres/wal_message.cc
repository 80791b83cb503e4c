#include "agent/postgres/wal_message.h"

namespace stele::agent {
namespace {

constexpr std::int64_t kPostgresEpochMicros = 946'684'800'000'000;  // 2000-01-01 after 1970-01-01
constexpr std::size_t kDataHeader = 1 + 8 + 8 + 8;
constexpr std::size_t kKeepaliveSize = 1 + 8 + 8 + 1;

// The protocol is big-endian, unlike Stele's own layouts.
std::uint64_t get64(ByteView in, std::size_t at) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < 8; ++i) v = v << 8 | in[at + i];
  return v;
}

void put64(Bytes& out, std::uint64_t v) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(v >> shift));
}

Error bad(std::string_view why) {
  return {ErrorCode::kProtocol, fmt::format("message of the replication stream: {}", why), ""};
}

}  // namespace

Timestamp from_postgres_time(std::int64_t micros) {
  // A hostile value must not overflow.
  if (micros > INT64_MAX - kPostgresEpochMicros) return {INT64_MAX};
  return {micros + kPostgresEpochMicros};
}

std::int64_t to_postgres_time(Timestamp time) {
  if (time.micros < INT64_MIN + kPostgresEpochMicros) return INT64_MIN;
  return time.micros - kPostgresEpochMicros;
}

Result<WalMessage> parse_wal_message(ByteView m) {
  if (m.empty()) return bad("empty");
  if (m[0] == 'w') {
    if (m.size() < kDataHeader) return bad("WAL data shorter than its header");
    WalData data{{get64(m, 1)},
                 {get64(m, 9)},
                 from_postgres_time(static_cast<std::int64_t>(get64(m, 17))),
                 m.subspan(kDataHeader)};
    if (data.bytes.size() > UINT64_MAX - data.start.value) return bad("WAL data past the end of the log's numbers");
    return WalMessage(data);
  }
  if (m[0] == 'k') {
    if (m.size() < kKeepaliveSize) return bad("keepalive shorter than its fields");
    return WalMessage(
        WalKeepalive{{get64(m, 1)}, from_postgres_time(static_cast<std::int64_t>(get64(m, 9))), m[17] != 0});
  }
  return bad(fmt::format("unknown kind 0x{:02x}", m[0]));
}

Bytes standby_status(Position durable, Timestamp now, bool request_reply) {
  Bytes out;
  out.reserve(34);
  out.push_back('r');
  for (int field = 0; field < 3; ++field) put64(out, durable.value);  // write, flush, apply
  put64(out, static_cast<std::uint64_t>(to_postgres_time(now)));
  out.push_back(request_reply ? 1 : 0);
  return out;
}

}  // namespace stele::agent
