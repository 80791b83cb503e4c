#include "receiver/catalog/catalog.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/crypto/hash.h"
#include "core/format/pack.h"
#include "core/format/run.h"

namespace stele::receiver {

namespace {

// First byte of a key (CATALOG.md).
constexpr char kObject = 'o', kChunk = 'c', kRun = 'r', kSnapshot = 's', kRecord = 't';
constexpr std::size_t kPlaceBytes = 40;
constexpr std::size_t kChunksPerPage = 16'384;

std::string object_key(std::string_view name) { return std::string(1, kObject).append(name); }

std::string scoped(char kind, const DatabaseName& database) {
  std::string key(1, kind);
  key += database.to_string();
  key += '\0';
  return key;
}

void append(std::string& key, ByteView bytes) { key.append(as_text(bytes)); }

void append_big_endian(std::string& key, std::uint64_t v, int size) {
  for (int i = size - 1; i >= 0; --i) key.push_back(static_cast<char>(v >> (8 * i)));
}

std::string chunk_key(const DatabaseName& database, const ChunkName& name) {
  std::string key = scoped(kChunk, database);
  append(key, name.view());
  return key;
}

std::string run_key(const DatabaseName& database, const format::RunName& run) {
  std::string key = scoped(kRun, database);
  append(key, run.stream.view());
  append_big_endian(key, run.range.begin.value, 8);
  append(key, run.object.view());
  append_big_endian(key, run.first, 4);
  append_big_endian(key, run.last, 4);
  return key;
}

std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }

std::string object_value(std::uint64_t size, Timestamp received) {
  Bytes out;
  ByteWriter w(out);
  w.u64(size);
  w.i64(received.micros);
  return text_of(out);
}

Error wrong_entry(std::string_view what) {
  return Error{ErrorCode::kDamaged, fmt::format("catalog: {} cannot be read", what), "`stele-receiver reindex` makes the catalog anew from the store"};
}

std::string encode_run_entry(const RunEntry& e, ByteView last_header) {
  Bytes out;
  ByteWriter w(out);
  w.raw(e.name.stream.view());
  w.u64(e.name.range.begin.value);
  w.u64(e.name.range.end.value);
  w.raw(e.name.object.view());
  w.u32(e.name.first);
  w.u32(e.name.last);
  w.u64(e.size);
  w.i64(e.received.micros);
  w.raw(e.join_start.view());
  w.i64(e.min_commit.micros);
  w.i64(e.max_commit.micros);
  w.i64(e.last_server_time.micros);
  w.raw(e.head.view());
  w.raw(last_header);
  return text_of(out);
}

Result<RunEntry> decode_run_entry(std::string_view value) {
  ByteReader r(as_bytes(value));
  RunEntry e;
  r.fixed(e.name.stream);
  e.name.range.begin = {r.u64()};
  e.name.range.end = {r.u64()};
  r.fixed(e.name.object);
  e.name.first = r.u32();
  e.name.last = r.u32();
  e.size = r.u64();
  e.received = {r.i64()};
  r.fixed(e.join_start);
  e.min_commit = {r.i64()};
  e.max_commit = {r.i64()};
  e.last_server_time = {r.i64()};
  r.fixed(e.head);
  if (r.failed()) return wrong_entry("a run");
  std::size_t used = 0;
  auto last = format::parse_frame_header(r.rest(), used);
  if (!last.ok()) return wrong_entry("a run's last frame");
  e.last = *last;
  return e;
}

std::string encode_snapshot_entry(const SnapshotEntry& e) {
  Bytes out;
  ByteWriter w(out);
  w.str16(e.name);
  w.raw(e.digest.view());
  w.raw(e.stream.view());
  w.raw(e.snapshot.view());
  w.u64(e.start.value);
  w.u64(e.stop.value);
  w.i64(e.started.micros);
  w.i64(e.finished.micros);
  w.u64(e.raw_bytes);
  w.u64(e.new_bytes);
  w.u64(e.chunk_count);
  w.u32(e.damaged_pages);
  w.u8(e.full ? 1 : 0);
  return text_of(out);
}

Result<SnapshotEntry> decode_snapshot_entry(std::string_view value) {
  ByteReader r(as_bytes(value));
  SnapshotEntry e;
  e.name = r.str16();
  r.fixed(e.digest);
  r.fixed(e.stream);
  r.fixed(e.snapshot);
  e.start = {r.u64()};
  e.stop = {r.u64()};
  e.started = {r.i64()};
  e.finished = {r.i64()};
  e.raw_bytes = r.u64();
  e.new_bytes = r.u64();
  e.chunk_count = r.u64();
  e.damaged_pages = r.u32();
  e.full = r.u8() != 0;
  if (!r.finish("snapshot entry").ok()) return wrong_entry("a snapshot");
  return e;
}

std::string snapshot_key(const DatabaseName& database, Timestamp finished, const SnapshotId& snapshot) {
  std::string key = scoped(kSnapshot, database);
  append_big_endian(key, static_cast<std::uint64_t>(finished.micros), 8);
  append(key, snapshot.view());
  return key;
}

/// The folder of "SITE/DATABASE/FOLDER/...".
std::string_view folder_of(std::string_view name) {
  const std::size_t second = name.find('/', name.find('/') + 1);
  const std::size_t third = name.find('/', second + 1);
  return third == std::string_view::npos ? std::string_view{} : name.substr(second + 1, third - second - 1);
}

Error misnamed(std::string_view name) { return Error{ErrorCode::kDamaged, fmt::format("{}: the object is not what its name says", name), ""}; }

Status add_run_changes(const DatabaseName& database, std::string_view name, ByteView bytes, Timestamp& received, std::vector<Change>& out) {
  auto run_name = format::parse_run_name(name);
  STELE_TRY(format::RunHead head, format::parse_run_head(bytes));
  if (!run_name || run_name->stream != head.stream || run_name->object != head.object || run_name->range != head.range ||
      run_name->first != head.first || run_name->last != head.last) {
    return misnamed(name);
  }
  RunEntry entry;
  entry.name = *run_name;
  entry.size = bytes.size();
  entry.received = received = head.received;
  entry.join_start = head.join_start;
  entry.min_commit = head.min_commit;
  entry.max_commit = head.max_commit;
  entry.last_server_time = head.last_server_time;
  Bytes last_header;
  STELE_CHECK(format::read_run(bytes, nullptr, [&](format::Frame frame) -> Status {
    if (frame.header().number == head.last) {
      last_header = to_bytes(frame.header_bytes());
      entry.head = frame.head();
    }
    return {};
  }));
  out.push_back({Change::Kind::kPut, run_key(database, entry.name), encode_run_entry(entry, last_header)});
  return {};
}

Status add_pack_changes(const DatabaseName& database, std::string_view name, ByteView bytes, std::vector<Change>& out) {
  STELE_TRY(format::PackHead head, format::parse_pack(bytes, nullptr, false));
  if (format::pack_name(database, head.pack) != name) return misnamed(name);
  for (const format::PackEntry& chunk : head.entries) {
    Bytes place;
    ByteWriter w(place);
    w.raw(head.pack.view());
    w.u32(chunk.offset);
    w.u32(chunk.size);
    out.push_back({Change::Kind::kAppend, chunk_key(database, chunk.name), text_of(place)});
  }
  return {};
}

Status add_snapshot_changes(const DatabaseName& database, std::string_view name, ByteView bytes, std::vector<Change>& out) {
  STELE_TRY(format::SignedRecord record, format::parse_record(bytes, format::RecordKind::kManifest));
  STELE_TRY(format::Manifest manifest, format::read_manifest(record));
  const format::ManifestReference& m = manifest.reference;
  if (m.database != database || format::manifest_name(database, m.finished, m.snapshot) != name) return misnamed(name);
  SnapshotEntry e;
  e.name = std::string(name);
  e.digest = record.id();
  e.stream = m.stream;
  e.snapshot = m.snapshot;
  e.start = m.start;
  e.stop = m.stop;
  e.started = m.started;
  e.finished = m.finished;
  e.raw_bytes = m.raw_bytes;
  e.new_bytes = m.new_bytes;
  e.chunk_count = m.chunk_count;
  e.damaged_pages = m.damaged_pages;
  e.full = m.full;
  out.push_back({Change::Kind::kPut, snapshot_key(database, e.finished, e.snapshot), encode_snapshot_entry(e)});
  return {};
}

}  // namespace

