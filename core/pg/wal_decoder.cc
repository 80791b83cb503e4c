#include "core/pg/wal_decoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/pg/crc32c.h"

namespace stele::pg {
namespace {

constexpr std::uint32_t kMaxRecordLength = 1u << 30;  // PostgreSQL's own limit is a little lower (xlogrecord.h, XLogRecordMaxSize)

constexpr std::uint64_t align8(std::uint64_t n) { return (n + 7) & ~std::uint64_t{7}; }

}  // namespace

WalDecoder::WalDecoder(WalDecoderOptions options, Position start, Sink sink)
    : options_(options), sink_(std::move(sink)), major_(options.major), position_(start), boundary_(start) {
  std::uint32_t in_page = static_cast<std::uint32_t>(start.value % kWalPageSize);
  std::size_t header = offset_in_segment(start, options.segment_size) < kWalPageSize ? kLongPageHeaderSize : kShortPageHeaderSize;
  if (Status size = check_wal_segment_size(options.segment_size); !size.ok()) {
    failure_ = size.error();
  } else if (major_ && !wal_magic_of_major(*major_)) {
    failure_ = Error{ErrorCode::kUnsupported, fmt::format("decode WAL of PostgreSQL {}", *major_), "PostgreSQL 13 to 17 are known"};
  } else if (start.value % 8 != 0 || (in_page != 0 && in_page < header)) {
    failure_ = Error{ErrorCode::kUsage, fmt::format("decode WAL from {}: no record can start there", start.to_string()), ""};
  } else if (in_page != 0 && !major_) {
    failure_ = Error{ErrorCode::kUsage, fmt::format("decode WAL from {}: not a page start, and PostgreSQL's version is not given",
                                                    start.to_string()), ""};
  }
}

Error WalDecoder::damaged(Position where, std::string what) const {
  return Error{ErrorCode::kDamaged, fmt::format("WAL at {}: {}", where.to_string(), what), ""};
}

Status WalDecoder::feed(ByteView bytes) {
  if (failure_) return *failure_;
  Status done = feed_unguarded(bytes);
  if (!done.ok()) failure_ = done.error();
  return done;
}

Status WalDecoder::feed_unguarded(ByteView bytes) {
  while (!bytes.empty()) {
    std::uint32_t in_segment = offset_in_segment(position_, options_.segment_size);
    if (state_ == State::kSwitchRest) {
      // Zeros, or pages without a record: PostgreSQL does not read them either.
      std::size_t n = std::min<std::size_t>(bytes.size(), options_.segment_size - in_segment);
      position_ = boundary_ = position_ + n;
      bytes = bytes.subspan(n);
      if (offset_in_segment(position_, options_.segment_size) == 0) state_ = State::kRecordHeader;
      continue;
    }
    std::uint32_t in_page = in_segment % kWalPageSize;
    std::size_t header = in_segment < kWalPageSize ? kLongPageHeaderSize : kShortPageHeaderSize;
    std::size_t n;
    if (in_page < header) {
      n = std::min(bytes.size(), header - in_page);
      std::copy_n(bytes.begin(), n, page_bytes_.begin() + in_page);
      position_ = position_ + n;
      if (in_page + n == header) STELE_CHECK(on_page_header());
    } else {
      n = std::min<std::size_t>(bytes.size(), kWalPageSize - in_page);
      STELE_CHECK(on_record_bytes(bytes.first(n)));
      // After a WAL switch the rest belongs to nobody; the loop sees to it.
      n = std::min(n, consumed_);
    }
    bytes = bytes.subspan(n);
  }
  return {};
}

Status WalDecoder::on_page_header() {
  bool is_long = offset_in_segment(position_, options_.segment_size) < kWalPageSize;
  std::size_t size = is_long ? kLongPageHeaderSize : kShortPageHeaderSize;
  Position at{position_.value - size};
  const ByteView raw = ByteView(page_bytes_).first(size);
  if (!is_long && !seen_page_ && !valid_from_ && have_ == 0 && std::all_of(raw.begin(), raw.end(), [](std::uint8_t b) { return b == 0; })) {
    // The start lies behind a WAL switch: no record until the segment ends.
    state_ = State::kSwitchRest;
    boundary_ = position_;
    return {};
  }
  auto parsed = parse_wal_page_header(raw);
  if (!parsed.ok()) return parsed.error().in(fmt::format("WAL at {}", at.to_string()));
  WalPageHeader previous = std::exchange(page_, *parsed);
  bool first = !std::exchange(seen_page_, true);

  if (!major_) major_ = major_of_wal_magic(page_.magic);
  if (page_.magic != wal_magic_of_major(*major_)) return damaged(at, fmt::format("page magic {:04X} is not of PostgreSQL {}", page_.magic, *major_));
  if (page_.page_address != at) return damaged(at, "the page says it is " + page_.page_address.to_string());
  if (page_.is_long() != is_long) return damaged(at, "page header of the wrong kind");
  if (is_long && page_.segment_size != options_.segment_size) {
    return damaged(at, fmt::format("wal_segment_size is {}, not {}", page_.segment_size, options_.segment_size));
  }
  if (is_long && page_.wal_block_size != kWalPageSize) {
    return Error{ErrorCode::kUnsupported, fmt::format("WAL at {}: pages of {} bytes", at.to_string(), page_.wal_block_size), ""};
  }
  if (is_long && options_.system_identifier && page_.system_identifier != *options_.system_identifier) {
    return damaged(at, fmt::format("system identifier {} instead of {}", page_.system_identifier, *options_.system_identifier));
  }
  if (page_.timeline == 0 || (!first && page_.timeline < previous.timeline)) {
    return damaged(at, fmt::format("timeline {} after {}", page_.timeline, previous.timeline));
  }
  if (first && state_ == State::kRecordHeader && have_ == 0 && !valid_from_ && page_.continues_record()) {
    if (page_.remaining_length == 0 || page_.remaining_length > kMaxRecordLength) return damaged(at, "impossible xlp_rem_len");
    state_ = State::kSkipContrecord;
    skip_left_ = align8(page_.remaining_length);
    return {};
  }
  return check_continuation(at);
}

Status WalDecoder::check_continuation(Position at) {
  std::uint64_t open = 0;  // bytes still missing of what began on an earlier page
  bool same = true;
  if (state_ == State::kSkipContrecord) {
    open = skip_left_;
    same = align8(page_.remaining_length) == open;
  } else if (have_ > 0) {
    open = record_.total_length - have_;
    same = page_.remaining_length == open;
  }
  if (open == 0) {
    if (page_.continues_record()) return damaged(at, "the page continues a record that has ended");
    return {};
  }
  if (page_.overwrites_record()) {
    // A crash left the record unfinished; PostgreSQL went on here instead (xlog.c, CreateOverwriteContrecordRecord).
    if (state_ != State::kSkipContrecord) overwritten_ = record_.start;
    begin_record();
    return {};
  }
  if (!page_.continues_record()) return damaged(at, "the page does not continue the record before it");
  if (!same) return damaged(at, fmt::format("xlp_rem_len is {}, {} bytes are missing", page_.remaining_length, open));
  return {};
}

void WalDecoder::begin_record() {
  state_ = State::kRecordHeader;
  have_ = 0;
  skip_left_ = 0;
}

Status WalDecoder::on_record_bytes(ByteView bytes) {
  const std::size_t size = bytes.size();
  while (!bytes.empty() && state_ != State::kSwitchRest) {
    std::size_t n = 0;
    switch (state_) {
      case State::kSkipContrecord:
        n = static_cast<std::size_t>(std::min<std::uint64_t>(skip_left_, bytes.size()));
        skip_left_ -= n;
        position_ = position_ + n;
        if (skip_left_ == 0) {
          boundary_ = position_;
          begin_record();
        }
        break;
      case State::kRecordHeader: {
        if (have_ == 0) {
          record_.start = position_;
          if (!valid_from_) valid_from_ = position_;
        }
        // Records are aligned to 8, so the first 8 bytes, with the length, are always on one page.
        std::size_t want = have_ < 8 ? 8 : kRecordHeaderSize;
        n = std::min(want - have_, bytes.size());
        std::copy_n(bytes.begin(), n, header_bytes_.begin() + have_);
        have_ += static_cast<std::uint32_t>(n);
        position_ = position_ + n;
        if (have_ == want) STELE_CHECK(want == 8 ? on_record_length() : on_record_header());
        break;
      }
      case State::kRecordBody: {
        std::uint32_t left = record_.total_length - have_;
        if (left > 0) {
          n = std::min<std::size_t>(left, bytes.size());
          STELE_CHECK(on_body_bytes(bytes.first(n)));
          position_ = position_ + n;
        } else {
          n = std::min<std::size_t>(padding_left_, bytes.size());
          padding_left_ -= static_cast<std::uint32_t>(n);
          position_ = position_ + n;
        }
        if (have_ == record_.total_length && padding_left_ == 0) STELE_CHECK(on_record_end());
        break;
      }
      case State::kSwitchRest: break;
    }
    bytes = bytes.subspan(n);
  }
  consumed_ = size - bytes.size();
  return {};
}

Status WalDecoder::on_record_length() {
  record_.total_length = ByteReader(header_bytes_).u32();
  if (record_.total_length < kRecordHeaderSize || record_.total_length > kMaxRecordLength) {
    return damaged(record_.start, fmt::format("record length {}", record_.total_length));
  }
  return {};
}

Status WalDecoder::on_record_header() {
  ByteReader r(header_bytes_);
  r.u32();
  record_.xid = r.u32();
  record_.previous = {r.u64()};
  record_.info = r.u8();
  record_.rmgr = static_cast<Rmgr>(r.u8());
  r.u16();
  stored_crc_ = r.u32();
  record_.blocks.clear();
  record_.notable = std::monostate{};
  if (last_record_ ? record_.previous != *last_record_ : record_.previous >= record_.start) {
    return damaged(record_.start, fmt::format("the record before it is {}, but it says {}", last_record_ ? last_record_->to_string() : "earlier",
                                              record_.previous.to_string()));
  }
  crc_ = kCrc32cInit;
  headers_parsed_ = false;
  headers_status_ = {};
  main_begin_ = main_length_ = 0;
  padding_left_ = static_cast<std::uint32_t>(align8(record_.total_length) - record_.total_length);
  state_ = State::kRecordBody;
  if (have_ == record_.total_length && padding_left_ == 0) return on_record_end();
  return {};
}

Status WalDecoder::on_body_bytes(ByteView bytes) {
  crc_ = crc32c(crc_, bytes);
  std::uint32_t at = have_;
  have_ += static_cast<std::uint32_t>(bytes.size());
  if (headers_parsed_) {
    on_main_bytes(at, bytes);
    return {};
  }
  std::uint32_t body = record_.total_length - kRecordHeaderSize;
  std::uint32_t want = std::min<std::uint32_t>(body, kMaxHeaders);
  std::uint32_t in_body = at - kRecordHeaderSize;
  std::size_t n = std::min<std::size_t>(bytes.size(), want - in_body);
  std::copy_n(bytes.begin(), n, body_bytes_.begin() + in_body);
  if (in_body + n < want) return {};
  // Judged at the end: before the CRC nothing is certain, and a record torn by a crash may hold anything and be overwritten.
  headers_status_ = parse_block_headers(ByteView(body_bytes_).first(want));
  if (!headers_status_.ok()) {
    record_.blocks.clear();
    main_begin_ = record_.total_length;
  }
  headers_parsed_ = true;
  on_main_bytes(kRecordHeaderSize, ByteView(body_bytes_).first(want));
  on_main_bytes(at + static_cast<std::uint32_t>(n), bytes.subspan(n));
  return {};
}

std::uint32_t WalDecoder::record_crc() const {
  // The header counts after the data, without the CRC itself (access/xlogreader.c, ValidXLogRecord).
  return crc32c_finish(crc32c(crc_, ByteView(header_bytes_).first(kRecordHeaderSize - 4)));
}

Status WalDecoder::on_record_end() {
  if (record_crc() != stored_crc_) return damaged(record_.start, "the CRC of the record does not match");
  if (!headers_status_.ok()) return headers_status_;
  record_.timeline = page_.timeline;
  record_.end = position_;
  STELE_CHECK(parse_notable());
  bool is_overwrite = std::holds_alternative<OverwriteContrecord>(record_.notable);
  if (overwritten_ && (!is_overwrite || std::get<OverwriteContrecord>(record_.notable).overwritten != *overwritten_)) {
    return damaged(record_.start, "the record torn at " + overwritten_->to_string() + " is not accounted for");
  }
  overwritten_.reset();
  bool switches = std::holds_alternative<WalSwitch>(record_.notable);
  if (switches) record_.end = segment_ceiling(position_, options_.segment_size);
  facts_.add(record_);
  last_record_ = record_.start;
  boundary_ = position_;
  begin_record();
  if (record_.end != position_) state_ = State::kSwitchRest;
  if (sink_) sink_(record_);
  return {};
}

}  // namespace stele::pg
