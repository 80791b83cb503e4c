#include "core/format/pack.h"

#include <fmt/format.h>

#include "core/crypto/hash.h"
#include "core/format/body.h"

namespace stele::format {

namespace {

constexpr std::string_view kChunkMagic = "STLc", kPackMagic = "STLP";
constexpr std::uint16_t kVersion = 1;
constexpr std::uint8_t kFlagCompressed = 1;
constexpr std::string_view kPackDomain = "stele/pack/1";

}  // namespace

Bytes chunk_associated_data(const ChunkHeader& h) {
  Bytes out;
  out.reserve(kChunkHeaderSize);
  ByteWriter w(out);
  w.raw(kChunkMagic);
  w.u16(kVersion);
  w.u16(static_cast<std::uint16_t>(h.suite));
  w.u8(h.compressed ? kFlagCompressed : 0);
  w.u8(0);
  w.u16(0);
  w.raw(h.name.view());
  w.raw(h.stream.view());
  w.raw(h.epoch.view());
  w.raw(h.object.view());
  w.u32(h.counter);
  w.u32(h.raw_size);
  w.u32(h.payload_size);
  return out;
}

void encode_chunk(ChunkHeader& header, ByteView payload, Bytes& out) {
  const Bytes clear = chunk_associated_data(header);
  header.check = crypto::Hasher(suite_or_default(header.suite)).update(clear).update(payload).finish();
  ByteWriter w(out);
  w.raw(clear);
  w.raw(header.check.view());
  w.raw(payload);
}

Result<ChunkView> parse_chunk(ByteView bytes) {
  ByteReader r(bytes);
  ChunkView out;
  ChunkHeader& h = out.header;
  if (as_text(r.raw(kChunkMagic.size())) != kChunkMagic) return Error{ErrorCode::kDamaged, "not a chunk", ""};
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("chunk of version {}", version), "read this with a newer Stele"};
  }
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(r.u16()));
  h.suite = suite->id();
  const std::uint8_t flags = r.u8();
  if ((flags & ~kFlagCompressed) != 0) return Error{ErrorCode::kUnsupported, fmt::format("chunk with flags {}", flags), "read this with a newer Stele"};
  h.compressed = (flags & kFlagCompressed) != 0;
  const ByteView reserved = r.raw(3);
  if (std::any_of(reserved.begin(), reserved.end(), [](std::uint8_t b) { return b != 0; })) {
    return Error{ErrorCode::kUnsupported, "chunk with fields that are not known", "read this with a newer Stele"};
  }
  r.fixed(h.name);
  r.fixed(h.stream);
  r.fixed(h.epoch);
  r.fixed(h.object);
  h.counter = r.u32();
  h.raw_size = r.u32();
  h.payload_size = r.u32();
  r.fixed(h.check);
  out.payload = r.raw(h.payload_size);
  if (r.failed() || h.raw_size > kMaxChunkRaw) return Error{ErrorCode::kDamaged, fmt::format("chunk {}: ends early or is too large", h.name.short_hex()), ""};
  out.stored = bytes.first(r.position());
  if (crypto::Hasher(*suite).update(out.associated_data()).update(out.payload).finish() != h.check) {
    return Error{ErrorCode::kDamaged, fmt::format("chunk {}: differs from its hash", h.name.short_hex()), ""};
  }
  return out;
}

