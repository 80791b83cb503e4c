#include "agent/snapshot/file_table.h"

#include <utility>

namespace stele::agent {

std::optional<Bytes> FileTable::add(const format::FileEntry& entry) {
  entry_.clear();
  format::encode_file_entry(entry, entry_);
  std::optional<Bytes> full;
  if (!piece_.empty() && piece_.size() + entry_.size() > chunk_bytes_) full = std::exchange(piece_, {});
  piece_.insert(piece_.end(), entry_.begin(), entry_.end());
  bytes_ += entry_.size();
  ++entries_;
  return full;
}

std::optional<Bytes> FileTable::finish() {
  if (piece_.empty()) return std::nullopt;
  return std::exchange(piece_, {});
}

}  // namespace stele::agent
