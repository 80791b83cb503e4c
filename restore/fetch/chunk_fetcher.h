#pragma once

#include <atomic>
#include <functional>
#include <unordered_map>

#include "core/format/chunk_seal.h"
#include "restore/catalog/store_catalog.h"
#include "restore/trust/key_ring.h"

namespace stele::restore {

/// Where the chunks of a snapshot lie: every copy of every name, from the heads of all packs.
class ChunkIndex {
 public:
  struct Place {
    std::uint32_t pack = 0;
    std::uint32_t offset = 0, size = 0;
  };
  /// Only names that `wanted` holds are kept. A pack that cannot be read becomes a problem: its chunks may be elsewhere.
  static Result<ChunkIndex> load(StoreCatalog& catalog, const std::vector<ChunkName>& wanted, std::size_t workers, std::vector<Problem>& problems);

  /// Copies in the order in which they were found; empty: nowhere.
  std::span<const Place> places(const ChunkName& name) const;
  const std::string& pack_name(std::uint32_t pack) const { return packs_[pack]; }

 private:
  std::unordered_map<ChunkName, std::vector<Place>> places_;
  std::vector<std::string> packs_;
};

/// Gets, verifies and opens chunks: each one's hash, tag and size, and its name recomputed from its plaintext. Tries the next copy where
/// one is bad. Workers hold a few chunks each: memory is bounded by their number, not by the database. Thread-safe.
class ChunkFetcher {
 public:
  /// All must outlive the fetcher. `epoch` is the manifest's: its secrets hold the key that names chunks.
  static Result<std::unique_ptr<ChunkFetcher>> create(StoreCatalog& catalog, const ChunkIndex& index, KeyRing& keys, const EpochId& epoch);

  struct Opened {
    std::size_t number = 0;  ///< index in the names given
    Bytes bytes;
  };
  /// Opens names[first..last) and calls `prepare` for each batch in the order of the names (one call at a time), then `consume` with the
  /// same batch on many threads at once. `prepare` gets only sizes to work with: that is where offsets are given out.
  Status fetch(std::span<const ChunkName> names, std::size_t workers, const std::function<Status(std::vector<Opened>&)>& prepare,
               const std::function<Status(const std::vector<Opened>&)>& consume);

  /// Names plaintext as this snapshot's agent did. One thread each.
  format::ChunkNamer make_namer() const { return format::ChunkNamer(*suite_, naming_->chunk_name); }
  /// Copies that were bad although another one was good.
  std::vector<Problem> take_problems();
  std::uint64_t bytes_read() const { return bytes_read_.load(); }

 private:
  ChunkFetcher(StoreCatalog& catalog, const ChunkIndex& index, KeyRing& keys) : catalog_(catalog), index_(index), keys_(keys) {}
  struct Worker;
  Result<Bytes> open_one(Worker& worker, const ChunkName& name, ByteView first_copy, const Error* first_error);
  Result<Bytes> open_bytes(Worker& worker, const ChunkName& name, ByteView stored);
  Status open_batch(Worker& worker, std::span<const ChunkName> names, std::size_t first, std::size_t count, std::vector<Opened>& out);

  StoreCatalog& catalog_;
  const ChunkIndex& index_;
  KeyRing& keys_;
  std::shared_ptr<const format::EpochSecrets> naming_;
  const crypto::Suite* suite_ = nullptr;
  std::atomic<std::uint64_t> bytes_read_{0};
  std::mutex mutex_;
  std::vector<Problem> problems_;
};

}  // namespace stele::restore
