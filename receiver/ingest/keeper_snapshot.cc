#include <fmt/format.h>

#include "core/crypto/hash.h"
#include "core/format/object_names.h"
#include "core/format/pack.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

namespace {
constexpr std::size_t kMaxMissingNames = 1024;
}  // namespace

std::vector<Result<Digest>> Keeper::put_packs(std::vector<std::pair<Database*, ByteView>> packs) {
  std::vector<Result<Digest>> out;
  std::vector<std::unique_ptr<store::StagedObject>> staged;
  struct Placed {
    std::size_t index;
    std::string name;
    std::size_t chunks;
  };
  std::vector<Placed> placed;
  auto stage = [&](Database& database, ByteView bytes, std::size_t index) -> Result<Digest> {
    const crypto::VerifyKey* key = nullptr;
    {
      std::lock_guard lock(database.mutex);
      STELE_TRY(key, database.trust.current_key());
    }
    STELE_TRY(format::PackHead head, format::parse_pack(bytes, key, true));
    {
      std::lock_guard lock(database.mutex);
      if (database.trust.branch(head.stream) == nullptr) {
        return Error{ErrorCode::kNotFound, fmt::format("pack {}: the branch record of its stream is not held here", head.pack.short_hex()), ""};
      }
      STELE_TRY(const crypto::VerifyKey* epoch_key, database.trust.key_for_stored(head.epoch));
      if (epoch_key != key) return Error{ErrorCode::kUnauthorised, fmt::format("pack {}: its epoch belongs to an older enrolment", head.pack.short_hex()), ""};
    }
    STELE_CHECK(may_store(database, bytes.size()));
    STELE_CHECK(may_add_object(database));
    const std::string name = format::pack_name(database.name, head.pack);
    STELE_TRY(auto object, parts_.store.stage(name));
    STELE_CHECK(object->append(bytes));
    staged.push_back(std::move(object));
    placed.push_back({index, name, head.entries.size()});
    return Digest{head.pack.data};
  };
  for (std::size_t i = 0; i < packs.size(); ++i) out.push_back(stage(*packs[i].first, packs[i].second, i));
  Status committed = staged.empty() ? Status{} : parts_.store.commit(std::move(staged));
  for (const Placed& pack : placed) {
    Database& database = *packs[pack.index].first;
    const ByteView bytes = packs[pack.index].second;
    // After a failure of the whole barrier each is tried alone, so that one bad pack does not stop the others.
    Status kept = committed.ok() ? Status{} : parts_.store.put(pack.name, bytes);
    if (kept.ok()) kept = index(database, pack.name, bytes);
    if (!kept.ok()) {
      out[pack.index] = kept.error();
      continue;
    }
    database.metrics.packs.inc();
    database.metrics.pack_bytes.inc(static_cast<double>(bytes.size()));
    database.metrics.chunks.inc(static_cast<double>(pack.chunks));
  }
  return out;
}

Result<Digest> Keeper::put_list(Database& database, ByteView bytes) {
  STELE_TRY([[maybe_unused]] format::ChunkList list, format::ChunkList::decode(bytes));
  const Digest digest = crypto::hash(crypto::default_suite(), bytes);
  const std::string name = format::list_name(database.name, digest);
  // Every snapshot sends all of its lists: those of an earlier one cost nothing.
  STELE_TRY(const bool known, parts_.catalog.has_object(name));
  if (known) return digest;
  STELE_CHECK(may_add_object(database));
  STELE_CHECK(store_object(database, name, bytes));
  return digest;
}

Result<std::vector<bool>> Keeper::know_chunks(Database& database, const std::vector<ChunkName>& names) {
  {
    std::lock_guard lock(database.site.mutex);
    STELE_CHECK(database.site.quota.may_ask(names.size(), parts_.clock.steady_now()));
  }
  return parts_.catalog.know_chunks(database.name, names);
}

