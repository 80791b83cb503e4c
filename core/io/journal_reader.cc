#include "core/io/journal_reader.h"

#include <fmt/format.h>

#include "core/io/journal_scan.h"

namespace stele::io {

Error JournalDamage::error() const {
  return Error{ErrorCode::kDamaged,
               fmt::format("journal {}: bytes {} to {} of file {} are lost: {}", path, from, to, file, reason),
               "what was acknowledged there must come from another receiver; keep the file and look at the disk"};
}

namespace {

std::map<std::string, std::uint64_t> fingerprint(const JournalDirectory& directory) {
  std::map<std::string, std::uint64_t> out;
  for (const auto* files : {&directory.chain, &directory.others}) {
    for (const JournalFile& file : *files) out[file.path] = file.header.incarnation;
  }
  for (const UnreadableFile& file : directory.unreadable) out[file.path] = 0;
  return out;
}

/// A picture of the headers at one moment: two passes that agree.
Result<JournalDirectory> stable_directory(FileSystem& fs, const std::string& path) {
  constexpr int kTries = 20;
  STELE_TRY(JournalDirectory before, scan_directory(fs, path, OpenMode::kRead));
  for (int i = 0; i < kTries; ++i) {
    STELE_TRY(JournalDirectory after, scan_directory(fs, path, OpenMode::kRead));
    if (fingerprint(before) == fingerprint(after)) return after;
    before = std::move(after);
  }
  return Error{ErrorCode::kTemporary,
               fmt::format("read journal {}: its files change faster than they can be listed", path), "try again"};
}

}  // namespace

Result<JournalSummary> read_journal(FileSystem& fs, const std::string& directory, const JournalVisitor& visitor) {
  STELE_TRY(JournalDirectory found, stable_directory(fs, directory));
  JournalSummary summary;
  const auto damage = [&](const JournalDamage& what) {
    ++summary.damages;
    return visitor.on_damage(what);
  };
  for (const UnreadableFile& file : found.unreadable) STELE_CHECK(damage({file.path, 0, 0, file.size, file.reason}));

  auto missing = found.missing.begin();
  for (const JournalFile& file : found.chain) {
    for (; missing != found.missing.end() && missing->file < file.header.sequence; ++missing)
      STELE_CHECK(damage(*missing));
    auto scan = scan_file(file, [&](ScannedBatch batch) -> Status {
      for (const ScannedRecord& record : batch.records) {
        ++summary.records;
        summary.bytes += record.payload.size();
        STELE_CHECK(visitor.on_record({file.header.sequence, record.offset}, record.payload));
      }
      return {};
    });
    if (!scan.ok()) return scan.error();
    summary.torn_tail |= scan->torn;
    // Reused while we read: all its records were released before, so a mismatch is no damage.
    auto now = read_journal_header(*file.file);
    if (!now.ok() && now.error().code != ErrorCode::kDamaged) return now.error();
    if (now.ok() && now->incarnation != file.header.incarnation) {
      summary.recycled = true;
    } else if (scan->damage) {
      STELE_CHECK(damage(*scan->damage));
    }
  }
  return summary;
}

}  // namespace stele::io
