#pragma once

#include <optional>

#include "core/format/manifest.h"

namespace stele::agent {

/// The file table in pieces of whole entries, each becomes a chunk. Pure.
class FileTable {
 public:
  explicit FileTable(std::size_t chunk_bytes) : chunk_bytes_(chunk_bytes) {}
  /// A piece that became full, if this entry does not fit behind the ones before.
  std::optional<Bytes> add(const format::FileEntry& entry);
  /// The last piece; none for a table without entries.
  std::optional<Bytes> finish();
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t entries() const { return entries_; }

 private:
  const std::size_t chunk_bytes_;
  Bytes piece_, entry_;
  std::uint64_t bytes_ = 0, entries_ = 0;
};

}  // namespace stele::agent
