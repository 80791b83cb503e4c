#pragma once

#include <functional>

#include "core/io/file_system.h"
#include "core/io/journal_format.h"

namespace stele::io {

/// Where a record lies; ordered as the records were appended. Valid until the record is released, within one opening of
/// the journal: keep it in memory only.
struct RecordId {
  std::uint64_t file = 0;    ///< the sequence of the journal file
  std::uint64_t offset = 0;  ///< of the record's header in it
  auto operator<=>(const RecordId&) const = default;
};

/// Bytes that were acknowledged and are not readable any more. Never the torn end of an unfinished write.
struct JournalDamage {
  std::string path;        ///< the file, or the directory when a file is missing
  std::uint64_t file = 0;  ///< sequence; 0 when the file's header is unreadable
  std::uint64_t from = 0;  ///< first lost byte
  std::uint64_t to = 0;    ///< end of the lost range
  std::string reason;
  /// kDamaged with file, range and reason.
  Error error() const;
};

/// Gets what a journal holds, in append order. An error returned from either stops the reading and becomes its result.
struct JournalVisitor {
  std::function<Status(RecordId, ByteView payload)> on_record;
  /// Called where the lost records would have come. Records behind the damage in the same file are lost with it; later
  /// files follow.
  std::function<Status(const JournalDamage&)> on_damage;
};

struct JournalSummary {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< of payloads
  std::uint64_t damages = 0;
  bool torn_tail = false;  ///< the last write was unfinished: never acknowledged, no damage
  bool recycled =
      false;  ///< the writer reused a file while it was being read: its records are in the store; list the store again
};

/// Reads a journal without changing anything, also while another process writes it and after that process died with an
/// unfinished write. No lock is taken. Records that were released may still appear. kNotFound when the directory does
/// not exist. Blocks on the disk; memory: one batch (at most 16 MiB).
Result<JournalSummary> read_journal(FileSystem& fs, const std::string& directory, const JournalVisitor& visitor);

}  // namespace stele::io
