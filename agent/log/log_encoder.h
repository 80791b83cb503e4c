#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/format/log_object.h"
#include "core/pg/wal_decoder.h"

namespace stele::agent {

/// What the encoder writes into every header, and how it cuts.
struct LogEncoderOptions {
  const crypto::Suite* suite = &crypto::default_suite();
  StreamId stream;
  Generation generation;
  EpochId epoch;
  std::uint32_t segment_size = pg::kDefaultWalSegmentSize;
  int major = 0;  ///< PostgreSQL's major version
  std::uint64_t system_identifier = 0;
  std::uint64_t frame_bytes = 256 << 10;
  std::uint64_t object_bytes = 16 << 20;
  compress::StreamOptions compression{.level = 1};
  pg::WalDecoder::Sink on_record;  ///< told of every record, may be empty
};

/// Turns the raw log into sealed frames: cuts it into frames and objects, decodes record headers for the index block, follows the join
/// tag. Has no clock and no I/O: the caller says when a frame leaves. One thread. After an error it is destroyed; a new one draws a
/// new object id (TRUST section 2).
class LogEncoder {
 public:
  /// `overlap_begin` is the first byte of the WAL segment that the caller streams from; frames are made from `resume` on, what lies before
  /// only feeds the join tag and the decoder.
  static Result<std::unique_ptr<LogEncoder>> create(LogEncoderOptions options, const crypto::SecretBytes& data_key,
                                                    const crypto::SecretBytes& join_key, Position overlap_begin, Position resume,
                                                    RandomSource& random);

  /// The next bytes; they must follow position(). Appends every frame that became full. kDamaged where the log's own structure is broken.
  /// The first frame made at `resume` is preceded by the check of `expected_join` where that was given: kFork.
  Status feed(ByteView bytes, Timestamp server_time, std::vector<format::Frame>& out);
  /// The tag that the log must have at `resume` as the log of `stream`: this one, or the parent that it leaves exactly there (TRUST: "on
  /// every connection the agent compares it"). Before the first byte. Without an overlap (the segment before an exact boundary is gone)
  /// there is nothing to compare: the tag, of this stream, counts as it was kept.
  void expect_join(const JoinTag& tag, const StreamId& stream);

  /// Seals what is pending, if anything.
  Status flush(std::vector<format::Frame>& out);
  /// The source is idle at position(): seals what is pending and an as-of.
  Status as_of(Timestamp server_time, std::vector<format::Frame>& out);
  /// Ends the current object (if one is begun) with its index block; the next bytes begin another.
  Status end_object(std::vector<format::Frame>& out);
  /// A new epoch from the next object on. Call end_object() first; kInternal otherwise.
  Status change_epoch(const EpochId& epoch, crypto::SecretBytes data_key);

  Position position() const { return tagger_.position(); }  ///< of the next byte
  Position sealed_end() const { return sealed_end_; }
  std::uint64_t pending_bytes() const { return pending_.size(); }
  bool resumed() const { return position() >= resume_; }
  /// Sealed since the epoch began: for its limit of bytes.
  std::uint64_t epoch_bytes() const { return epoch_bytes_; }

 private:
  LogEncoder(LogEncoderOptions options, crypto::SecretBytes data_key, const crypto::SecretBytes& join_key, Position overlap_begin,
             Position resume, RandomSource& random);
  Status feed_overlap(ByteView& bytes);
  Status seal_pending(std::vector<format::Frame>& out);
  Status begin_object_if_needed();
  Status end_full_object(std::vector<format::Frame>& out);
  void note_frame(const format::Frame& frame, pg::LogFacts facts);

  LogEncoderOptions options_;
  crypto::SecretBytes data_key_;
  RandomSource& random_;
  const Position resume_;
  crypto::SecretBytes join_key_;
  std::optional<JoinTag> expected_join_;
  std::optional<format::JoinTagger> parent_tagger_;  ///< follows the overlap as the parent's log
  format::JoinTagger tagger_;
  pg::WalDecoder decoder_;
  std::unique_ptr<format::LogObjectSealer> object_;
  format::IndexBlock index_;
  Bytes pending_;
  JoinTag sealed_join_;  ///< tag at sealed_end_
  Position sealed_end_;
  Timestamp server_time_;
  std::uint64_t epoch_bytes_ = 0;
};

}  // namespace stele::agent
