#pragma once

#include <memory>

#include "core/base/bytes.h"

namespace stele::compress {

inline constexpr int kMinLevel = 1;
inline constexpr int kMaxLevel = 19;
/// Window of a compressed stream: bounds the memory of a reader (2 MiB) whoever wrote it.
inline constexpr int kMaxWindowLog = 21;
/// No frame and no chunk is larger than this before compression.
inline constexpr std::size_t kMaxRawBytes = std::size_t{64} << 20;

/// What a frame may refer to. kFrame for those who fear attacks on lengths: nothing of one frame helps to compress the
/// next.
enum class ContextScope : std::uint8_t { kObject = 1, kFrame = 2 };

struct StreamOptions {
  int level = 3;
  ContextScope scope = ContextScope::kObject;
  int window_log = kMaxWindowLog;  ///< 10 to kMaxWindowLog
};

/// zstd over the frames of one object after another. What `compress` gives can be decompressed up to its end without
/// what follows. There is no end of an object: a cut object is an ordinary one. About 4 MiB of memory at level 3. One
/// thread at a time.
class FrameCompressor {
 public:
  /// kConfig for a level or window outside the limits.
  static Result<FrameCompressor> create(const StreamOptions& options);
  FrameCompressor(FrameCompressor&&) noexcept;
  FrameCompressor& operator=(FrameCompressor&&) noexcept;
  ~FrameCompressor();

  /// Forgets what was compressed so far; called before the first frame of every object but the first.
  void begin_object();
  /// Appends the compressed form of `raw` (at most kMaxRawBytes, else kInternal) to `out`. After an error:
  /// begin_object.
  Status compress(ByteView raw, Bytes& out);

 private:
  struct State;
  explicit FrameCompressor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The other side, frame by frame in order. Safe with hostile input: never writes more than the stated size. One thread
/// at a time.
class FrameDecompressor {
 public:
  explicit FrameDecompressor(ContextScope scope = ContextScope::kObject);
  FrameDecompressor(FrameDecompressor&&) noexcept;
  FrameDecompressor& operator=(FrameDecompressor&&) noexcept;
  ~FrameDecompressor();

  void begin_object();
  /// Appends exactly `raw_size` bytes to `out`; kDamaged when the bytes are not zstd, give less or more, or `raw_size`
  /// is over kMaxRawBytes; `out` is then as before, and nothing of this object can be decompressed any more until
  /// begin_object.
  Status decompress(ByteView compressed, std::size_t raw_size, Bytes& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stele::compress
