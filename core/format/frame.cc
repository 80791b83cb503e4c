#include "core/format/frame.h"

#include <fmt/format.h>

#include "core/crypto/hash.h"
#include "core/format/body.h"
#include "core/format/extension.h"

namespace stele::format {

namespace {

constexpr std::string_view kMagic = "STLf";
constexpr std::uint16_t kVersion = 1;
constexpr std::uint8_t kFlagContextReset = 1, kFlagLast = 2, kKnownFlags = 3;
constexpr std::uint16_t kExtensionJoinStart = 1;
constexpr std::size_t kMaxSignature = 1024;
constexpr std::string_view kBatchDomain = "stele/batch/1";

std::string describe(const FrameHeader& h) {
  return fmt::format("frame {} of object {} at {}", h.number, h.object.short_hex(), h.start.to_string());
}

Error broken(const FrameHeader& h, std::string_view why) {
  return Error{ErrorCode::kDamaged, fmt::format("{}: {}", describe(h), why), ""};
}

}  // namespace

Bytes frame_associated_data(const FrameHeader& h) {
  Bytes out;
  ByteWriter w(out);
  w.raw(kMagic);
  w.u16(0);  // header size, patched below
  w.u16(kVersion);
  w.u16(static_cast<std::uint16_t>(h.suite));
  w.u16(static_cast<std::uint16_t>(h.engine));
  w.u8(static_cast<std::uint8_t>(h.kind));
  w.u8(static_cast<std::uint8_t>((h.context_reset ? kFlagContextReset : 0) | (h.last ? kFlagLast : 0)));
  w.u16(0);
  w.raw(h.stream.view());
  w.u64(h.generation.value);
  w.raw(h.epoch.view());
  w.raw(h.object.view());
  w.u32(h.number);
  w.u32(h.payload_size);
  w.u64(h.start.value);
  w.u64(h.end.value);
  w.i64(h.min_commit.micros);
  w.i64(h.max_commit.micros);
  w.i64(h.server_time.micros);
  w.raw(h.join.view());
  w.raw(h.previous.view());
  if (h.join_start) {
    const Extension join_start{kExtensionJoinStart, h.join_start->view()};
    write_extensions(w, std::span(&join_start, 1));
  } else {
    write_extensions(w, {});
  }
  const std::size_t total = out.size() + Digest::kSize;
  out[4] = static_cast<std::uint8_t>(total);
  out[5] = static_cast<std::uint8_t>(total >> 8);
  return out;
}

Bytes encode_frame_header(const FrameHeader& header) {
  Bytes out = frame_associated_data(header);
  ByteWriter(out).raw(header.payload_hash.view());
  return out;
}

Frame::Frame(const FrameHeader& header, Bytes header_bytes, Bytes payload)
    : header_(header), header_bytes_(std::move(header_bytes)), payload_(std::move(payload)),
      head_(crypto::hash(suite_or_default(header.suite), header_bytes_)) {}

void Frame::encode_to(Bytes& out) const {
  ByteWriter w(out);
  w.raw(header_bytes_);
  w.raw(payload_);
  w.u16(static_cast<std::uint16_t>(signature_.size()));
  w.raw(signature_);
}

Bytes Frame::encode() const {
  Bytes out;
  out.reserve(encoded_size());
  encode_to(out);
  return out;
}

Bytes batch_signature_message(const FrameHeader& h, const Digest& head) {
  Bytes out;
  ByteWriter w(out);
  w.u16(kVersion);
  w.u16(static_cast<std::uint16_t>(h.suite));
  w.raw(h.stream.view());
  w.u64(h.generation.value);
  w.raw(h.epoch.view());
  w.raw(h.object.view());
  w.u32(h.number);
  w.u64(h.end.value);
  w.raw(head.view());
  return out;
}

void sign_batch(Frame& frame, const crypto::SigningKey& agent) {
  frame.set_signature(agent.sign(kBatchDomain, batch_signature_message(frame.header(), frame.head())));
}

Result<FrameHeader> parse_frame_header(ByteView bytes, std::size_t& header_size) {
  ByteReader r(bytes);
  if (as_text(r.raw(kMagic.size())) != kMagic) return Error{ErrorCode::kDamaged, "not a frame", ""};
  header_size = r.u16();
  if (header_size > kMaxFrameHeader || header_size > bytes.size()) return Error{ErrorCode::kDamaged, "frame header: ends early", ""};
  const std::uint16_t version = r.u16();
  if (version != kVersion) return Error{ErrorCode::kUnsupported, fmt::format("frame of version {}", version), "read this with a newer Stele"};
  ByteReader body(bytes.first(header_size));
  body.raw(r.position());
  FrameHeader h;
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(body.u16()));
  h.suite = suite->id();
  const std::uint16_t engine = body.u16();
  if (engine != static_cast<std::uint16_t>(Engine::kPostgres)) {
    return Error{ErrorCode::kUnsupported, fmt::format("frame of engine {}", engine), "read this with a newer Stele"};
  }
  h.engine = Engine::kPostgres;
  const std::uint8_t kind = body.u8(), flags = body.u8();
  const std::uint16_t reserved = body.u16();
  if (kind < 1 || kind > 3 || (flags & ~kKnownFlags) != 0 || reserved != 0) {
    return Error{ErrorCode::kUnsupported, fmt::format("frame of kind {} with flags {} and {}", kind, flags, reserved), "read this with a newer Stele"};
  }
  h.kind = static_cast<FrameKind>(kind);
  h.context_reset = (flags & kFlagContextReset) != 0;
  h.last = (flags & kFlagLast) != 0;
  body.fixed(h.stream);
  h.generation = {body.u64()};
  body.fixed(h.epoch);
  body.fixed(h.object);
  h.number = body.u32();
  h.payload_size = body.u32();
  h.start = {body.u64()};
  h.end = {body.u64()};
  h.min_commit = {body.i64()};
  h.max_commit = {body.i64()};
  h.server_time = {body.i64()};
  body.fixed(h.join);
  body.fixed(h.previous);
  bool join_start_damaged = false;
  STELE_CHECK(read_extensions(body, [&](const Extension& e) {
    if (e.type != kExtensionJoinStart) return false;
    if (auto tag = JoinTag::from(e.bytes); tag.ok()) h.join_start = *tag;
    join_start_damaged = !h.join_start;
    return true;
  }));
  body.fixed(h.payload_hash);
  STELE_CHECK(body.finish("frame header"));
  if (join_start_damaged) return broken(h, "a join tag of a wrong size");
  if (h.number >= kMaxObjectFrames) return broken(h, "more frames than an object may have");
  if (h.payload_size > kMaxFramePayload) return broken(h, "payload over the limit");
  if (h.end < h.start || h.raw_size() > kMaxFrameRaw) return broken(h, "range over the limit");
  if (h.kind != FrameKind::kLog && h.start != h.end) return broken(h, "a range in a frame without log");
  if (h.kind == FrameKind::kIndex && !h.last) return broken(h, "an index block that does not end its object");
  if (h.max_commit < h.min_commit) return broken(h, "commit times that run backwards");
  if ((h.number == 0) != h.join_start.has_value()) return broken(h, "frame 0, and only frame 0, has the join tag at its start");
  return h;
}

