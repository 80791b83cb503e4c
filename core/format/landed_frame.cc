#include "core/format/landed_frame.h"

#include <fmt/format.h>

namespace stele::format {

namespace {
constexpr std::uint8_t kTypeFrame = 1;
}

Bytes encode_landed_head(Timestamp received, const DatabaseName& database) {
  Bytes out;
  ByteWriter w(out);
  w.u8(kTypeFrame);
  w.i64(received.micros);
  w.str16(database.site);
  w.str16(database.database);
  return out;
}

Result<LandedFrame> parse_landed_frame(ByteView record) {
  ByteReader r(record);
  const std::uint8_t type = r.u8();
  if (type != kTypeFrame) {
    return Error{ErrorCode::kUnsupported, fmt::format("journal record of type {}", type), "read this with a newer Stele"};
  }
  LandedFrame out;
  out.received = {r.i64()};
  out.database.site = r.str16();
  out.database.database = r.str16();
  if (r.failed()) return Error{ErrorCode::kDamaged, "journal record: ends early", ""};
  if (!check_database_name(out.database).ok()) return Error{ErrorCode::kDamaged, "journal record: not the name of a database", ""};
  out.frame = r.rest();
  return out;
}

}  // namespace stele::format
