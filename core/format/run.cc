#include "core/format/run.h"

#include <fmt/format.h>

#include "core/crypto/hash.h"
#include "core/format/body.h"

namespace stele::format {

namespace {

constexpr std::string_view kMagic = "STLR";
constexpr std::uint16_t kVersion = 1;

/// What a run's head says of its frames, from the frames.
struct Summary {
  explicit Summary(const crypto::Suite& suite) : signatures(suite) {}
  JoinTag join_start;
  Timestamp min_commit, max_commit, first_server_time, last_server_time;
  crypto::Hasher signatures;
  bool any = false;

  void add(const Frame& frame) {
    const FrameHeader& h = frame.header();
    if (!any) {
      join_start = h.join_start.value_or(JoinTag{});
      first_server_time = h.server_time;
      any = true;
    }
    last_server_time = h.server_time;
    if (!h.min_commit.is_none() && (min_commit.is_none() || h.min_commit < min_commit)) min_commit = h.min_commit;
    max_commit = std::max(max_commit, h.max_commit);
    Bytes signature;
    ByteWriter w(signature);
    write_key(w, frame.signature());
    signatures.update(signature);
  }
};

Error broken(const RunHead& head, std::string_view why) {
  return Error{ErrorCode::kDamaged, fmt::format("run of object {}, frames {} to {}: {}", head.object.short_hex(), head.first, head.last, why), ""};
}

}  // namespace

Result<Bytes> encode_run(const std::vector<Frame>& frames, ByteView epoch_record, Timestamp received) {
  if (frames.empty() || frames.back().signature().empty()) return Error{ErrorCode::kInternal, "a run must end at a signed frame", ""};
  const FrameHeader& first = frames.front().header();
  const FrameHeader& last = frames.back().header();
  const crypto::Suite& suite = suite_or_default(first.suite);
  FrameChain chain;
  Summary summary(suite);
  std::uint64_t frames_size = 0;
  for (const Frame& frame : frames) {
    if (&frame == &frames.front() && first.number != 0) {
      chain.resume(first, frame.head());
    } else if (Status follows = chain.accept(frame); !follows.ok()) {
      return Error{ErrorCode::kInternal, "frames of a run do not follow one another: " + follows.error().what, ""};
    }
    summary.add(frame);
    frames_size += frame.encoded_size();
  }
  Bytes out;
  ByteWriter w(out);
  w.raw(kMagic);
  w.u16(kVersion);
  w.u16(static_cast<std::uint16_t>(first.suite));
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
  w.raw(summary.join_start.view());
  w.raw(last.join.view());
  w.i64(summary.min_commit.micros);
  w.i64(summary.max_commit.micros);
  w.i64(summary.first_server_time.micros);
  w.i64(summary.last_server_time.micros);
  w.i64(received.micros);
  w.blob32(epoch_record);
  w.raw(summary.signatures.finish().view());
  const std::size_t head_size = out.size() + Digest::kSize;
  if (head_size > kRunHeadProbe) return Error{ErrorCode::kInternal, fmt::format("a run head of {} bytes is over the limit", head_size), ""};
  w.patch_u32(8, static_cast<std::uint32_t>(head_size));
  w.raw(crypto::hash(suite, out).view());
  out.reserve(out.size() + frames_size);
  for (const Frame& frame : frames) frame.encode_to(out);
  return out;
}

Result<RunHead> parse_run_head(ByteView bytes) {
  ByteReader r(bytes);
  if (as_text(r.raw(kMagic.size())) != kMagic) return Error{ErrorCode::kDamaged, "not a run", ""};
  const std::uint16_t version = r.u16();
  if (version != kVersion) return Error{ErrorCode::kUnsupported, fmt::format("run of version {}", version), "read this with a newer Stele"};
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(r.u16()));
  RunHead h;
  h.suite = suite->id();
  h.head_size = r.u32();
  h.frames_size = r.u64();
  if (h.head_size > bytes.size() || h.head_size > kRunHeadProbe || h.head_size < r.position() + Digest::kSize) {
    return Error{ErrorCode::kDamaged, "run head: ends early or is over the limit", ""};
  }
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
  body.fixed(h.signatures);
  Digest check;
  body.fixed(check);
  STELE_CHECK(body.finish("run head"));
  if (crypto::hash(*suite, bytes.first(h.head_size - Digest::kSize)) != check) return broken(h, "its head differs from its hash");
  if (h.last < h.first || h.range.end < h.range.begin) return broken(h, "a range runs backwards");
  return h;
}

Status read_run(ByteView bytes, const crypto::VerifyKey* key, const std::function<Status(Frame)>& on_frame) {
  STELE_TRY(RunHead head, parse_run_head(bytes));
  ByteView rest = bytes.subspan(head.head_size);
  if (rest.size() != head.frames_size) return broken(head, fmt::format("{} bytes of frames, {} expected", rest.size(), head.frames_size));
  FrameChain chain;
  Summary summary(suite_or_default(head.suite));
  for (std::uint64_t number = head.first; number <= head.last; ++number) {
    std::size_t used = 0;
    auto parsed = parse_frame(rest, used);
    if (!parsed.ok()) return parsed.error().in(fmt::format("run of object {}", head.object.short_hex()));
    Frame& frame = *parsed;
    rest = rest.subspan(used);
    const FrameHeader& h = frame.header();
    if (h.number != number || h.suite != head.suite || h.stream != head.stream || h.object != head.object || h.epoch != head.epoch ||
        h.generation != head.generation) {
      return broken(head, "a frame is not the one its head names");
    }
    if (number == head.first && number != 0) {
      chain.resume(h, frame.head());
    } else {
      STELE_CHECK(chain.accept(frame));
    }
    summary.add(frame);
    if (number == head.first && h.start != head.range.begin) return broken(head, "starts elsewhere than its head says");
    if (number == head.last) {
      if (h.end != head.range.end || h.join != head.join_end) return broken(head, "ends elsewhere than its head says");
      if (!rest.empty()) return broken(head, "bytes behind its last frame");
      if (summary.signatures.finish() != head.signatures) return broken(head, "a signature differs from its hash");
      if (key != nullptr) STELE_CHECK(chain.verify(frame, *key));
      if (summary.join_start != head.join_start || summary.min_commit != head.min_commit || summary.max_commit != head.max_commit ||
          summary.first_server_time != head.first_server_time || summary.last_server_time != head.last_server_time) {
        return Error{ErrorCode::kForged, fmt::format("run of object {}: its head claims other times than its frames", head.object.short_hex()),
                     "the receiver is wrong; use another one's copy"};
      }
    }
    STELE_CHECK(on_frame(std::move(frame)));
  }
  return {};
}

}  // namespace stele::format
