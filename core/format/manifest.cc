#include "core/format/manifest.h"

#include "core/compress/chunk.h"
#include "core/crypto/hash.h"
#include "core/format/body.h"
#include "core/format/object_key.h"
#include "core/format/pack.h"

namespace stele::format {

namespace {

constexpr std::string_view kListMagic = "STLl";
constexpr std::uint16_t kVersion = 1;
constexpr std::uint32_t kModeBits = 07777;
constexpr std::size_t kMaxPath = 1024, kMaxSealedRaw = 16 << 20, kMaxTablespaces = 4096, kMaxTexts = 4096;

/// The reference part without what follows it: the associated data of the sealed part.
void write_reference(ByteWriter& w, const ManifestReference& m) {
  write_database(w, m.database);
  w.raw(m.stream.view());
  w.u64(m.generation.value);
  w.raw(m.epoch.view());
  w.raw(m.object.view());
  w.raw(m.snapshot.view());
  w.raw(m.previous.view());
  w.u64(m.start.value);
  w.u64(m.stop.value);
  w.i64(m.started.micros);
  w.i64(m.finished.micros);
  w.u64(m.raw_bytes);
  w.u64(m.new_bytes);
  w.u64(m.chunk_count);
  w.u32(m.damaged_pages);
  w.u8(m.full ? 1 : 0);
  w.u32(static_cast<std::uint32_t>(m.lists.size()));
  for (const Digest& list : m.lists) w.raw(list.view());
}

Status read_reference(ByteReader& r, ManifestReference& m) {
  STELE_CHECK(read_database(r, m.database));
  r.fixed(m.stream);
  m.generation = {r.u64()};
  r.fixed(m.epoch);
  r.fixed(m.object);
  r.fixed(m.snapshot);
  r.fixed(m.previous);
  m.start = {r.u64()};
  m.stop = {r.u64()};
  m.started = {r.i64()};
  m.finished = {r.i64()};
  m.raw_bytes = r.u64();
  m.new_bytes = r.u64();
  m.chunk_count = r.u64();
  m.damaged_pages = r.u32();
  STELE_TRY(m.full, read_flag(r));
  const std::size_t lists = r.u32();
  if (lists > kMaxLists || lists * Digest::kSize > r.remaining()) return Error{ErrorCode::kDamaged, "manifest: too many lists", ""};
  m.lists.resize(lists);
  for (Digest& list : m.lists) r.fixed(list);
  if (m.chunk_count > lists * kMaxListNames) return Error{ErrorCode::kDamaged, "manifest: more chunks than its lists can name", ""};
  if (m.stop < m.start) return Error{ErrorCode::kDamaged, "manifest: stops before it starts", ""};
  return {};
}

void write_text32(ByteWriter& w, const std::string& text) { w.blob32(as_bytes(text)); }
std::string read_text32(ByteReader& r) { return std::string(as_text(r.blob32())); }

Bytes encode_sealed(const ManifestSealed& s) {
  Bytes out;
  ByteWriter w(out);
  w.u16(kVersion);
  w.u64(s.system_identifier);
  w.u32(s.server_version);
  w.u32(s.timeline);
  w.u64(s.start.value);
  w.u64(s.stop.value);
  w.u64(s.chunk_count);
  w.u64(s.file_table_first);
  w.u64(s.file_table_bytes);
  w.u64(s.file_count);
  w.raw(s.lists_digest.view());
  write_text32(w, s.backup_label);
  w.u32(static_cast<std::uint32_t>(s.tablespaces.size()));
  for (const TablespaceEntry& t : s.tablespaces) {
    w.u32(t.oid);
    write_text32(w, t.location);
  }
  w.u32(static_cast<std::uint32_t>(s.texts.size()));
  for (const NamedText& t : s.texts) {
    write_text32(w, t.name);
    write_text32(w, t.text);
  }
  return out;
}

Result<ManifestSealed> decode_sealed(ByteView bytes) {
  ByteReader r(bytes);
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("manifest of inner version {}", version), "read this with a newer Stele"};
  }
  ManifestSealed s;
  s.system_identifier = r.u64();
  s.server_version = r.u32();
  s.timeline = r.u32();
  s.start = {r.u64()};
  s.stop = {r.u64()};
  s.chunk_count = r.u64();
  s.file_table_first = r.u64();
  s.file_table_bytes = r.u64();
  s.file_count = r.u64();
  r.fixed(s.lists_digest);
  s.backup_label = read_text32(r);
  const std::size_t tablespaces = r.u32();
  if (tablespaces > kMaxTablespaces) return Error{ErrorCode::kDamaged, "manifest: too many tablespaces", ""};
  for (std::size_t i = 0; i < tablespaces && !r.failed(); ++i) {
    TablespaceEntry t;
    t.oid = r.u32();
    t.location = read_text32(r);
    s.tablespaces.push_back(std::move(t));
  }
  const std::size_t texts = r.u32();
  if (texts > kMaxTexts) return Error{ErrorCode::kDamaged, "manifest: too many texts", ""};
  for (std::size_t i = 0; i < texts && !r.failed(); ++i) {
    NamedText t;
    t.name = read_text32(r);
    t.text = read_text32(r);
    s.texts.push_back(std::move(t));
  }
  STELE_CHECK(r.finish("manifest's sealed part"));
  if (s.file_table_first > s.chunk_count) return Error{ErrorCode::kDamaged, "manifest: its file table lies behind its chunks", ""};
  return s;
}

}  // namespace

