#include "core/format/log_object.h"

#include "core/format/body.h"
#include "core/format/object_key.h"

namespace stele::format {

namespace {
constexpr std::size_t kTagPage = 8192;  // pieces of the join tag's hash chain; the size of a WAL page, but fixed
}

LogObjectSealer::LogObjectSealer(Options options, ObjectId object, crypto::Sealer sealer, compress::FrameCompressor compressor)
    : options_(options), object_(object), sealer_(std::move(sealer)), compressor_(std::move(compressor)), end_(options.start) {}

Result<LogObjectSealer> LogObjectSealer::begin(Options options, const crypto::SecretBytes& data_key, RandomSource& random) {
  const ObjectId object = random.draw<ObjectId>();
  STELE_TRY(crypto::Sealer sealer, object_sealer(*options.suite, data_key, object));
  STELE_TRY(compress::FrameCompressor compressor, compress::FrameCompressor::create(options.compression));
  return LogObjectSealer(options, object, std::move(sealer), std::move(compressor));
}

Result<Frame> LogObjectSealer::seal(FrameKind kind, Position end, ByteView content, const JoinTag& join, const FrameTimes& times) {
  // Out until it is known that all went well: after an error the compressor's context and the chain are not what a reader will have.
  if (std::exchange(ended_, true)) return Error{ErrorCode::kInternal, "seal a frame: this object has ended", ""};
  if (end < end_ || (kind != FrameKind::kIndex && number_ + 1 >= kMaxObjectFrames)) {
    return Error{ErrorCode::kInternal, fmt::format("frame {} of an object to {} is over the limit", number_, end.to_string()), ""};
  }
  plain_.clear();
  ByteWriter(plain_).blob32(content);
  pad_to_size_class(plain_);
  FrameHeader h;
  h.suite = options_.suite->id();
  h.kind = kind;
  h.context_reset = kind == FrameKind::kLog && options_.compression.scope == compress::ContextScope::kFrame;
  h.last = kind == FrameKind::kIndex;
  h.stream = options_.stream;
  h.generation = options_.generation;
  h.epoch = options_.epoch;
  h.object = object_;
  h.number = number_;
  h.payload_size = static_cast<std::uint32_t>(plain_.size() + options_.suite->sizes().tag);
  h.start = end_;
  h.end = end;
  h.min_commit = times.min_commit;
  h.max_commit = times.max_commit;
  h.server_time = times.server_time;
  h.join = join;
  if (number_ == 0) h.join_start = options_.join_start;
  h.previous = head_;
  if (h.payload_size > kMaxFramePayload || h.raw_size() > kMaxFrameRaw) {
    return Error{ErrorCode::kInternal, fmt::format("a frame of {} bytes is over the limit", h.raw_size()), ""};
  }
  Bytes payload;
  payload.reserve(h.payload_size);
  STELE_TRY(const std::uint64_t counter, sealer_.seal(frame_associated_data(h), plain_, payload));
  if (counter != number_) return Error{ErrorCode::kInternal, "frame number and cipher counter differ", ""};
  h.payload_hash = crypto::hash(*options_.suite, payload);
  Frame frame(h, encode_frame_header(h), std::move(payload));
  head_ = frame.head();
  end_ = end;
  ++number_;
  ended_ = h.last;
  return frame;
}

Result<Frame> LogObjectSealer::seal_log(ByteView raw, const JoinTag& join, const FrameTimes& times) {
  if (ended_ || raw.size() > kMaxFrameRaw) {
    ended_ = true;
    return Error{ErrorCode::kInternal, fmt::format("seal {} bytes of log: over the limit, or this object has ended", raw.size()), ""};
  }
  compressed_.clear();
  if (Status compressed = compressor_.compress(raw, compressed_); !compressed.ok()) {
    ended_ = true;
    return compressed.error();
  }
  return seal(FrameKind::kLog, end_ + raw.size(), compressed_, join, times);
}

Result<Frame> LogObjectSealer::seal_as_of(const JoinTag& join, Timestamp server_time) {
  return seal(FrameKind::kAsOf, end_, {}, join, FrameTimes{{}, {}, server_time});
}

Result<Frame> LogObjectSealer::seal_index(const IndexBlock& index, const JoinTag& join, Timestamp server_time) {
  return seal(FrameKind::kIndex, end_, index.encode(), join, FrameTimes{{}, {}, server_time});
}

Result<LogObjectOpener> LogObjectOpener::begin(const FrameHeader& any, const crypto::SecretBytes& data_key) {
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(any.suite));
  STELE_TRY(crypto::Opener opener, object_opener(*suite, data_key, any.object));
  return LogObjectOpener(std::move(opener));
}

Result<Bytes> LogObjectOpener::open(const Frame& frame, ByteView& content) {
  auto plain = opener_.open(frame.header().number, frame.associated_data(), frame.payload());
  if (!plain.ok()) return plain.error().in(fmt::format("frame {} of object {}", frame.header().number, frame.header().object.short_hex()));
  ByteReader r(*plain);
  content = r.blob32();
  if (r.failed()) return Error{ErrorCode::kDamaged, "frame: its content ends early", ""};
  return plain;
}

Status LogObjectOpener::open_log(const Frame& frame, Bytes& out) {
  ByteView content;
  STELE_TRY(const Bytes plain, open(frame, content));
  if (frame.header().kind != FrameKind::kLog) return {};
  compress::FrameDecompressor& decompressor = frame.header().context_reset ? single_frames_ : object_frames_;
  if (frame.header().context_reset) decompressor.begin_object();
  return decompressor.decompress(content, frame.header().raw_size(), out);
}

Result<IndexBlock> LogObjectOpener::open_index(const Frame& frame) {
  ByteView content;
  if (frame.header().kind != FrameKind::kIndex) return Error{ErrorCode::kDamaged, "not the frame of an index block", ""};
  STELE_TRY(const Bytes plain, open(frame, content));
  return IndexBlock::decode(content);
}

JoinTagger::JoinTagger(const crypto::Suite& suite, const crypto::SecretBytes& key, const StreamId& stream, std::uint64_t segment_size,
                       Position start)
    : hasher_(suite), tag_hasher_(suite, key), stream_(stream), segment_size_(segment_size), position_(start) {
  pending_.reserve(kTagPage);
}

void JoinTagger::take_page() {
  hasher_.update(rolling_.view());
  hasher_.update(pending_);
  rolling_ = hasher_.finish();
  pending_.clear();
}

void JoinTagger::update(ByteView bytes) {
  while (!bytes.empty()) {
    if (position_.value % segment_size_ == 0) rolling_ = Digest{};
    const std::size_t take = std::min(bytes.size(), kTagPage - pending_.size());
    pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(take));
    position_ = position_ + take;
    bytes = bytes.subspan(take);
    if (pending_.size() == kTagPage) take_page();
  }
}

JoinTag JoinTagger::tag() {
  Bytes position;
  ByteWriter(position).u64(position_.value);
  tag_hasher_.update(stream_.view()).update(position).update(rolling_.view()).update(pending_);
  return tag_hasher_.finish<JoinTag>();
}

}  // namespace stele::format
