#pragma once

#include "core/base/identity.h"
#include "core/pg/versions.h"

namespace stele::pg {

/// XLogPageHeaderData, and XLogLongPageHeaderData on the first page of a segment (access/xlog_internal.h).
struct WalPageHeader {
  std::uint16_t magic = 0;
  std::uint16_t info = 0;
  TimelineId timeline = 0;
  Position page_address;
  std::uint32_t remaining_length = 0;   ///< bytes of the record that began before this page
  std::uint64_t system_identifier = 0;  ///< long header only
  std::uint32_t segment_size = 0;       ///< long header only
  std::uint32_t wal_block_size = 0;     ///< long header only

  static constexpr std::uint16_t kFirstIsContrecord = 0x0001;
  static constexpr std::uint16_t kLong = 0x0002;
  static constexpr std::uint16_t kBackupRemovable = 0x0004;
  static constexpr std::uint16_t kFirstIsOverwriteContrecord = 0x0008;
  static constexpr std::uint16_t kAllFlags = 0x000F;

  bool is_long() const { return (info & kLong) != 0; }
  bool continues_record() const { return (info & kFirstIsContrecord) != 0; }
  bool overwrites_record() const { return (info & kFirstIsOverwriteContrecord) != 0; }
};

inline constexpr std::size_t kShortPageHeaderSize = 24;
inline constexpr std::size_t kLongPageHeaderSize = 40;

/// Reads a header; `bytes` has kLongPageHeaderSize bytes when it says it is long, else at least kShortPageHeaderSize.
/// kDamaged when it is short or has unknown flags; kUnsupported for a magic of an unknown version.
Result<WalPageHeader> parse_wal_page_header(ByteView bytes);

}  // namespace stele::pg
