// Comparing the catalog with the store at start: what is not indexed is added, what is missing or damaged is told.
#include <fmt/format.h>

#include <algorithm>

#include "core/config/log.h"
#include "core/format/object_names.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

namespace {
/// How often an object that the disk does not give is asked for before it counts as damaged.
constexpr int kReads = 3;

bool is_in(std::string_view folder, std::string_view name, const DatabaseName& database) {
  return name.starts_with(format::database_prefix(database) + std::string(folder) + "/");
}

std::optional<ObjectId> pack_of(std::string_view name, const DatabaseName& database) {
  if (!is_in("pack", name, database)) return std::nullopt;
  name = name.substr(name.rfind('/') + 1);
  auto pack = ObjectId::parse_hex(name.substr(0, name.find('.')));
  if (!pack.ok()) return std::nullopt;
  return *pack;
}
}  // namespace

/// Only the catalog's own failure is an error: one object that cannot be read must not keep the others from being used.
Status Keeper::index_missing(const store::ObjectInfo& object, std::vector<Problem>& problems) {
  auto bytes = parts_.store.read_all(object.name, store::kMaxReadBytes);
  for (int i = 1; i < kReads && !bytes.ok() && bytes.error().code == ErrorCode::kIo; ++i) {
    bytes = parts_.store.read_all(object.name, store::kMaxReadBytes);
  }
  auto changes = bytes.ok() ? Catalog::changes_of(object.name, *bytes, parts_.clock.now()) : Result<std::vector<Change>>(bytes.error());
  if (changes.ok()) return parts_.catalog.write(*changes);
  problems.push_back({object.name, changes.error().in(object.name), false});
  return {};
}

Result<std::vector<Keeper::Problem>> Keeper::reconcile() {
  STELE_TRY(std::vector<store::ObjectInfo> stored, parts_.store.list(""));
  std::vector<ObjectEntry> indexed;
  bool more = true;
  while (more) {
    STELE_TRY(std::vector<ObjectEntry> page, parts_.catalog.objects("", indexed.empty() ? "" : indexed.back().name, 4096, more));
    indexed.insert(indexed.end(), std::make_move_iterator(page.begin()), std::make_move_iterator(page.end()));
  }
  std::vector<Problem> problems;
  std::size_t added = 0, i = 0;
  auto skip_missing = [&](const std::string* up_to) {
    for (; i < indexed.size() && (up_to == nullptr || indexed[i].name < *up_to); ++i) {
      problems.push_back({indexed[i].name, Error{ErrorCode::kDamaged, indexed[i].name + ": the object is missing from the store", ""}, true});
    }
  };
  for (const store::ObjectInfo& object : stored) {
    auto name = format::database_of(object.name);
    if (!name) continue;  // not ours: left alone
    database_of(*name).site.stored += object.size;
    skip_missing(&object.name);
    if (i < indexed.size() && indexed[i].name == object.name) {
      ++i;
      continue;
    }
    STELE_CHECK(index_missing(object, problems));
    ++added;
  }
  skip_missing(nullptr);
  auto has = [](const auto& sorted, const std::string& name) {
    auto at = std::lower_bound(sorted.begin(), sorted.end(), name, [](const auto& entry, const std::string& n) { return entry.name < n; });
    return at != sorted.end() && at->name == name;
  };
  for (const std::string& name : options_.expected.value_or(std::vector<std::string>())) {
    if (!format::database_of(name) || has(stored, name) || has(indexed, name)) continue;
    problems.push_back({name, Error{ErrorCode::kDamaged, name + ": the object is missing from the store", ""}, true});
  }
  if (added != 0) log::info("objects of the store were added to the catalog", {{"objects", added}, {"stored", stored.size()}});
  return problems;
}