Result<Bytes> encode_pack(PackHead head, const std::vector<Bytes>& chunks, const crypto::SigningKey& agent) {
  if (head.entries.size() != chunks.size() || chunks.empty() || chunks.size() > kMaxPackChunks) {
    return Error{ErrorCode::kInternal, fmt::format("a pack of {} chunks with {} entries", chunks.size(), head.entries.size()), ""};
  }
  if (head.suite != agent.suite().id()) return Error{ErrorCode::kInternal, "a pack of another suite than its signing key", ""};
  Bytes out;
  ByteWriter w(out);
  w.raw(kPackMagic);
  w.u16(kVersion);
  w.u16(static_cast<std::uint16_t>(agent.suite().id()));
  const std::size_t total_at = out.size();
  w.u32(0);  // size of the whole pack, patched below
  w.u32(static_cast<std::uint32_t>(chunks.size()));
  w.raw(head.stream.view());
  w.u64(head.generation.value);
  w.raw(head.epoch.view());
  w.raw(head.pack.view());
  w.blob32(head.epoch_record);
  std::size_t offset = out.size() + chunks.size() * (ChunkName::kSize + 8);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    w.raw(head.entries[i].name.view());
    w.u32(static_cast<std::uint32_t>(offset));
    w.u32(static_cast<std::uint32_t>(chunks[i].size()));
    offset += chunks[i].size();
  }
  const std::size_t signature_size = agent.suite().sizes().signature;
  const std::size_t total = offset + 2 + signature_size;
  if (total > kMaxPackBytes) return Error{ErrorCode::kInternal, fmt::format("a pack of {} bytes is over the limit", total), ""};
  out.reserve(total);
  w.patch_u32(total_at, static_cast<std::uint32_t>(total));
  for (const Bytes& chunk : chunks) w.raw(chunk);
  write_key(w, agent.sign(kPackDomain, crypto::hash(agent.suite(), out).view()));
  return out;
}

Result<std::optional<PackHead>> parse_pack_head(ByteView front, std::uint64_t total) {
  constexpr std::size_t kFixed = 4 + 2 + 2 + 4 + 4;
  if (front.size() < kFixed && front.size() < total) return std::optional<PackHead>();
  ByteReader r(front);
  if (as_text(r.raw(kPackMagic.size())) != kPackMagic) return Error{ErrorCode::kDamaged, "not a pack", ""};
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("pack of version {}", version), "read this with a newer Stele"};
  }
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(r.u16()));
  PackHead head;
  head.suite = suite->id();
  const std::size_t stated = r.u32(), count = r.u32();
  if (stated != total || stated > kMaxPackBytes) return Error{ErrorCode::kDamaged, fmt::format("pack: {} bytes, {} expected", total, stated), ""};
  if (count == 0 || count > kMaxPackChunks) return Error{ErrorCode::kDamaged, fmt::format("pack: {} chunks", count), ""};
  r.fixed(head.stream);
  head.generation = {r.u64()};
  r.fixed(head.epoch);
  r.fixed(head.pack);
  head.epoch_record = to_bytes(r.blob32());
  for (std::size_t i = 0; i < count && !r.failed(); ++i) {
    PackEntry entry;
    r.fixed(entry.name);
    entry.offset = r.u32();
    entry.size = r.u32();
    head.entries.push_back(entry);
  }
  if (r.failed()) {
    if (front.size() < total) return std::optional<PackHead>();
    return Error{ErrorCode::kDamaged, "pack: its index ends early", ""};
  }
  std::uint64_t expected = r.position();
  for (const PackEntry& entry : head.entries) {
    if (entry.offset != expected) return Error{ErrorCode::kDamaged, "pack: its index does not match its chunks", ""};
    expected += entry.size;
    if (expected > total) return Error{ErrorCode::kDamaged, "pack: ends early", ""};
  }
  return std::optional<PackHead>(std::move(head));
}

Result<PackHead> parse_pack(ByteView bytes, const crypto::VerifyKey* key, bool check_chunks) {
  STELE_TRY(auto front, parse_pack_head(bytes, bytes.size()));
  if (!front) return Error{ErrorCode::kDamaged, "pack: ends early", ""};
  PackHead& head = *front;
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(head.suite));
  ByteReader r(bytes);
  r.raw(head.entries.front().offset);
  for (const PackEntry& entry : head.entries) {
    ByteView chunk = r.raw(entry.size);
    if (!check_chunks) continue;
    STELE_TRY(ChunkView view, parse_chunk(chunk));
    if (view.header.name != entry.name || view.stored.size() != entry.size || view.header.stream != head.stream) {
      return Error{ErrorCode::kDamaged, fmt::format("pack: chunk {} is not the one its index names", entry.name.short_hex()), ""};
    }
  }
  const std::size_t signed_size = r.position();
  Bytes signature = read_key(r);
  STELE_CHECK(r.finish("pack"));
  if (key != nullptr) {
    Status ok = key->verify(kPackDomain, crypto::hash(*suite, bytes.first(signed_size)).view(), signature);
    if (!ok.ok()) return ok.error().in(fmt::format("pack {}", head.pack.short_hex()));
  }
  return std::move(head);
}

}  // namespace stele::format