Result<std::vector<Change>> Catalog::changes_of(std::string_view name, ByteView bytes, Timestamp received) {
  auto database = format::database_of(name);
  if (!database) return Error{ErrorCode::kUsage, fmt::format("{}: not the name of a database's object", name), ""};
  const std::string_view folder = folder_of(name);
  std::vector<Change> out;
  if (folder == "log") {
    STELE_CHECK(add_run_changes(*database, name, bytes, received, out));
  } else if (folder == "pack") {
    STELE_CHECK(add_pack_changes(*database, name, bytes, out));
  } else if (folder == "snapshot") {
    STELE_CHECK(add_snapshot_changes(*database, name, bytes, out));
  } else if (folder == "list") {
    if (format::list_name(*database, Digest{crypto::hash(crypto::default_suite(), bytes)}) != name) return misnamed(name);
  } else {
    STELE_TRY([[maybe_unused]] format::SignedRecord record, format::parse_record(bytes));
    out.push_back({Change::Kind::kPut, std::string(1, kRecord).append(name), std::string(as_text(bytes))});
  }
  out.push_back({Change::Kind::kPut, object_key(name), object_value(bytes.size(), received)});
  return out;
}

Status Catalog::add_object(std::string_view name, ByteView bytes, Timestamp received) {
  STELE_TRY(std::vector<Change> changes, changes_of(name, bytes, received));
  return values_->write(changes);
}

