#include "core/pg/wal_segment.h"

#include <fmt/format.h>

#include <bit>

namespace stele::pg {
namespace {

bool all_hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789ABCDEF") == std::string_view::npos;
}

/// At most 8 digits that passed all_hex.
std::uint32_t hex_value(std::string_view digits) {
  std::uint32_t v = 0;
  for (char c : digits) v = v << 4 | static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'A' + 10);
  return v;
}

Error not_a_name(std::string_view name, std::string_view kind) {
  return Error{ErrorCode::kUsage, fmt::format("\"{}\" is not the name of a {}", name.substr(0, 64), kind), ""};
}

}  // namespace

Status check_wal_segment_size(std::uint64_t bytes) {
  if (std::has_single_bit(bytes) && bytes >= kMinWalSegmentSize && bytes <= kMaxWalSegmentSize) return {};
  return Error{ErrorCode::kUnsupported, fmt::format("wal_segment_size of {} bytes: not a power of two from 1 MiB to 1 GiB", bytes), ""};
}

std::string wal_file_name(const WalSegment& segment, std::uint32_t segment_size) {
  std::uint64_t per_id = (std::uint64_t{1} << 32) / segment_size;
  return fmt::format("{:08X}{:08X}{:08X}", segment.timeline, segment.number / per_id, segment.number % per_id);
}

Result<WalSegment> parse_wal_file_name(std::string_view name, std::uint32_t segment_size) {
  if (name.size() != 24 || !all_hex(name)) return not_a_name(name, "WAL segment");
  std::uint64_t per_id = (std::uint64_t{1} << 32) / segment_size;
  WalSegment out;
  out.timeline = hex_value(name.substr(0, 8));
  std::uint64_t low = hex_value(name.substr(16, 8));
  out.number = hex_value(name.substr(8, 8)) * per_id + low;
  if (out.timeline == 0 || low >= per_id) return not_a_name(name, fmt::format("WAL segment of {} MiB", segment_size >> 20));
  return out;
}

std::string history_file_name(TimelineId timeline) { return fmt::format("{:08X}.history", timeline); }

Result<TimelineId> parse_history_file_name(std::string_view name) {
  if (name.size() != 16 || !all_hex(name.substr(0, 8)) || name.substr(8) != ".history") return not_a_name(name, "timeline history");
  TimelineId timeline = hex_value(name.substr(0, 8));
  if (timeline == 0) return not_a_name(name, "timeline history");
  return timeline;
}

WalFileKind classify_wal_file(std::string_view name) {
  if (name.size() == 16 && all_hex(name.substr(0, 8)) && name.ends_with(".history")) return WalFileKind::kHistory;
  if (name.size() < 24 || !all_hex(name.substr(0, 24))) return WalFileKind::kOther;
  std::string_view rest = name.substr(24);
  if (rest.empty()) return WalFileKind::kSegment;
  if (rest == ".partial") return WalFileKind::kPartial;
  if (rest.size() == 16 && rest[0] == '.' && all_hex(rest.substr(1, 8)) && rest.ends_with(".backup")) return WalFileKind::kBackupHistory;
  return WalFileKind::kOther;
}

}  // namespace stele::pg
