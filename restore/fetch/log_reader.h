#pragma once

#include <functional>
#include <list>
#include <mutex>

#include "core/format/index_block.h"
#include "core/recovery/coverage.h"
#include "restore/catalog/store_catalog.h"
#include "restore/trust/key_ring.h"

namespace stele::restore {

/// The log of one object, verified and decoded.
struct DecodedObject {
  Position begin;
  Bytes bytes;
  std::optional<format::IndexBlock> index;  ///< when the last frame was read
  Position end() const { return begin + bytes.size(); }
};

/// Reads runs: authenticates every frame (hash, chain, signature up to the authority, tag) and gives the log bytes. What a run's head
/// claimed about positions, times and join tags is compared with the frames: kForged where it differs. Thread-safe; calls block on the store.
class LogReader {
 public:
  /// Both must outlive the reader.
  LogReader(const StoreCatalog& catalog, KeyRing& keys) : catalog_(catalog), keys_(keys) {}

  /// Decodes the runs (indexes into facts().runs, of one object, in frame order from frame 0 on).
  Result<DecodedObject> decode(const std::vector<std::size_t>& runs);
  /// The same for a piece of a plan, kept in a small cache: queries come back to the same objects.
  Result<std::shared_ptr<const DecodedObject>> decode_cached(const recovery::LogPiece& piece);

 private:
  Status read_run(std::size_t run, format::FrameChain& chain, const std::function<Status(const format::Frame&)>& on_frame);
  const StoreCatalog& catalog_;
  KeyRing& keys_;
  std::mutex mutex_;
  std::list<std::pair<std::vector<std::size_t>, std::shared_ptr<const DecodedObject>>> cache_;  ///< newest first
};

/// Tries a store operation again while its failure is temporary: five times, with growing pauses up to 2 s.
template <typename T>
Result<T> with_retries(const std::function<Result<T>()>& operation);
extern template Result<Bytes> with_retries<Bytes>(const std::function<Result<Bytes>()>&);

}  // namespace stele::restore
