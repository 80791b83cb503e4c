// The parts of WalDecoder that read what is inside a record (access/xlogreader.c, DecodeXLogRecord).
#include <fmt/format.h>

#include "core/pg/page.h"
#include "core/pg/wal_decoder.h"

namespace stele::pg {
namespace {

constexpr std::uint8_t kMaxBlockId = 32, kIdTopLevelXid = 252, kIdOrigin = 253, kIdDataLong = 254, kIdDataShort = 255;
constexpr std::uint8_t kForkMask = 0x0F, kHasImage = 0x10, kHasData = 0x20, kWillInit = 0x40, kSameRelation = 0x80;
constexpr std::uint8_t kImageHasHole = 0x01;

struct ImageFlags {
  std::uint8_t compressed, apply;
};
/// PostgreSQL 15 renumbered them for the LZ4 and zstd methods (access/xlogrecord.h).
ImageFlags image_flags(int major) { return major >= 15 ? ImageFlags{0x1C, 0x02} : ImageFlags{0x02, 0x04}; }

void read_image_header(ByteReader& r, int major, BlockReference& block) {
  ImageFlags flags = image_flags(major);
  block.has_image = true;
  block.image_length = r.u16();
  block.hole_offset = r.u16();
  std::uint8_t info = r.u8();
  block.compressed = (info & flags.compressed) != 0;
  block.applies_image = (info & flags.apply) != 0;
  if ((info & kImageHasHole) == 0) return;
  block.hole_length = block.compressed ? r.u16() : static_cast<std::uint16_t>(kPageSize - block.image_length);
}

}  // namespace

Status WalDecoder::parse_block_headers(ByteView bytes) {
  const std::uint64_t body = record_.total_length - kRecordHeaderSize;
  ByteReader r(bytes);
  std::array<std::uint16_t, kMaxBlockId + 1> data_lengths{};
  std::uint64_t data_total = 0;
  bool has_main = false;
  int last_id = -1;
  // Headers end where the rest of the record is exactly the data they announced.
  while (!r.failed() && !has_main && body - r.position() > data_total) {
    std::uint8_t id = r.u8();
    if (id == kIdDataShort || id == kIdDataLong) {
      main_length_ = id == kIdDataShort ? r.u8() : r.u32();
      data_total += main_length_;
      has_main = true;
    } else if (id == kIdOrigin) {
      r.u16();
    } else if (id == kIdTopLevelXid) {
      r.u32();
    } else if (id <= kMaxBlockId) {
      if (id <= last_id) return damaged(record_.start, fmt::format("block reference {} after {}", id, last_id));
      last_id = id;
      BlockReference block;
      block.id = id;
      std::uint8_t flags = r.u8();
      block.fork = flags & kForkMask;
      block.will_init = (flags & kWillInit) != 0;
      std::uint16_t length = r.u16();
      if (((flags & kHasData) != 0) != (length != 0)) return damaged(record_.start, "block data without length, or the reverse");
      if ((flags & kHasImage) != 0) read_image_header(r, *major_, block);
      if (block.image_length > kPageSize) return damaged(record_.start, "a page image longer than a page");
      if ((flags & kSameRelation) == 0) {
        block.tablespace = r.u32();
        block.database = r.u32();
        block.relation = r.u32();
      } else if (record_.blocks.empty()) {
        return damaged(record_.start, "a block reference to the relation before it, but there is none");
      } else {
        const BlockReference& before = record_.blocks.back();
        block.tablespace = before.tablespace;
        block.database = before.database;
        block.relation = before.relation;
      }
      block.block = r.u32();
      data_lengths[record_.blocks.size()] = length;
      data_total += std::uint64_t{length} + block.image_length;
      record_.blocks.push_back(block);
    } else {
      return damaged(record_.start, fmt::format("block reference {}", id));
    }
  }
  if (r.failed() || body - r.position() != data_total) return damaged(record_.start, "the lengths inside the record contradict each other");
  auto at = static_cast<std::uint32_t>(kRecordHeaderSize + r.position());
  for (std::size_t i = 0; i < record_.blocks.size(); ++i) {
    BlockReference& block = record_.blocks[i];
    if (block.has_image) block.image_offset = at;
    at += block.image_length + std::uint32_t{data_lengths[i]};
  }
  main_begin_ = at;
  if (XactParser::ends_transaction(record_.rmgr, record_.info)) xact_.begin(record_.info, record_.xid);
  return {};
}

void WalDecoder::on_main_bytes(std::uint32_t at, ByteView bytes) {
  // The main data is the end of the record.
  if (at < main_begin_) {
    bytes = bytes.subspan(std::min<std::size_t>(main_begin_ - at, bytes.size()));
    at = main_begin_;
  }
  if (bytes.empty()) return;
  if (XactParser::ends_transaction(record_.rmgr, record_.info)) {
    xact_.feed(bytes);
    return;
  }
  std::uint32_t in_main = at - main_begin_;
  if (record_.rmgr != Rmgr::kXlog || in_main >= kMaxNotable) return;
  std::copy_n(bytes.begin(), std::min<std::size_t>(bytes.size(), kMaxNotable - in_main), main_bytes_.begin() + in_main);
}

Status WalDecoder::parse_notable() {
  if (XactParser::ends_transaction(record_.rmgr, record_.info)) {
    auto end = xact_.finish();
    if (!headers_parsed_ || !end.ok()) return damaged(record_.start, "a commit or abort record ends early");
    record_.notable = *end;
    return {};
  }
  if (record_.rmgr != Rmgr::kXlog) return {};
  ByteReader r(ByteView(main_bytes_).first(std::min<std::size_t>(main_length_, kMaxNotable)));
  switch (static_cast<XlogInfo>(record_.info & 0xF0)) {
    case XlogInfo::kCheckpointShutdown:
    case XlogInfo::kCheckpointOnline: {
      auto checkpoint = parse_checkpoint(r.rest());
      if (!checkpoint.ok()) return checkpoint.error().in(fmt::format("WAL at {}", record_.start.to_string()));
      record_.notable = CheckpointRecord{(record_.info & 0xF0) == 0, *checkpoint};
      return {};
    }
    case XlogInfo::kSwitch: record_.notable = WalSwitch{}; return {};
    case XlogInfo::kBackupEnd: record_.notable = BackupEnd{{r.u64()}}; break;
    case XlogInfo::kRestorePoint: {
      RestorePoint point;
      point.time = from_timestamptz(r.i64());
      std::string_view name = as_text(r.raw(64));  // MAXFNAMELEN, ended by NUL
      point.name = name.substr(0, name.find('\0'));
      point.end = record_.end;
      record_.notable = std::move(point);
      break;
    }
    case XlogInfo::kEndOfRecovery: {
      EndOfRecovery end;
      end.time = from_timestamptz(r.i64());
      end.timeline = r.u32();
      end.previous_timeline = r.u32();
      record_.notable = end;
      break;
    }
    case XlogInfo::kParameterChange: {
      ParameterChange change;
      change.max_connections = r.u32();
      change.max_worker_processes = r.u32();
      change.max_wal_senders = r.u32();
      change.max_prepared_xacts = r.u32();
      change.max_locks_per_xact = r.u32();
      std::uint32_t level = r.u32();
      if (level > static_cast<std::uint32_t>(WalLevel::kLogical)) return damaged(record_.start, fmt::format("wal_level {}", level));
      change.wal_level = static_cast<WalLevel>(level);
      change.wal_log_hints = r.u8() != 0;
      change.track_commit_timestamp = r.u8() != 0;
      record_.notable = change;
      break;
    }
    case XlogInfo::kOverwriteContrecord: {
      OverwriteContrecord overwrite;
      overwrite.overwritten = {r.u64()};
      overwrite.time = from_timestamptz(r.i64());
      record_.notable = overwrite;
      break;
    }
    default: return {};
  }
  if (r.failed()) return damaged(record_.start, "an XLOG record ends early");
  return {};
}

}  // namespace stele::pg
