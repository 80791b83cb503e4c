#pragma once

#include <map>
#include <optional>

#include "core/format/frame.h"
#include "core/io/journal_reader.h"
#include "restore/trust/trust_store.h"

namespace stele::restore {

/// Frames of one object that are in a receiver's journal, by number.
struct JournalObject {
  std::map<std::uint32_t, format::Frame> frames;
  Timestamp received;  ///< the latest
};

/// What a store directory's journal holds of one database.
struct JournalContent {
  std::map<ObjectId, JournalObject> objects;
  std::vector<Problem> problems;
};

/// Databases that appear in the journal, sorted.
Result<std::vector<DatabaseName>> databases_in_journal(io::FileSystem& fs, const std::string& directory);

/// Reads a journal without changing it, also while its receiver runs and with a torn tail. Keeps the frames of this database in memory
/// (at most what the receiver has not sealed yet). Damage becomes a problem. A missing directory holds nothing.
Result<JournalContent> read_journal_frames(io::FileSystem& fs, const std::string& directory, const DatabaseName& database);

}  // namespace stele::restore
