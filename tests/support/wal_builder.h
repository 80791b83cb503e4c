#pragma once

#include "core/pg/crc32c.h"
#include "core/pg/wal_decoder.h"

namespace stele::pg {

/// Writes change log for tests: pages, page headers, records. Starts at a page start.
class WalBuilder {
 public:
  explicit WalBuilder(Position start = {0x1000000}, std::uint32_t segment_size = kMinWalSegmentSize, int major = 15)
      : start_(start), segment_size_(segment_size), magic_(*wal_magic_of_major(major)) {}

  std::uint64_t system_identifier = 7000000000000000001;
  TimelineId timeline = 1;

  Position position() const { return start_ + bytes_.size(); }
  const Bytes& bytes() const { return bytes_; }
  Bytes& bytes() { return bytes_; }
  Position last() const { return last_; }
  void set_last(Position p) { last_ = p; }

  /// A record around `body` (headers, block data and main data as they are). Gives its start.
  Position record(Rmgr rmgr, std::uint8_t info, TransactionId xid, const Bytes& body) {
    if (position().value % kWalPageSize == 0) page_header(0, 0);
    Position at = position();
    Bytes r = make(rmgr, info, xid, body, last_);
    last_ = at;
    put_record(r);
    return at;
  }
  /// A record with main data only.
  Position main_record(Rmgr rmgr, std::uint8_t info, TransactionId xid, const Bytes& main, Bytes headers = {}, const Bytes& block_data = {}) {
    ByteWriter w(headers);
    if (main.size() < 256) {
      w.u8(255);
      w.u8(static_cast<std::uint8_t>(main.size()));
    } else {
      w.u8(254);
      w.u32(static_cast<std::uint32_t>(main.size()));
    }
    w.raw(block_data);
    w.raw(main);
    return record(rmgr, info, xid, headers);
  }
  Position commit(TransactionId xid, Timestamp time, bool is_commit = true) {
    Bytes main;
    ByteWriter(main).i64(to_timestamptz(time));
    return main_record(Rmgr::kTransaction, is_commit ? 0x00 : 0x20, xid, main);
  }
  Position filler(std::size_t size, TransactionId xid = 0) { return main_record(Rmgr::kLogicalMessage, 0, xid, Bytes(size, 0x5A)); }
  Position restore_point(Timestamp time, std::string_view name) {
    Bytes main;
    ByteWriter w(main);
    w.i64(to_timestamptz(time));
    w.raw(name);
    main.resize(72);
    return main_record(Rmgr::kXlog, 0x70, 0, main);
  }
  /// A WAL switch; the rest of the segment becomes zeros.
  Position wal_switch() {
    Position at = record(Rmgr::kXlog, 0x40, 0, {});
    while (position().value % segment_size_ != 0) bytes_.push_back(0);
    return at;
  }
  /// The beginning of a record that is never finished, up to the end of `pages` pages; the next page says so.
  Position torn_record(std::size_t pages) {
    if (position().value % kWalPageSize == 0) page_header(0, 0);
    Position at = position();
    std::size_t end = bytes_.size() + (kWalPageSize - position().value % kWalPageSize) + (pages - 1) * kWalPageSize;
    put_record(make(Rmgr::kLogicalMessage, 0, 0, Bytes((pages + 1) * kWalPageSize), last_));  // what a crash leaves can be nonsense
    bytes_.resize(end);
    page_header(WalPageHeader::kFirstIsOverwriteContrecord, 0);
    return at;
  }
  void page_header(std::uint16_t info, std::uint32_t remaining) {
    bool is_long = position().value % segment_size_ == 0;
    Position at = position();
    ByteWriter w(bytes_);
    w.u16(magic_);
    w.u16(static_cast<std::uint16_t>(info | (is_long ? WalPageHeader::kLong : 0)));
    w.u32(timeline);
    w.u64(at.value);
    w.u32(remaining);
    w.u32(0);
    if (is_long) {
      w.u64(system_identifier);
      w.u32(segment_size_);
      w.u32(kWalPageSize);
    }
  }

 private:
  static Bytes make(Rmgr rmgr, std::uint8_t info, TransactionId xid, const Bytes& body, Position previous) {
    Bytes head;
    ByteWriter w(head);
    w.u32(static_cast<std::uint32_t>(24 + body.size()));
    w.u32(xid);
    w.u64(previous.value);
    w.u8(info);
    w.u8(static_cast<std::uint8_t>(rmgr));
    w.u16(0);
    w.u32(crc32c_finish(crc32c(crc32c(kCrc32cInit, body), ByteView(head).first(20))));
    head.insert(head.end(), body.begin(), body.end());
    return head;
  }
  void put_record(const Bytes& r) {
    for (std::size_t done = 0; done < r.size();) {
      if (position().value % kWalPageSize == 0) page_header(done == 0 ? 0 : WalPageHeader::kFirstIsContrecord, static_cast<std::uint32_t>(r.size() - done));
      std::size_t n = std::min<std::size_t>(r.size() - done, kWalPageSize - position().value % kWalPageSize);
      bytes_.insert(bytes_.end(), r.begin() + static_cast<std::ptrdiff_t>(done), r.begin() + static_cast<std::ptrdiff_t>(done + n));
      done += n;
    }
    while (bytes_.size() % 8 != 0) bytes_.push_back(0);
  }

  Position start_, last_{0xFFFF28};
  std::uint32_t segment_size_;
  std::uint16_t magic_;
  Bytes bytes_;
};

}  // namespace stele::pg
