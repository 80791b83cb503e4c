#pragma once

#include "core/base/identity.h"

namespace stele::pg {

inline constexpr std::size_t kPageSize = 8192;  ///< BLCKSZ of every ordinary build

/// The checksum of a page (storage/checksum_impl.h): `page` has a multiple of 128 bytes (BLCKSZ), `block` is the block number
/// within the relation fork, not within the file. The stored checksum itself does not count.
std::uint16_t page_checksum(ByteView page, std::uint32_t block);

/// The fields of PageHeaderData (storage/bufpage.h) that are looked at.
struct PageHeader {
  Position lsn;
  std::uint16_t checksum = 0, flags = 0, lower = 0, upper = 0, special = 0;
  std::uint16_t page_size = 0;
  std::uint8_t layout_version = 0;
};
/// `page` has at least 24 bytes.
PageHeader read_page_header(ByteView page);

enum class PageState {
  kNew,             ///< all zeros: allocated, never used
  kGood,            ///< the checksum is right
  kBadHeader,       ///< neither new nor a page header that PostgreSQL would accept (PageIsVerified)
  kBadChecksum,
};
/// What PostgreSQL would say about a page of a cluster with data checksums. A torn page, read while PostgreSQL wrote it, is
/// bad too: the caller decides by the log. `page` is exactly one page.
PageState check_page(ByteView page, std::uint32_t block);
inline bool is_suspect(PageState state) { return state == PageState::kBadHeader || state == PageState::kBadChecksum; }

}  // namespace stele::pg