/// Notes the problems in the ledger; then, and only then, the catalog forgets what is missing. The snapshots that needed it are told too.
Status Keeper::tell(const std::vector<Problem>& problems) {
  std::map<DatabaseName, std::vector<std::string>> told;
  for (const Problem& problem : problems) {
    const DatabaseName database = *format::database_of(problem.object);
    const auto run = format::parse_run_name(problem.object);
    const Status noted = report_damage(database, problem.error, run ? run->stream : StreamId{}, run ? run->range : PositionRange{});
    if (noted.ok() && problem.missing) told[database].push_back(problem.object);
  }
  for (const auto& [name, objects] : told) {
    Database& database = database_of(name);
    std::set<ObjectId> packs;
    bool lists = false;
    for (const std::string& object : objects) {
      if (auto pack = pack_of(object, name)) packs.insert(*pack);
      lists = lists || is_in("list", object, name);
    }
    if (lists || !packs.empty()) {
      std::vector<ChunkName> lost;
      if (!packs.empty()) {
        STELE_TRY(lost, parts_.catalog.forget_packs(name, packs));
      }
      // Not noted everywhere: the next start does it again.
      if (!mark_snapshots(database, &lost).ok()) continue;
    }
    for (const std::string& object : objects) STELE_CHECK(parts_.catalog.remove_object(object));
  }
  if (!options_.expected) return {};
  for (Database* database : databases()) STELE_CHECK(mark_snapshots(*database, nullptr));
  return {};
}

/// Notes the snapshots of which a list or a chunk is missing. `lost`: the chunk names without a copy, in order; nullptr: the catalog knows.
Status Keeper::mark_snapshots(Database& database, const std::vector<ChunkName>* lost) {
  STELE_TRY(auto snapshots, parts_.catalog.snapshots(database.name));
  std::map<Digest, std::optional<std::uint64_t>> lists;  // lost names of each; none: the list is not readable
  auto look_at = [&](const Digest& digest, std::optional<std::uint64_t>& count) -> Status {
    auto bytes = parts_.store.read_all(format::list_name(database.name, digest), kMaxListBytes);
    auto list = bytes.ok() ? format::ChunkList::decode(*bytes) : Result<format::ChunkList>(bytes.error());
    if (!list.ok()) return {};
    if (lost != nullptr) {
      auto is_lost = [&](const ChunkName& n) { return std::binary_search(lost->begin(), lost->end(), n); };
      count = static_cast<std::uint64_t>(std::count_if(list->names.begin(), list->names.end(), is_lost));
    } else {
      STELE_TRY(const std::vector<bool> known, parts_.catalog.know_chunks(database.name, list->names));
      count = static_cast<std::uint64_t>(std::count(known.begin(), known.end(), false));
    }
    return {};
  };
  for (const SnapshotEntry& entry : snapshots) {
    auto bytes = parts_.store.read_all(entry.name, format::kMaxRecordBytes);
    auto record = bytes.ok() ? format::parse_record(*bytes, format::RecordKind::kManifest) : Result<format::SignedRecord>(bytes.error());
    auto manifest = record.ok() ? format::read_manifest(*record) : Result<format::Manifest>(record.error());
    if (!manifest.ok()) continue;  // told as a problem of its own
    std::uint64_t chunks = 0, without = 0;
    for (const Digest& digest : manifest->reference.lists) {
      auto [it, fresh] = lists.try_emplace(digest);
      if (fresh) STELE_CHECK(look_at(digest, it->second));
      const auto count = it->second;
      chunks += count.value_or(0);
      without += count ? 0 : 1;
    }
    if (chunks == 0 && without == 0) continue;
    const Error error{ErrorCode::kDamaged, fmt::format("snapshot {} cannot be restored from here: {} of its chunks and {} of its lists are not there any more",
                                                       entry.name, chunks, without), "take a new snapshot, or restore it from another receiver"};
    STELE_CHECK(report_damage(database.name, error, entry.stream, {}));
  }
  return {};
}

}  // namespace stele::receiver
