#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/base/identity.h"
#include "core/base/time.h"
#include "core/format/frame.h"
#include "core/format/manifest.h"
#include "core/format/object_names.h"
#include "receiver/catalog/key_values.h"

namespace stele::receiver {

struct ObjectEntry {
  std::string name;
  std::uint64_t size = 0;
  Timestamp received;  ///< the receiver's clock; after `reindex` the time of that, where the object does not carry it
};

/// One copy of a chunk.
struct ChunkPlace {
  ObjectId pack;
  std::uint32_t offset = 0, size = 0;
  auto operator<=>(const ChunkPlace&) const = default;
};

/// A sealed run, as its head and its last frame say.
struct RunEntry {
  format::RunName name;
  std::uint64_t size = 0;
  Timestamp received;
  JoinTag join_start;
  Timestamp min_commit, max_commit, last_server_time;
  format::FrameHeader last;  ///< the last frame's header
  Digest head;               ///< hash of that header: the chain head
};

struct SnapshotEntry {
  std::string name;  ///< of the manifest object
  Digest digest;     ///< of the manifest record
  StreamId stream;
  SnapshotId snapshot;
  Position start, stop;
  Timestamp started, finished;
  std::uint64_t raw_bytes = 0, new_bytes = 0, chunk_count = 0;
  std::uint32_t damaged_pages = 0;
  bool full = false;
};

/// The receiver's index over its store. A copy: everything in it is made from objects by index_object(), and made again by `reindex`.
/// Thread-safe; calls block on a disk. Keys and values: CATALOG.md.
class Catalog {
 public:
  explicit Catalog(std::unique_ptr<KeyValues> values) : values_(std::move(values)) {}

  /// What the catalog says about one object, in one atomic write: object, and what is inside (chunks, run, snapshot, record).
  /// kDamaged when the bytes are not what the name says; signatures are not looked at here.
  Status add_object(std::string_view name, ByteView bytes, Timestamp received);
  /// The changes that add_object would make.
  static Result<std::vector<Change>> changes_of(std::string_view name, ByteView bytes, Timestamp received);
  Status write(const std::vector<Change>& changes) { return values_->write(changes); }
  /// The object is not in the store any more: its entry goes, and what is inside with it. Of packs, forget_packs() comes first.
  Status remove_object(std::string_view name);
  /// No chunk lies in these packs any more. Gives the names, in order, that have no copy left now, those of earlier calls included. Looks at
  /// every chunk of the database.
  Result<std::vector<ChunkName>> forget_packs(const DatabaseName& database, const std::set<ObjectId>& packs);

  /// By name, larger than `after`, at most `limit`; `more` says whether there are others.
  Result<std::vector<ObjectEntry>> objects(std::string_view prefix, std::string_view after, std::size_t limit, bool& more);
  Result<bool> has_object(std::string_view name);
  Result<std::vector<bool>> know_chunks(const DatabaseName& database, std::span<const ChunkName> names);
  /// All copies, without repetition. Empty: unknown.
  Result<std::vector<ChunkPlace>> chunk_places(const DatabaseName& database, const ChunkName& name);
  Status visit_runs(const DatabaseName& database, const std::function<void(const RunEntry&)>& visit);
  Result<std::vector<SnapshotEntry>> snapshots(const DatabaseName& database);
  /// Stored bytes of every record (CATALOG.md, `t`) by object name.
  Result<std::vector<std::pair<std::string, Bytes>>> records(const DatabaseName& database);
  /// Reads all of it; an error when something cannot be read.
  Status check();
  /// Every key and value, for comparison.
  Result<std::map<std::string, std::string>> dump();

 private:
  std::unique_ptr<KeyValues> values_;
};

}  // namespace stele::receiver
