#pragma once

#include <memory>

#include "core/compress/stream.h"

namespace stele::compress {

/// Compresses chunks, each by itself, with one reused context. One thread at a time.
class ChunkCompressor {
 public:
  /// kConfig for a level outside kMinLevel to kMaxLevel.
  static Result<ChunkCompressor> create(int level = 3);
  ChunkCompressor(ChunkCompressor&&) noexcept;
  ChunkCompressor& operator=(ChunkCompressor&&) noexcept;
  ~ChunkCompressor();

  /// True: the compressed form was appended to `out` and is shorter than `raw`. False: it would not be shorter, nothing
  /// was appended, and the caller stores `raw` as it is. At most kMaxRawBytes, else kInternal.
  Result<bool> compress(ByteView raw, Bytes& out);

 private:
  struct State;
  explicit ChunkCompressor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Safe with hostile input: never writes more than the stated size. One thread at a time.
class ChunkDecompressor {
 public:
  ChunkDecompressor();
  ChunkDecompressor(ChunkDecompressor&&) noexcept;
  ChunkDecompressor& operator=(ChunkDecompressor&&) noexcept;
  ~ChunkDecompressor();

  /// Fills `out`, whose size is the stated raw size; kDamaged unless `compressed` is one zstd frame of exactly that
  /// size.
  Status decompress_into(ByteView compressed, MutableByteView out);
  /// The same into a new buffer; kDamaged for a `raw_size` over kMaxRawBytes.
  Result<Bytes> decompress(ByteView compressed, std::size_t raw_size);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stele::compress
