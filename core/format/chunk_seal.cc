#include "core/format/chunk_seal.h"

#include <fmt/format.h>

#include "core/format/body.h"

namespace stele::format {

ChunkNamer::ChunkNamer(const crypto::Suite& suite, const crypto::SecretBytes& chunk_name_key) : hasher_(suite, chunk_name_key) {}

ChunkName ChunkNamer::name(ByteView raw) {
  Bytes prefix;
  ByteWriter w(prefix);
  w.str16("stele/chunk/1");
  w.u64(raw.size());
  return hasher_.update(prefix).update(raw).finish<ChunkName>();
}

PackSealer::PackSealer(Options options, ObjectId pack, crypto::Sealer sealer, compress::ChunkCompressor compressor)
    : options_(std::move(options)), sealer_(std::move(sealer)), compressor_(std::move(compressor)) {
  head_.suite = options_.suite->id();
  head_.stream = options_.stream;
  head_.generation = options_.generation;
  head_.epoch = options_.epoch;
  head_.epoch_record = options_.epoch_record;
  head_.pack = pack;
}

Result<PackSealer> PackSealer::begin(Options options, const crypto::SecretBytes& data_key, RandomSource& random) {
  const ObjectId pack = random.draw<ObjectId>();
  STELE_TRY(crypto::Sealer sealer, object_sealer(*options.suite, data_key, pack));
  STELE_TRY(compress::ChunkCompressor compressor, compress::ChunkCompressor::create(options.level));
  return PackSealer(std::move(options), pack, std::move(sealer), std::move(compressor));
}

Status PackSealer::add(const ChunkName& name, ByteView raw) {
  if (raw.size() > kMaxChunkRaw || chunks_.size() >= kMaxPackChunks) {
    return Error{ErrorCode::kInternal, fmt::format("chunk {} of {} bytes is over the limits of a pack", chunks_.size(), raw.size()), ""};
  }
  compressed_.clear();
  STELE_TRY(const bool shrunk, compressor_.compress(raw, compressed_));
  plain_.clear();
  ByteWriter(plain_).blob32(shrunk ? ByteView(compressed_) : raw);
  pad_to_size_class(plain_);
  ChunkHeader h;
  h.suite = options_.suite->id();
  h.compressed = shrunk;
  h.name = name;
  h.stream = options_.stream;
  h.epoch = options_.epoch;
  h.object = head_.pack;
  h.counter = static_cast<std::uint32_t>(sealer_.next_counter());
  h.raw_size = static_cast<std::uint32_t>(raw.size());
  h.payload_size = static_cast<std::uint32_t>(plain_.size() + options_.suite->sizes().tag);
  Bytes payload;
  payload.reserve(h.payload_size);
  STELE_TRY([[maybe_unused]] const std::uint64_t counter, sealer_.seal(chunk_associated_data(h), plain_, payload));
  Bytes stored;
  stored.reserve(kChunkHeaderSize + payload.size());
  encode_chunk(h, payload, stored);
  stored_bytes_ += stored.size();
  chunks_.push_back(std::move(stored));
  head_.entries.push_back(PackEntry{name, 0, 0});
  return {};
}

Result<Bytes> PackSealer::finish(const crypto::SigningKey& agent) { return encode_pack(std::move(head_), chunks_, agent); }

ChunkOpener::ChunkOpener(const crypto::Suite& suite, const crypto::SecretBytes& chunk_name_key, std::size_t keep)
    : namer_(suite, chunk_name_key), keep_(std::max<std::size_t>(keep, 1)) {}

Result<crypto::Opener*> ChunkOpener::opener_for(const ChunkHeader& h, const crypto::SecretBytes& data_key) {
  auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.object == h.object && k.epoch == h.epoch && k.suite == h.suite; });
  if (found == kept_.end()) {
    STELE_TRY(const crypto::Suite* suite, crypto::find_suite(h.suite));
    STELE_TRY(crypto::Opener opener, object_opener(*suite, data_key, h.object));
    if (kept_.size() >= keep_) kept_.pop_back();
    kept_.push_front({h.epoch, h.object, h.suite, std::move(opener)});
    ++derived_;
  } else {
    kept_.splice(kept_.begin(), kept_, found);
  }
  return &kept_.front().opener;
}

Result<Bytes> ChunkOpener::open(const ChunkView& chunk, const crypto::SecretBytes& data_key) {
  const ChunkHeader& h = chunk.header;
  const std::string subject = fmt::format("chunk {}", h.name.short_hex());
  STELE_TRY(crypto::Opener * opener, opener_for(h, data_key));
  auto plain = opener->open(h.counter, chunk.associated_data(), chunk.payload);
  if (!plain.ok()) return plain.error().in(subject);
  ByteReader r(*plain);
  ByteView content = r.blob32();
  if (r.failed()) return Error{ErrorCode::kDamaged, subject + ": its content ends early", ""};
  Bytes raw;
  if (h.compressed) {
    auto expanded = decompressor_.decompress(content, h.raw_size);
    if (!expanded.ok()) return expanded.error().in(subject);
    raw = std::move(*expanded);
  } else {
    raw = to_bytes(content);
  }
  if (raw.size() != h.raw_size || namer_.name(raw) != h.name) {
    return Error{ErrorCode::kDamaged, subject + ": its content is not what its name says", ""};
  }
  return raw;
}

}  // namespace stele::format
