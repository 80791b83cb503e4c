#pragma once

#include <array>
#include <functional>
#include <optional>

#include "core/pg/wal_page.h"
#include "core/pg/wal_record.h"
#include "core/pg/wal_segment.h"
#include "core/pg/xact_parser.h"

namespace stele::pg {

/// What the log holds in a range: counts the records that END in it. Taken and reset for each frame.
struct LogFacts {
  Timestamp min_commit, max_commit;        ///< of commit and abort records; none when commits + aborts = 0
  TransactionId min_xid = 0, max_xid = 0;  ///< of all records with one, in PostgreSQL's circular order; 0: none
  std::vector<RestorePoint> restore_points;  ///< at most kMaxRestorePoints; `more_restore_points` counts the others
  std::uint64_t more_restore_points = 0;
  std::uint64_t records = 0, commits = 0, aborts = 0, block_refs = 0, images = 0;

  static constexpr std::size_t kMaxRestorePoints = 1024;
  void add(const WalRecord& record);
};

struct WalDecoderOptions {
  std::uint32_t segment_size = kDefaultWalSegmentSize;
  std::optional<int> major;                        ///< not given: from the first page header, so start at a page start
  std::optional<std::uint64_t> system_identifier;  ///< given: long page headers must carry it
};

/// Follows the change log byte by byte: page headers, record boundaries, xl_prev, CRC. Fed consecutive bytes in arbitrary cuts;
/// memory is bounded (a few KiB) whatever the length of a record. Not thread-safe. No I/O.
///
/// Errors are kDamaged (kUnsupported for an unknown version) and name the LSN; after one every feed() gives the same error.
class WalDecoder {
 public:
  using Sink = std::function<void(const WalRecord&)>;

  /// `start` is the position of the first byte fed: a page start (the record that crosses it is skipped; a page of zeros lies behind a
  /// WAL switch and is skipped to the end of its segment) or a record start.
  /// `sink` may be empty; it is called during feed(), once for each complete record whose start was seen.
  WalDecoder(WalDecoderOptions options, Position start, Sink sink = {});

  Status feed(ByteView bytes);

  /// The position of the next byte.
  Position position() const { return position_; }
  /// The end of the last complete record: everything before it needs no later byte. Also advances over the zeros behind a WAL
  /// switch. `start` until the first record boundary is known.
  Position boundary() const { return boundary_; }
  /// The first record start at or after `start`: from there on the log was verified. Nothing while it is not reached.
  std::optional<Position> valid_from() const { return valid_from_; }
  /// Start of the last complete record.
  std::optional<Position> last_record() const { return last_record_; }
  /// Timeline on the last page header; 0 before the first.
  TimelineId timeline() const { return page_.timeline; }
  /// PostgreSQL's major version, known from the options or the first page header.
  std::optional<int> major() const { return major_; }

  const LogFacts& facts() const { return facts_; }
  /// The facts since the last call.
  LogFacts take_facts() { return std::exchange(facts_, LogFacts{}); }

 private:
  enum class State { kSkipContrecord, kRecordHeader, kRecordBody, kSwitchRest };
  static constexpr std::size_t kRecordHeaderSize = 24;
  static constexpr std::size_t kMaxHeaders = 1024;     // 33 block headers of at most 27 bytes, and 13 bytes more
  static constexpr std::size_t kMaxNotable = 128;      // longest main data that is kept whole

  Status feed_unguarded(ByteView bytes);
  Status on_page_header();
  Status check_continuation(Position at);
  void begin_record();
  Status on_record_bytes(ByteView bytes);
  Status on_record_length();
  Status on_record_header();
  Status on_body_bytes(ByteView bytes);
  Status on_record_end();
  std::uint32_t record_crc() const;
  Status parse_block_headers(ByteView bytes);
  void on_main_bytes(std::uint32_t at, ByteView bytes);
  Status parse_notable();
  Error damaged(Position where, std::string what) const;

  WalDecoderOptions options_;
  Sink sink_;
  std::optional<int> major_;
  Position position_, boundary_;
  std::optional<Position> valid_from_, last_record_;
  std::optional<Error> failure_;
  LogFacts facts_;

  State state_ = State::kRecordHeader;
  WalPageHeader page_;
  bool seen_page_ = false;
  std::array<std::uint8_t, kLongPageHeaderSize> page_bytes_{};
  std::size_t consumed_ = 0;                // by on_record_bytes

  std::uint64_t skip_left_ = 0;             // of a record that began before `start`; includes its padding
  WalRecord record_;
  std::array<std::uint8_t, kRecordHeaderSize> header_bytes_{};
  std::uint32_t have_ = 0;                  // bytes of the record so far, its header included, its padding not
  std::uint32_t padding_left_ = 0;
  std::uint32_t stored_crc_ = 0, crc_ = 0;
  std::array<std::uint8_t, kMaxHeaders> body_bytes_{};
  bool headers_parsed_ = false;
  Status headers_status_;
  std::uint32_t main_begin_ = 0, main_length_ = 0;  // of the main data, counted from the record's start
  std::array<std::uint8_t, kMaxNotable> main_bytes_{};
  XactParser xact_;
  std::optional<Position> overwritten_;     // a torn record was seen to begin here; the next record must name it
};

/// PostgreSQL's rule for recovery_target_time: recovery stops before the first commit or abort record, in log order, whose time
/// is later than the target (not earlier, when exclusive). access/transam/xlogrecovery.c, recoveryStopsBefore.
class TargetTimeSearch {
 public:
  explicit TargetTimeSearch(Timestamp target, bool inclusive = true) : target_(target), inclusive_(inclusive) {}
  /// To be given every record; true once the stopping record was seen.
  bool add(const WalRecord& record);
  /// Where that record starts: recovery ends exactly here. Nothing: no such record so far.
  std::optional<Position> stop_before() const { return stop_; }
  /// The last commit or abort that is kept.
  const std::optional<TransactionEnd>& last_kept() const { return last_kept_; }

 private:
  Timestamp target_;
  bool inclusive_;
  std::optional<Position> stop_;
  std::optional<TransactionEnd> last_kept_;
};

}  // namespace stele::pg
