#include "core/compress/stream.h"

#include <fmt/format.h>
#include <zstd.h>

#include <new>

namespace stele::compress {

namespace {

Error damaged(std::string_view why) {
  return Error{ErrorCode::kDamaged, fmt::format("decompress a frame: {}", why), ""};
}

}  // namespace

struct FrameCompressor::State {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ContextScope scope = ContextScope::kObject;
  ~State() { ZSTD_freeCCtx(context); }
};

FrameCompressor::FrameCompressor(std::unique_ptr<State> state) : state_(std::move(state)) {}
FrameCompressor::FrameCompressor(FrameCompressor&&) noexcept = default;
FrameCompressor& FrameCompressor::operator=(FrameCompressor&&) noexcept = default;
FrameCompressor::~FrameCompressor() = default;

Result<FrameCompressor> FrameCompressor::create(const StreamOptions& options) {
  if (options.level < kMinLevel || options.level > kMaxLevel) {
    return Error{ErrorCode::kConfig,
                 fmt::format("compression level {} is not {} to {}", options.level, kMinLevel, kMaxLevel), ""};
  }
  if (options.window_log < 10 || options.window_log > kMaxWindowLog) {
    return Error{ErrorCode::kConfig,
                 fmt::format("compression window {} is not 10 to {}", options.window_log, kMaxWindowLog), ""};
  }
  auto state = std::make_unique<State>();
  if (state->context == nullptr) throw std::bad_alloc();
  state->scope = options.scope;
  const std::pair<ZSTD_cParameter, int> parameters[] = {{ZSTD_c_compressionLevel, options.level},
                                                        {ZSTD_c_windowLog, options.window_log},
                                                        {ZSTD_c_contentSizeFlag, 0},
                                                        {ZSTD_c_checksumFlag, 0}};
  for (auto [parameter, value] : parameters) {
    const std::size_t result = ZSTD_CCtx_setParameter(state->context, parameter, value);
    if (ZSTD_isError(result))
      return Error{ErrorCode::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(result)), ""};
  }
  return FrameCompressor(std::move(state));
}

void FrameCompressor::begin_object() {
  ZSTD_CCtx_reset(state_->context, ZSTD_reset_session_only);
}

Status FrameCompressor::compress(ByteView raw, Bytes& out) {
  if (raw.size() > kMaxRawBytes) return Error{ErrorCode::kInternal, "compress: frame over the limit", ""};
  const std::size_t before = out.size();
  // Room for the worst case and the block that a flush writes; ordinary frames need one call.
  out.resize(before + ZSTD_compressBound(raw.size()) + 64);
  ZSTD_inBuffer input{raw.data(), raw.size(), 0};
  ZSTD_outBuffer output{out.data() + before, out.size() - before, 0};
  const auto directive = state_->scope == ContextScope::kFrame ? ZSTD_e_end : ZSTD_e_flush;
  while (true) {
    const std::size_t left = ZSTD_compressStream2(state_->context, &output, &input, directive);
    if (ZSTD_isError(left)) {
      out.resize(before);
      return Error{ErrorCode::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(left)), ""};
    }
    if (left == 0) break;
    out.resize(out.size() + left);
    output.dst = out.data() + before;
    output.size = out.size() - before;
  }
  out.resize(before + output.pos);
  return {};
}

struct FrameDecompressor::State {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ContextScope scope = ContextScope::kObject;
  bool failed = false;
  ~State() { ZSTD_freeDCtx(context); }
};

FrameDecompressor::FrameDecompressor(ContextScope scope) : state_(std::make_unique<State>()) {
  if (state_->context == nullptr ||
      ZSTD_isError(ZSTD_DCtx_setParameter(state_->context, ZSTD_d_windowLogMax, kMaxWindowLog))) {
    throw std::bad_alloc();
  }
  state_->scope = scope;
}
FrameDecompressor::FrameDecompressor(FrameDecompressor&&) noexcept = default;
FrameDecompressor& FrameDecompressor::operator=(FrameDecompressor&&) noexcept = default;
FrameDecompressor::~FrameDecompressor() = default;

void FrameDecompressor::begin_object() {
  ZSTD_DCtx_reset(state_->context, ZSTD_reset_session_only);
  state_->failed = false;
}

Status FrameDecompressor::decompress(ByteView compressed, std::size_t raw_size, Bytes& out) {
  if (state_->failed) return damaged("an earlier frame of this object is damaged");
  state_->failed = true;  // until it went well
  if (raw_size > kMaxRawBytes) return damaged("stated size over the limit");
  const std::size_t before = out.size();
  // One byte more than stated: zstd leaves it empty exactly when it has nothing more to give.
  out.resize(before + raw_size + 1);
  ZSTD_inBuffer input{compressed.data(), compressed.size(), 0};
  ZSTD_outBuffer output{out.data() + before, raw_size + 1, 0};
  std::string_view why;
  bool frame_ended = false;
  while (input.pos < input.size && why.empty()) {
    const std::size_t result = ZSTD_decompressStream(state_->context, &output, &input);
    if (ZSTD_isError(result)) why = ZSTD_getErrorName(result);
    if (output.pos > raw_size) why = "more bytes than stated";
    frame_ended = result == 0;
    // An object never ends its zstd frame; a frame of scope kFrame ends it with its last byte.
    if (frame_ended && why.empty() && (state_->scope == ContextScope::kObject || input.pos < input.size)) {
      why = "ends before its end";
    }
  }
  if (why.empty() && output.pos < raw_size) why = "fewer bytes than stated";
  if (why.empty() && state_->scope == ContextScope::kFrame && !frame_ended) why = "does not end";
  if (!why.empty()) {
    out.resize(before);
    return damaged(why);
  }
  out.resize(before + raw_size);
  state_->failed = false;
  return {};
}

}  // namespace stele::compress