Result<Frame> parse_frame(ByteView bytes, std::size_t& used) {
  std::size_t header_size = 0;
  STELE_TRY(FrameHeader header, parse_frame_header(bytes, header_size));
  ByteReader r(bytes);
  ByteView header_bytes = r.raw(header_size);
  ByteView payload = r.raw(header.payload_size);
  ByteView signature = r.raw(r.u16());
  if (r.failed() || signature.size() > kMaxSignature) return broken(header, "ends early");
  used = r.position();
  if (crypto::hash(suite_or_default(header.suite), payload) != header.payload_hash) return broken(header, "payload differs from its hash");
  Frame frame(header, to_bytes(header_bytes), to_bytes(payload));
  frame.set_signature(to_bytes(signature));
  return frame;
}

Result<Frame> parse_frame(ByteView bytes) {
  std::size_t used = 0;
  STELE_TRY(Frame frame, parse_frame(bytes, used));
  if (used != bytes.size()) return broken(frame.header(), "bytes behind its end");
  return frame;
}

Status FrameChain::check_follows(const Frame& frame) const {
  const FrameHeader& h = frame.header();
  if (!last_) {
    if (h.number != 0) return broken(h, "the object's first frame is missing");
    if (!h.previous.is_zero()) return broken(h, "frame 0 with a predecessor");
  } else {
    const FrameHeader& l = *last_;
    if (l.last) return broken(h, "comes after the object's last frame");
    if (h.object != l.object || h.stream != l.stream || h.epoch != l.epoch || h.generation != l.generation || h.suite != l.suite ||
        h.engine != l.engine) {
      return broken(h, "belongs to another object");
    }
    if (h.number != l.number + 1) return broken(h, fmt::format("expected frame {}", l.number + 1));
    if (h.start != l.end) return broken(h, fmt::format("expected to start at {}", l.end.to_string()));
    if (h.previous != head_) return broken(h, "does not name the frame before it");
    if (object_start_ && h.end - *object_start_ > kMaxObjectRaw + kMaxFrameRaw) return broken(h, "its object is over the limit");
  }
  return {};
}

Status FrameChain::accept(const Frame& frame) {
  if (failed_) return *failed_;
  if (Status follows = check_follows(frame); !follows.ok()) {
    failed_ = follows.error();
    return follows;
  }
  if (!last_) object_start_ = frame.header().start;
  last_ = frame.header();
  head_ = frame.head();
  return {};
}

Status FrameChain::verify(const Frame& frame, const crypto::VerifyKey& key) {
  if (failed_) return *failed_;
  const std::string subject = describe(frame.header());
  if (!last_ || frame.head() != head_) return Error{ErrorCode::kInternal, subject + ": verified before it was accepted", ""};
  Status ok;
  if (frame.signature().empty()) {
    ok = Error{ErrorCode::kForged, subject + ": not signed", ""};
  } else if (key.suite().id() != frame.header().suite) {
    ok = Error{ErrorCode::kForged, subject + ": of another suite than the key expected", ""};
  } else if (ok = key.verify(kBatchDomain, batch_signature_message(frame.header(), frame.head()), frame.signature()); !ok.ok()) {
    ok = ok.error().in(subject);
  }
  if (!ok.ok()) {
    failed_ = ok.error();
    return ok;
  }
  verified_end_ = frame.header().end;
  return {};
}

void FrameChain::resume(const FrameHeader& last, const Digest& head) {
  failed_.reset();
  object_start_.reset();
  last_ = last;
  head_ = head;
  verified_end_ = last.end;
}

}  // namespace stele::format
