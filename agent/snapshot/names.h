#pragma once

#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

#include "core/format/manifest.h"

namespace stele::agent {

/// Puts chunk names, which workers compute in any order, back into the order of the files, and cuts them into lists.
/// Holds the names of the list under construction and of the chunks behind the first one that is missing. Pure; not
/// thread-safe.
class NameOrder {
 public:
  /// The name of the chunk with this number (0, 1, 2, ..., each once). Appends every list that became full.
  void add(std::uint64_t index, const ChunkName& name, std::vector<format::ChunkList>& full);
  /// Names behind all others; then the last, shorter list. Every number below count() must have come: kInternal
  /// otherwise.
  Status finish(const std::vector<ChunkName>& tail, std::vector<format::ChunkList>& full);
  /// Names in order so far.
  std::uint64_t count() const { return count_; }

 private:
  void append(const ChunkName& name, std::vector<format::ChunkList>& full);
  std::deque<std::optional<ChunkName>> window_;  ///< element 0 has the number count_
  std::uint64_t count_ = 0;
  format::ChunkList list_;
};

/// Names dealt with in this snapshot, so that a chunk that occurs twice is asked for and sent once. Bounded: old names
/// are forgotten and then asked for again, which costs a lookup, or, while their pack is under way, a second copy. Not
/// thread-safe.
class RecentNames {
 public:
  explicit RecentNames(std::size_t capacity) : half_(std::max<std::size_t>(capacity / 2, 1)) {}
  /// True when the name is new.
  bool insert(const ChunkName& name);

 private:
  const std::size_t half_;
  std::unordered_set<ChunkName> young_, old_;
};

}  // namespace stele::agent
