#pragma once

#include <string>
#include <string_view>

#include "core/base/identity.h"
#include "core/pg/versions.h"

namespace stele::pg {

inline constexpr std::uint32_t kMinWalSegmentSize = 1u << 20;
inline constexpr std::uint32_t kMaxWalSegmentSize = 1u << 30;
inline constexpr std::uint32_t kDefaultWalSegmentSize = 16u << 20;
inline constexpr std::uint32_t kWalPageSize = 8192;  ///< XLOG_BLCKSZ of every ordinary build

/// A power of two from 1 MiB to 1 GiB (xlog_internal.h, IsValidWalSegSize); kUnsupported otherwise.
Status check_wal_segment_size(std::uint64_t bytes);

/// The following take a segment size that passed check_wal_segment_size.
inline std::uint64_t segment_number(Position p, std::uint32_t segment_size) { return p.value / segment_size; }
inline std::uint32_t offset_in_segment(Position p, std::uint32_t segment_size) {
  return static_cast<std::uint32_t>(p.value & (segment_size - 1));
}
inline Position segment_begin(std::uint64_t number, std::uint32_t segment_size) { return {number * segment_size}; }
inline Position segment_begin(Position p, std::uint32_t segment_size) { return {p.value & ~std::uint64_t{segment_size - 1}}; }
/// The first segment boundary at or after p.
inline Position segment_ceiling(Position p, std::uint32_t segment_size) { return segment_begin(p + (segment_size - 1), segment_size); }

struct WalSegment {
  TimelineId timeline = 0;
  std::uint64_t number = 0;
  auto operator<=>(const WalSegment&) const = default;
};

/// The 24 upper-case hexadecimal digits of XLogFileName (xlog_internal.h).
std::string wal_file_name(const WalSegment& segment, std::uint32_t segment_size);
/// The reverse; kUsage for another form, timeline 0, or a number that this segment size cannot have.
Result<WalSegment> parse_wal_file_name(std::string_view name, std::uint32_t segment_size);

/// "00000002.history"
std::string history_file_name(TimelineId timeline);
Result<TimelineId> parse_history_file_name(std::string_view name);

/// What PostgreSQL may ask a restore_command for.
enum class WalFileKind { kSegment, kHistory, kBackupHistory, kPartial, kOther };
WalFileKind classify_wal_file(std::string_view name);

}  // namespace stele::pg