Status Catalog::remove_object(std::string_view name) {
  std::vector<Change> out = {{Change::Kind::kRemove, object_key(name), ""}};
  if (auto database = format::database_of(name)) {
    const std::string_view folder = folder_of(name);
    if (auto run = format::parse_run_name(name); run && folder == "log") {
      out.push_back({Change::Kind::kRemove, run_key(*database, *run), ""});
    } else if (folder == "snapshot") {
      STELE_TRY(auto entries, snapshots(*database));
      for (const SnapshotEntry& e : entries) {
        if (e.name == name) out.push_back({Change::Kind::kRemove, snapshot_key(*database, e.finished, e.snapshot), ""});
      }
    } else if (folder != "pack" && folder != "list") {
      out.push_back({Change::Kind::kRemove, std::string(1, kRecord).append(name), ""});
    }
  }
  return values_->write(out);
}

Result<std::vector<ChunkName>> Catalog::forget_packs(const DatabaseName& database, const std::set<ObjectId>& packs) {
  std::vector<ChunkName> lost;
  const std::string prefix = scoped(kChunk, database);
  std::string after = prefix;
  for (bool more = true; more;) {
    std::vector<Change> changes;
    std::size_t seen = 0;
    Status wrong;
    STELE_CHECK(values_->scan(prefix, after, [&](std::string_view key, std::string_view value) {
      after = key;
      auto name = ChunkName::from(as_bytes(key.substr(prefix.size())));
      if (!name.ok() || value.size() % kPlaceBytes != 0) {
        wrong = wrong_entry("a chunk's places");
        return false;
      }
      std::string kept;
      for (std::size_t at = 0; at < value.size(); at += kPlaceBytes) {
        const std::string_view place = value.substr(at, kPlaceBytes);
        ObjectId pack;
        ByteReader(as_bytes(place)).fixed(pack);
        if (!packs.contains(pack)) kept += place;
      }
      if (kept.empty()) lost.push_back(*name);
      if (kept.size() != value.size()) changes.push_back({Change::Kind::kPut, std::string(key), std::move(kept)});
      return ++seen < kChunksPerPage;
    }));
    STELE_CHECK(std::move(wrong));
    more = seen == kChunksPerPage;
    if (!changes.empty()) STELE_CHECK(values_->write(changes));
  }
  return lost;
}

Result<bool> Catalog::has_object(std::string_view name) {
  STELE_TRY(auto values, values_->get({object_key(name)}));
  return values[0].has_value();
}

