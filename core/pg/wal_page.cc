#include "core/pg/wal_page.h"

#include <fmt/format.h>

namespace stele::pg {

Result<WalPageHeader> parse_wal_page_header(ByteView bytes) {
  ByteReader r(bytes);
  WalPageHeader h;
  h.magic = r.u16();
  h.info = r.u16();
  h.timeline = r.u32();
  h.page_address = {r.u64()};
  h.remaining_length = r.u32();
  if (h.is_long()) {
    r.u32();  // the short header is padded to 24 bytes
    h.system_identifier = r.u64();
    h.segment_size = r.u32();
    h.wal_block_size = r.u32();
  }
  if (r.failed()) return Error{ErrorCode::kDamaged, "WAL page header: ends early", ""};
  if (!major_of_wal_magic(h.magic)) {
    if (h.magic >> 8 == 0xD1) {
      return Error{ErrorCode::kUnsupported, fmt::format("WAL page with magic {:04X} of an unknown PostgreSQL version", h.magic),
                   "PostgreSQL 13 to 17 are known"};
    }
    return Error{ErrorCode::kDamaged, fmt::format("WAL page with magic {:04X}", h.magic), ""};
  }
  if ((h.info & ~WalPageHeader::kAllFlags) != 0) return Error{ErrorCode::kDamaged, fmt::format("WAL page with flags {:04X}", h.info), ""};
  return h;
}

}  // namespace stele::pg
