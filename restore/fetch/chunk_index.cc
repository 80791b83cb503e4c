#include <fmt/format.h>

#include <mutex>
#include <unordered_set>

#include "core/format/object_names.h"
#include "core/format/pack.h"
#include "restore/fetch/chunk_fetcher.h"
#include "restore/fetch/log_reader.h"
#include "restore/fetch/parallel.h"

namespace stele::restore {

namespace {

constexpr std::size_t kProbe = 64u << 10;

/// The head of a pack from its front; reads the whole where the front is too short.
Result<std::vector<format::PackEntry>> read_entries(store::ObjectReader& objects, const store::ObjectInfo& info) {
  if (info.size > format::kMaxPackBytes) return Error{ErrorCode::kDamaged, "too large for a pack", ""};
  for (std::size_t length = std::min<std::size_t>(info.size, kProbe);; length = info.size) {
    STELE_TRY(const Bytes front, with_retries<Bytes>([&] { return objects.read(info.name, 0, length); }));
    STELE_TRY(auto head, format::parse_pack_head(front, info.size));
    if (head) return std::move(head->entries);
    if (length == info.size) return Error{ErrorCode::kDamaged, "its index ends early", ""};
  }
}

}  // namespace

Result<ChunkIndex> ChunkIndex::load(StoreCatalog& catalog, const std::vector<ChunkName>& wanted, std::size_t workers, std::vector<Problem>& problems) {
  ChunkIndex out;
  const std::unordered_set<ChunkName> names(wanted.begin(), wanted.end());
  out.places_.reserve(names.size());
  STELE_TRY(auto packs, catalog.objects().list(format::database_prefix(catalog.database()) + "pack/"));
  for (const store::ObjectInfo& info : packs) out.packs_.push_back(info.name);
  std::mutex mutex;
  STELE_CHECK(parallel_for(packs.size(), workers, [&](std::size_t i) -> Status {
    auto entries = read_entries(catalog.objects(), packs[i]);
    std::lock_guard lock(mutex);
    if (!entries.ok()) {
      if (is_temporary(entries.error().code)) return entries.error().in(packs[i].name);
      problems.push_back({packs[i].name, entries.error()});
      return {};
    }
    for (const format::PackEntry& e : *entries) {
      if (names.contains(e.name)) out.places_[e.name].push_back({static_cast<std::uint32_t>(i), e.offset, e.size});
    }
    return {};
  }));
  return out;
}

std::span<const ChunkIndex::Place> ChunkIndex::places(const ChunkName& name) const {
  auto found = places_.find(name);
  if (found == places_.end()) return {};
  return found->second;
}

}  // namespace stele::restore
