#include "core/compress/chunk.h"

#include <fmt/format.h>
#include <zstd.h>

#include <new>

namespace stele::compress {

struct ChunkCompressor::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ~State() { ZSTD_freeCCtx(context); }
};

ChunkCompressor::ChunkCompressor(std::unique_ptr<State> state) : state_(std::move(state)) {}
ChunkCompressor::ChunkCompressor(ChunkCompressor&&) noexcept = default;
ChunkCompressor& ChunkCompressor::operator=(ChunkCompressor&&) noexcept = default;
ChunkCompressor::~ChunkCompressor() = default;

Result<ChunkCompressor> ChunkCompressor::create(int level) {
  if (level < kMinLevel || level > kMaxLevel) {
    return Error{ErrorCode::kConfig, fmt::format("compression level {} is not {} to {}", level, kMinLevel, kMaxLevel),
                 ""};
  }
  auto state = std::make_unique<State>();
  if (state->context == nullptr ||
      ZSTD_isError(ZSTD_CCtx_setParameter(state->context, ZSTD_c_compressionLevel, level))) {
    throw std::bad_alloc();
  }
  return ChunkCompressor(std::move(state));
}

Result<bool> ChunkCompressor::compress(ByteView raw, Bytes& out) {
  if (raw.size() > kMaxRawBytes) return Error{ErrorCode::kInternal, "compress: chunk over the limit", ""};
  const std::size_t before = out.size();
  const std::size_t bound = ZSTD_compressBound(raw.size());
  out.resize(before + bound);
  const std::size_t size = ZSTD_compress2(state_->context, out.data() + before, bound, raw.data(), raw.size());
  if (ZSTD_isError(size)) {
    out.resize(before);
    return Error{ErrorCode::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(size)), ""};
  }
  const bool shorter = size < raw.size();
  out.resize(before + (shorter ? size : 0));
  return shorter;
}

struct ChunkDecompressor::State {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ~State() { ZSTD_freeDCtx(context); }
};

ChunkDecompressor::ChunkDecompressor() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr) throw std::bad_alloc();
}
ChunkDecompressor::ChunkDecompressor(ChunkDecompressor&&) noexcept = default;
ChunkDecompressor& ChunkDecompressor::operator=(ChunkDecompressor&&) noexcept = default;
ChunkDecompressor::~ChunkDecompressor() = default;

Status ChunkDecompressor::decompress_into(ByteView compressed, MutableByteView out) {
  // zstd accepts several frames in a row, skippable ones too; a chunk is one.
  const std::size_t frame = ZSTD_findFrameCompressedSize(compressed.data(), compressed.size());
  if (ZSTD_isError(frame) || frame != compressed.size()) {
    return Error{ErrorCode::kDamaged, "decompress a chunk: not one zstd frame", ""};
  }
  const std::size_t size =
      ZSTD_decompressDCtx(state_->context, out.data(), out.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(size)) {
    return Error{ErrorCode::kDamaged, fmt::format("decompress a chunk: {}", ZSTD_getErrorName(size)), ""};
  }
  if (size != out.size()) {
    return Error{ErrorCode::kDamaged, fmt::format("decompress a chunk: {} bytes instead of {}", size, out.size()), ""};
  }
  return {};
}

Result<Bytes> ChunkDecompressor::decompress(ByteView compressed, std::size_t raw_size) {
  if (raw_size > kMaxRawBytes) return Error{ErrorCode::kDamaged, "decompress a chunk: stated size over the limit", ""};
  Bytes out(raw_size);
  STELE_CHECK(decompress_into(compressed, out));
  return out;
}

}  // namespace stele::compress
