#include "core/format/run.h"

#include <fmt/format.h>

namespace stele::format {

namespace {
constexpr std::string_view kMagic = "STLR";
constexpr std::uint16_t kVersion = 1;
}  // namespace

Result<Bytes> encode_run(const std::vector<Frame>& frames, ByteView epoch_record, Timestamp received) {
  if (frames.empty() || frames.back().signature().empty()) return Error{ErrorCode::kInternal, "a run must end at a signed frame", ""};
  const FrameHeader& first = frames.front().header();
  const FrameHeader& last = frames.back().header();
  Timestamp min_commit, max_commit;
  std::uint64_t frames_size = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const FrameHeader& h = frames[i].header();
    if (h.object != first.object || h.number != first.number + i) return Error{ErrorCode::kInternal, "frames of a run do not follow one another", ""};
    if (!h.min_commit.is_none() && (min_commit.is_none() || h.min_commit < min_commit)) min_commit = h.min_commit;
    max_commit = std::max(max_commit, h.max_commit);
    frames_size += frames[i].encoded_size();
  }
  Bytes out;
  ByteWriter w(out);
  w.raw(kMagic);
  w.u16(kVersion);
  w.u16(0);
  w.u32(0);  // head size, patched below
  w.u64(frames_size);
  w.raw(first.stream.view());
  w.u64(first.generation.value);
  w.raw(first.epoch.view());
  w.raw(first.object.view());
  w.u32(first.number);
  w.u32(last.number);
  w.u64(first.start.value);
  w.u64(last.end.value);
  w.raw(first.join_start.value_or(JoinTag{}).view());
  w.raw(last.join.view());
  w.i64(min_commit.micros);
  w.i64(max_commit.micros);
  w.i64(first.server_time.micros);
  w.i64(last.server_time.micros);
  w.i64(received.micros);
  w.blob32(epoch_record);
  w.patch_u32(8, static_cast<std::uint32_t>(out.size()));
  out.reserve(out.size() + frames_size);
  for (const Frame& frame : frames) frame.encode_to(out);
  return out;
}

Result<RunHead> parse_run_head(ByteView bytes) {
  ByteReader r(bytes);
  if (as_text(r.raw(kMagic.size())) != kMagic) return Error{ErrorCode::kDamaged, "not a run", ""};
  const std::uint16_t version = r.u16();
  if (version != kVersion) return Error{ErrorCode::kUnsupported, fmt::format("run of version {}", version), "read this with a newer Stele"};
  r.u16();
  RunHead h;
  h.head_size = r.u32();
  h.frames_size = r.u64();
  if (h.head_size > bytes.size() || h.head_size < r.position()) return Error{ErrorCode::kDamaged, "run head: ends early", ""};
  ByteReader body(bytes.first(h.head_size));
  body.raw(r.position());
  body.fixed(h.stream);
  h.generation = {body.u64()};
  body.fixed(h.epoch);
  body.fixed(h.object);
  h.first = body.u32();
  h.last = body.u32();
  h.range.begin = {body.u64()};
  h.range.end = {body.u64()};
  body.fixed(h.join_start);
  body.fixed(h.join_end);
  h.min_commit = {body.i64()};
  h.max_commit = {body.i64()};
  h.first_server_time = {body.i64()};
  h.last_server_time = {body.i64()};
  h.received = {body.i64()};
  h.epoch_record = to_bytes(body.blob32());
  STELE_CHECK(body.finish("run head"));
  if (h.last < h.first || h.range.end < h.range.begin) return Error{ErrorCode::kDamaged, "run head: a range runs backwards", ""};
  return h;
}

Status read_run(ByteView bytes, const crypto::VerifyKey* key, const std::function<Status(Frame)>& on_frame) {
  STELE_TRY(RunHead head, parse_run_head(bytes));
  ByteView rest = bytes.subspan(head.head_size);
  if (rest.size() != head.frames_size) {
    return Error{ErrorCode::kDamaged, fmt::format("run of object {}: {} bytes of frames, {} expected", head.object.short_hex(), rest.size(), head.frames_size), ""};
  }
  FrameChain chain;
  for (std::uint64_t number = head.first; number <= head.last; ++number) {
    std::size_t used = 0;
    STELE_TRY(Frame frame, parse_frame(rest, used));
    rest = rest.subspan(used);
    const FrameHeader& h = frame.header();
    if (h.number != number || h.stream != head.stream || h.object != head.object || h.epoch != head.epoch || h.generation != head.generation) {
      return Error{ErrorCode::kDamaged, fmt::format("run of object {}: a frame is not the one its head names", head.object.short_hex()), ""};
    }
    if (number == head.first && number != 0) {
      chain.resume(h, frame.head());
    } else {
      STELE_CHECK(chain.accept(frame));
    }
    if (number == head.first && h.start != head.range.begin) return Error{ErrorCode::kDamaged, "run: starts elsewhere than its head says", ""};
    if (number == head.last) {
      if (h.end != head.range.end || h.join != head.join_end) return Error{ErrorCode::kDamaged, "run: ends elsewhere than its head says", ""};
      if (key != nullptr) STELE_CHECK(chain.verify(frame, *key));
    }
    STELE_CHECK(on_frame(std::move(frame)));
  }
  if (!rest.empty()) return Error{ErrorCode::kDamaged, "run: bytes behind its last frame", ""};
  return {};
}

}  // namespace stele::format