Status Keeper::check_chunks(Database& database, const format::ManifestReference& reference, protocol::MissingChunks& missing) {
  // A list that is named twice (a long file of zeros) is looked at once: what a manifest costs is bounded by what its site stored.
  std::map<Digest, std::uint64_t> counts;
  for (const Digest& digest : reference.lists) ++counts[digest];
  std::uint64_t count = 0;
  for (const auto& [digest, times] : counts) {
    auto bytes = parts_.store.read_all(format::list_name(database.name, digest), kMaxListBytes);
    if (!bytes.ok()) return bytes.error().in(fmt::format("chunk list {} of the manifest", digest.short_hex()));
    STELE_TRY(format::ChunkList list, format::ChunkList::decode(*bytes));
    count += times * list.names.size();
    STELE_TRY(std::vector<bool> known, parts_.catalog.know_chunks(database.name, list.names));
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (known[i]) continue;
      ++missing.total;
      if (missing.names.size() < kMaxMissingNames) missing.names.push_back(list.names[i]);
    }
  }
  if (count != reference.chunk_count) {
    return Error{ErrorCode::kDamaged, fmt::format("manifest: its lists hold {} names, it says {}", count, reference.chunk_count), ""};
  }
  return {};
}

Status Keeper::may_commit(Database& database, const format::SignedRecord& record, const format::ManifestReference& m,
                          const protocol::InstanceId& instance) {
  std::lock_guard lock(database.mutex);
  STELE_TRY(const crypto::VerifyKey* key, database.trust.current_key());
  STELE_CHECK(format::verify_record(record, *key));
  // A cloned agent whose log another one took over must not put its snapshots into that one's history.
  if (Status current = database.fence.check(m.generation, instance); !current.ok()) {
    database.metrics.superseded.inc();
    return current.error().in("snapshot");
  }
  STELE_CHECK(database.trust.check_epoch(m.epoch, m.stream));
  auto stream = database.streams.find(m.stream);
  if (m.stop < m.start || stream == database.streams.end() || !stream->second.ranges().covers({m.start, m.stop})) {
    return Error{ErrorCode::kGap,
                 fmt::format("snapshot: the log from {} to {} is not all here (durable end {})", m.start.to_string(), m.stop.to_string(),
                             stream == database.streams.end() ? "0/0" : stream->second.durable_end().to_string()),
                 "it is committed when the log has caught up"};
  }
  return {};
}

Result<std::variant<Digest, protocol::MissingChunks>> Keeper::commit_snapshot(Database& database, const protocol::InstanceId& instance, ByteView bytes) {
  STELE_TRY(format::SignedRecord record, format::parse_record(bytes, format::RecordKind::kManifest));
  STELE_TRY(format::Manifest manifest, format::read_manifest(record));
  const format::ManifestReference& m = manifest.reference;
  if (m.database != database.name) return Error{ErrorCode::kUnauthorised, "manifest of another database", ""};
  STELE_CHECK(may_commit(database, record, m, instance));
  // Millions of names take a while: records and streams need not wait for it. No chunk goes away meanwhile: nothing is deleted while
  // sessions run.
  protocol::MissingChunks missing;
  STELE_CHECK(check_chunks(database, m, missing));
  if (missing.total != 0) return std::variant<Digest, protocol::MissingChunks>(std::move(missing));
  std::lock_guard change(database.change);
  STELE_CHECK(may_commit(database, record, m, instance));
  const std::string name = format::manifest_name(database.name, m.finished, m.snapshot);
  STELE_CHECK(may_add_object(database));
  STELE_CHECK(store_object(database, name, bytes));
  STELE_TRY(auto snapshots, parts_.catalog.snapshots(database.name));
  std::lock_guard lock(database.mutex);
  database.snapshots = snapshots.size();
  if (!snapshots.empty()) database.latest = snapshots.back();
  database.metrics.snapshots.inc();
  return std::variant<Digest, protocol::MissingChunks>(record.id());
}

}  // namespace stele::receiver
