#pragma once

#include "core/io/journal.h"

namespace stele::io {

/// A journal file in use, or ready for use. Guarded by Journal::mutex_, except `file`, `header` and `path`, which do
/// not change while the segment is known to others than its creator.
struct Journal::Segment {
  std::string path;
  std::shared_ptr<File> file;
  std::uint64_t size = 0;
  JournalFileHeader header;
  std::uint64_t end = kJournalDataStart;  ///< synced end, exact
  std::vector<std::uint32_t> records;     ///< offsets, ascending
  std::vector<bool> released;             ///< parallel to `records`
  std::size_t unreleased = 0;
  bool damaged = false;  ///< and the damage was not released
  bool abandoned = false;

  void add_record(std::uint64_t offset) {
    records.push_back(static_cast<std::uint32_t>(offset));
    released.push_back(false);
    ++unreleased;
  }
  void release(std::size_t index) {
    if (released[index]) return;
    released[index] = true;
    --unreleased;
  }
  /// Index of the record at `offset`, or records.size().
  std::size_t find(std::uint64_t offset) const {
    auto at = std::lower_bound(records.begin(), records.end(), offset);
    return at != records.end() && *at == offset ? static_cast<std::size_t>(at - records.begin()) : records.size();
  }
};

}  // namespace stele::io