Result<std::vector<ObjectEntry>> Catalog::objects(std::string_view prefix, std::string_view after, std::size_t limit, bool& more) {
  std::vector<ObjectEntry> out;
  more = false;
  Status done = values_->scan(object_key(prefix), object_key(after), [&](std::string_view key, std::string_view value) {
    if (out.size() == limit) {
      more = true;
      return false;
    }
    ByteReader r(as_bytes(value));
    ObjectEntry entry;
    entry.name = std::string(key.substr(1));
    entry.size = r.u64();
    entry.received = {r.i64()};
    out.push_back(std::move(entry));
    return true;
  });
  if (!done.ok()) return done.error();
  return out;
}

Result<std::vector<bool>> Catalog::know_chunks(const DatabaseName& database, std::span<const ChunkName> names) {
  std::vector<std::string> keys;
  keys.reserve(names.size());
  for (const ChunkName& name : names) keys.push_back(chunk_key(database, name));
  STELE_TRY(auto values, values_->get(keys));
  std::vector<bool> out;
  for (const auto& value : values) out.push_back(value && !value->empty());
  return out;
}

Result<std::vector<ChunkPlace>> Catalog::chunk_places(const DatabaseName& database, const ChunkName& name) {
  STELE_TRY(auto values, values_->get({chunk_key(database, name)}));
  std::vector<ChunkPlace> out;
  if (!values[0]) return out;
  if (values[0]->size() % kPlaceBytes != 0) return wrong_entry("a chunk's places");
  ByteReader r(as_bytes(*values[0]));
  while (r.remaining() > 0) {
    ChunkPlace place;
    r.fixed(place.pack);
    place.offset = r.u32();
    place.size = r.u32();
    if (std::find(out.begin(), out.end(), place) == out.end()) out.push_back(place);
  }
  return out;
}

Status Catalog::visit_runs(const DatabaseName& database, const std::function<void(const RunEntry&)>& visit) {
  Status wrong;
  STELE_CHECK(values_->scan(scoped(kRun, database), "", [&](std::string_view, std::string_view value) {
    auto entry = decode_run_entry(value);
    if (entry.ok()) visit(*entry);
    else wrong = entry.error();
    return entry.ok();
  }));
  return wrong;
}

Result<std::vector<SnapshotEntry>> Catalog::snapshots(const DatabaseName& database) {
  std::vector<SnapshotEntry> out;
  Status wrong;
  STELE_CHECK(values_->scan(scoped(kSnapshot, database), "", [&](std::string_view, std::string_view value) {
    auto entry = decode_snapshot_entry(value);
    if (entry.ok()) out.push_back(std::move(*entry));
    else wrong = entry.error();
    return entry.ok();
  }));
  STELE_CHECK(std::move(wrong));
  return out;
}

Result<std::vector<std::pair<std::string, Bytes>>> Catalog::records(const DatabaseName& database) {
  std::vector<std::pair<std::string, Bytes>> out;
  STELE_CHECK(values_->scan(std::string(1, kRecord) + format::database_prefix(database), "", [&](std::string_view key, std::string_view value) {
    out.emplace_back(std::string(key.substr(1)), to_bytes(as_bytes(value)));
    return true;
  }));
  return out;
}

Status Catalog::check() {
  Status wrong;
  STELE_CHECK(values_->scan("", "", [&](std::string_view key, std::string_view value) {
    switch (key.empty() ? '\0' : key[0]) {
      case kRun:
        if (auto run = decode_run_entry(value); !run.ok()) wrong = run.error();
        break;
      case kSnapshot:
        if (auto snapshot = decode_snapshot_entry(value); !snapshot.ok()) wrong = snapshot.error();
        break;
      case kRecord:
        if (!format::parse_record(as_bytes(value)).ok()) wrong = wrong_entry("a record");
        break;
      default: break;
    }
    return wrong.ok();
  }));
  return wrong;
}

Result<std::map<std::string, std::string>> Catalog::dump() {
  std::map<std::string, std::string> out;
  STELE_CHECK(values_->scan("", "", [&](std::string_view key, std::string_view value) {
    out.emplace(key, value);
    return true;
  }));
  return out;
}

}  // namespace stele::receiver