Bytes ChunkList::encode() const {
  Bytes out;
  out.reserve(12 + names.size() * ChunkName::kSize);
  ByteWriter w(out);
  w.raw(kListMagic);
  w.u16(kVersion);
  w.u16(0);
  w.u32(static_cast<std::uint32_t>(names.size()));
  for (const ChunkName& name : names) w.raw(name.view());
  return out;
}

Result<ChunkList> ChunkList::decode(ByteView bytes) {
  ByteReader r(bytes);
  if (as_text(r.raw(kListMagic.size())) != kListMagic) return Error{ErrorCode::kDamaged, "not a chunk list", ""};
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("chunk list of version {}", version), "read this with a newer Stele"};
  }
  if (r.u16() != 0) return Error{ErrorCode::kUnsupported, "chunk list with fields that are not known", "read this with a newer Stele"};
  const std::size_t count = r.u32();
  if (count > kMaxListNames) return Error{ErrorCode::kDamaged, "chunk list: too many names", ""};
  ChunkList out;
  out.names.resize(count);
  for (ChunkName& name : out.names) r.fixed(name);
  STELE_CHECK(r.finish("chunk list"));
  return out;
}

bool is_safe_relative_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPath || path.find('\0') != std::string_view::npos || path.find('\\') != std::string_view::npos) return false;
  while (true) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

void encode_file_entry(const FileEntry& e, Bytes& out) {
  ByteWriter w(out);
  w.u8(static_cast<std::uint8_t>(e.type));
  w.u32(e.tablespace);
  w.str16(e.path);
  w.u32(e.mode);
  w.i64(e.modified.micros);
  w.u64(e.size);
  w.u32(e.chunks);
}

Result<FileEntry> read_file_entry(ByteReader& r) {
  FileEntry e;
  const std::uint8_t type = r.u8();
  e.type = static_cast<FileType>(type);
  e.tablespace = r.u32();
  e.path = r.str16();
  e.mode = r.u32();
  e.modified = {r.i64()};
  e.size = r.u64();
  e.chunks = r.u32();
  if (r.failed() || type < 1 || type > 4) return Error{ErrorCode::kDamaged, "file table: ends early or has an unknown type", ""};
  const bool is_file = e.type == FileType::kFile || e.type == FileType::kExtraFile;
  const bool sizes_ok = is_file ? e.chunks <= e.size && e.size <= std::uint64_t{e.chunks} * kMaxChunkRaw : e.size == 0 && e.chunks == 0;
  if (!sizes_ok || (e.mode & ~kModeBits) != 0) return Error{ErrorCode::kDamaged, "file table: a size or mode that cannot be", ""};
  if (!is_safe_relative_path(e.path)) {
    return Error{ErrorCode::kDamaged, "file table: a path that leaves the target directory", "this snapshot was not made by an honest agent"};
  }
  return e;
}

