#include "restore/fetch/snapshot_reader.h"

#include <fmt/format.h>

#include "core/crypto/hash.h"
#include "core/format/object_names.h"
#include "restore/fetch/log_reader.h"

namespace stele::restore {

namespace {
constexpr std::size_t kMaxListBytes = 1 << 20;
constexpr std::uint64_t kMaxFileTable = 1u << 30;
constexpr std::uint64_t kMaxFiles = 20'000'000;
}  // namespace

Result<std::unique_ptr<SnapshotReader>> SnapshotReader::open(StoreCatalog& catalog, KeyRing& keys, const SnapshotId& id, std::size_t workers) {
  auto out = std::unique_ptr<SnapshotReader>(new SnapshotReader());
  out->manifest_ = catalog.manifest(id);
  const format::ManifestReference& reference = out->manifest_.reference;
  const format::EpochRecord* record = catalog.epoch(reference.epoch);
  const EnrolledAgent* agent = record == nullptr ? nullptr : catalog.trust().agent(record->enrolment);
  if (agent == nullptr) return Error{ErrorCode::kForged, fmt::format("snapshot {} under an unknown epoch", id.short_hex()), ""};
  STELE_TRY(auto secrets, keys.open(reference.epoch, *record));
  auto sealed = format::open_manifest(out->manifest_, agent->key.suite(), secrets->data);
  if (!sealed.ok()) return sealed.error().in(fmt::format("manifest of snapshot {}", id.short_hex()));
  out->sealed_ = std::move(*sealed);
  STELE_CHECK(out->read_lists(catalog));
  STELE_TRY(out->index_, ChunkIndex::load(catalog, out->chunks_, workers, out->problems_));
  STELE_TRY(out->fetcher_, ChunkFetcher::create(catalog, out->index_, keys, reference.epoch));
  STELE_CHECK(out->read_file_table(workers));
  return out;
}

Status SnapshotReader::read_lists(StoreCatalog& catalog) {
  const format::ManifestReference& reference = manifest_.reference;
  for (const Digest& digest : reference.lists) {
    const std::string name = format::list_name(catalog.database(), digest);
    auto bytes = with_retries<Bytes>([&] { return catalog.objects().read_all(name, kMaxListBytes); });
    if (!bytes.ok()) {
      if (bytes.error().code == ErrorCode::kNotFound) return Error{ErrorCode::kDamaged, fmt::format("{} is missing", name), "another receiver may have it"};
      return bytes.error();
    }
    if (crypto::hash(crypto::default_suite(), *bytes) != digest) return Error{ErrorCode::kDamaged, fmt::format("{} is not what its name says", name), ""};
    auto list = format::ChunkList::decode(*bytes);
    if (!list.ok()) return list.error().in(name);
    chunks_.insert(chunks_.end(), list->names.begin(), list->names.end());
  }
  if (chunks_.size() != reference.chunk_count || sealed_.file_table_first > chunks_.size()) {
    return Error{ErrorCode::kDamaged, fmt::format("snapshot {}: {} chunks in its lists, {} expected", reference.snapshot.short_hex(), chunks_.size(), reference.chunk_count), ""};
  }
  content_ = sealed_.file_table_first;
  return {};
}

Status SnapshotReader::read_file_table(std::size_t workers) {
  if (sealed_.file_table_bytes > kMaxFileTable || sealed_.file_count > kMaxFiles) return Error{ErrorCode::kDamaged, "a file table over the limit", ""};
  Bytes table;
  STELE_CHECK(fetcher_->fetch(
      std::span(chunks_).subspan(content_), workers,
      [&](std::vector<ChunkFetcher::Opened>& batch) -> Status {
        for (const auto& chunk : batch) table.insert(table.end(), chunk.bytes.begin(), chunk.bytes.end());
        if (table.size() > sealed_.file_table_bytes) return Error{ErrorCode::kDamaged, "the file table is longer than the manifest says", ""};
        return {};
      },
      [](const std::vector<ChunkFetcher::Opened>&) -> Status { return {}; }));
  if (table.size() != sealed_.file_table_bytes) return Error{ErrorCode::kDamaged, "the file table is shorter than the manifest says", ""};
  ByteReader reader(table);
  std::uint64_t chunks = 0;
  while (reader.remaining() > 0) {
    if (files_.size() >= sealed_.file_count) return Error{ErrorCode::kDamaged, "more files than the manifest says", ""};
    STELE_TRY(format::FileEntry entry, format::read_file_entry(reader));
    const bool has_content = entry.type == format::FileType::kFile || entry.type == format::FileType::kExtraFile;
    if ((!has_content && (entry.chunks != 0 || entry.size != 0)) || (has_content && (entry.size == 0) != (entry.chunks == 0))) {
      return Error{ErrorCode::kDamaged, "file table: an entry whose size and chunks do not fit", ""};
    }
    chunks += entry.chunks;
    raw_bytes_ += entry.size;
    files_.push_back(std::move(entry));
  }
  if (files_.size() != sealed_.file_count || chunks != content_) return Error{ErrorCode::kDamaged, "the file table does not fit the chunk lists", ""};
  return {};
}

Status SnapshotReader::read_files(std::size_t workers, const std::function<Status(std::size_t, std::uint64_t, ByteView)>& write,
                                  const std::function<void(std::uint64_t)>& progress) {
  struct Target {
    std::size_t file;
    std::uint64_t offset;
  };
  std::vector<Target> targets(content_);
  std::size_t file = 0;
  std::uint64_t offset = 0, chunk_in_file = 0;
  std::atomic<std::uint64_t> written{0};
  auto next_file = [&] {
    while (file < files_.size() && files_[file].chunks == 0) ++file;
  };
  next_file();
  return fetcher_->fetch(
      content(), workers,
      [&](std::vector<ChunkFetcher::Opened>& batch) -> Status {
        for (const auto& chunk : batch) {
          const format::FileEntry& entry = files_[file];
          targets[chunk.number] = {file, offset};
          offset += chunk.bytes.size();
          ++chunk_in_file;
          const bool last = chunk_in_file == entry.chunks;
          if (offset > entry.size || (last && offset != entry.size)) return Error{ErrorCode::kDamaged, "a file whose chunks are not as long as the file table says", ""};
          if (last) {
            ++file;
            offset = chunk_in_file = 0;
            next_file();
          }
        }
        return {};
      },
      [&](const std::vector<ChunkFetcher::Opened>& batch) -> Status {
        for (const auto& chunk : batch) {
          STELE_CHECK(write(targets[chunk.number].file, targets[chunk.number].offset, chunk.bytes));
          written += chunk.bytes.size();
        }
        if (progress) progress(written.load());
        return {};
      });
}

}  // namespace stele::restore
