#pragma once

#include "core/base/random.h"
#include "core/compress/stream.h"
#include "core/crypto/aead.h"
#include "core/crypto/hash.h"
#include "core/format/frame.h"
#include "core/format/index_block.h"

namespace stele::format {

/// What the agent knows of the records that end in a frame, for its clear header.
struct FrameTimes {
  Timestamp min_commit, max_commit;
  Timestamp server_time;
};

/// Seals the frames of one object: compress, pad, encrypt, chain. Bytes are encrypted once. It can be neither copied nor rewound; after an
/// error it refuses further use (kInternal); then, after a reconnect or a cut, another object is begun. One thread.
class LogObjectSealer {
 public:
  struct Options {
    const crypto::Suite* suite = &crypto::default_suite();
    StreamId stream;
    Generation generation;
    EpochId epoch;
    Position start;
    JoinTag join_start;  ///< join tag at `start`
    compress::StreamOptions compression{.level = 1};
  };
  static Result<LogObjectSealer> begin(Options options, const crypto::SecretBytes& data_key, RandomSource& random);

  /// `raw` is the log from the end of the last frame on; `join` the join tag at its end.
  Result<Frame> seal_log(ByteView raw, const JoinTag& join, const FrameTimes& times);
  Result<Frame> seal_as_of(const JoinTag& join, Timestamp server_time);
  /// Ends the object.
  Result<Frame> seal_index(const IndexBlock& index, const JoinTag& join, Timestamp server_time);

  const ObjectId& object() const { return object_; }
  Position end() const { return end_; }
  std::uint64_t raw_bytes() const { return end_ - options_.start; }
  std::uint32_t frames() const { return number_; }
  /// No log or as-of frame fits any more: time for seal_index.
  bool full() const { return raw_bytes() >= kMaxObjectRaw || number_ + 1 >= kMaxObjectFrames; }

 private:
  LogObjectSealer(Options options, ObjectId object, crypto::Sealer sealer, compress::FrameCompressor compressor);
  Result<Frame> seal(FrameKind kind, Position end, ByteView compressed, const JoinTag& join, const FrameTimes& times);
  Options options_;
  ObjectId object_;
  crypto::Sealer sealer_;
  compress::FrameCompressor compressor_;
  Position end_;
  std::uint32_t number_ = 0;
  bool ended_ = false;  ///< by its index block or by an error
  Digest head_;
  Bytes compressed_, plain_;  ///< reused between frames
};

/// The other side: frames of one object in order to log bytes. The caller has verified chain and signatures (FrameChain).
class LogObjectOpener {
 public:
  /// `any` is a frame of the object.
  static Result<LogObjectOpener> begin(const FrameHeader& any, const crypto::SecretBytes& data_key);

  /// Appends the frame's log to `out` (nothing for an as-of). kDamaged where the tag or the compressed bytes are wrong.
  Status open_log(const Frame& frame, Bytes& out);
  Result<IndexBlock> open_index(const Frame& frame);

 private:
  explicit LogObjectOpener(crypto::Opener opener) : opener_(std::move(opener)) {}
  Result<Bytes> open(const Frame& frame, ByteView& content);
  crypto::Opener opener_;
  compress::FrameDecompressor object_frames_{compress::ContextScope::kObject};
  compress::FrameDecompressor single_frames_{compress::ContextScope::kFrame};
};

/// Computes join tags: keyed hash of stream, position and the log bytes from the start of the WAL segment to it. At a segment's first
/// byte the whole segment before it counts, so that a fork exactly on a boundary is seen (FORMATS.md section 3). One thread.
class JoinTagger {
 public:
  /// `start` must be a segment's first byte: the tagger has to see every byte of the segment.
  JoinTagger(const crypto::Suite& suite, const crypto::SecretBytes& key, const StreamId& stream, std::uint64_t segment_size, Position start);

  /// The log's next bytes.
  void update(ByteView bytes);
  /// The tag at the current position. Costs a keyed hash of at most one WAL page.
  JoinTag tag();
  Position position() const { return position_; }

 private:
  void take_page();
  crypto::Hasher hasher_;
  crypto::KeyedHasher tag_hasher_;
  StreamId stream_;
  std::uint64_t segment_size_;
  Position position_;
  Digest rolling_;  ///< hash chain over the whole WAL pages of the segment so far
  Bytes pending_;   ///< the bytes of the unfinished page
};

}  // namespace stele::format