Digest digest_of_lists(const std::vector<Digest>& lists, const crypto::Suite& suite) {
  crypto::Hasher hasher(suite);
  for (const Digest& list : lists) hasher.update(list.view());
  return hasher.finish();
}

Result<SignedRecord> make_manifest(ManifestReference reference, ManifestSealed sealed, const crypto::SecretBytes& data_key,
                                   const crypto::SigningKey& agent, RandomSource& random) {
  reference.object = random.draw<ObjectId>();
  sealed.start = reference.start;
  sealed.stop = reference.stop;
  sealed.chunk_count = reference.chunk_count;
  sealed.lists_digest = digest_of_lists(reference.lists, agent.suite());
  Bytes clear;
  ByteWriter w(clear);
  write_reference(w, reference);
  const Bytes raw = encode_sealed(sealed);
  if (auto again = decode_sealed(raw); !again.ok()) return Error{ErrorCode::kInternal, "make a manifest: " + again.error().what, ""};
  if (raw.size() > kMaxSealedRaw) return Error{ErrorCode::kInternal, "manifest: its sealed part is over the limit", ""};
  Bytes plain;
  ByteWriter p(plain);
  p.u32(static_cast<std::uint32_t>(raw.size()));
  STELE_TRY(compress::ChunkCompressor compressor, compress::ChunkCompressor::create());
  Bytes packed;
  STELE_TRY(const bool shrunk, compressor.compress(raw, packed));
  p.u8(shrunk ? 1 : 0);
  p.blob32(shrunk ? packed : raw);
  pad_to_size_class(plain);
  STELE_TRY(crypto::Sealer sealer, object_sealer(agent.suite(), data_key, reference.object));
  Bytes ciphertext;
  STELE_TRY([[maybe_unused]] const std::uint64_t counter, sealer.seal(clear, plain, ciphertext));
  Bytes body = std::move(clear);
  ByteWriter(body).blob32(ciphertext);
  STELE_TRY(SignedRecord record, sign_record(RecordKind::kManifest, body, agent));
  if (auto again = read_manifest(record); !again.ok()) return Error{ErrorCode::kInternal, "make a manifest: " + again.error().what, ""};
  return record;
}

Result<Manifest> read_manifest(const SignedRecord& record) {
  return read_body<Manifest>(record, RecordKind::kManifest, [&](ByteReader& r, Manifest& out) -> Status {
    STELE_CHECK(read_reference(r, out.reference));
    out.clear = to_bytes(ByteView(record.body).first(r.position()));
    out.sealed = to_bytes(r.blob32());
    return {};
  });
}

Result<ManifestSealed> open_manifest(const Manifest& manifest, const crypto::Suite& suite, const crypto::SecretBytes& data_key) {
  const ManifestReference& reference = manifest.reference;
  STELE_TRY(crypto::Opener opener, object_opener(suite, data_key, reference.object));
  STELE_TRY(Bytes plain, opener.open(0, manifest.clear, manifest.sealed));
  ByteReader r(plain);
  const std::size_t raw_size = r.u32();
  STELE_TRY(const bool shrunk, read_flag(r));
  ByteView stored = r.blob32();
  if (r.failed() || raw_size > kMaxSealedRaw) return Error{ErrorCode::kDamaged, "manifest's sealed part: ends early", ""};
  Bytes raw;
  if (shrunk) {
    STELE_TRY(raw, compress::ChunkDecompressor().decompress(stored, raw_size));
  } else {
    raw = to_bytes(stored);
  }
  STELE_TRY(ManifestSealed sealed, decode_sealed(raw));
  if (sealed.start != reference.start || sealed.stop != reference.stop || sealed.chunk_count != reference.chunk_count ||
      sealed.lists_digest != digest_of_lists(reference.lists, suite)) {
    return Error{ErrorCode::kForged, fmt::format("manifest {}: its clear part differs from its sealed part", reference.snapshot.short_hex()), ""};
  }
  return sealed;
}

}  // namespace stele::format
