#pragma once

#include "core/io/journal_reader.h"

/// How a journal directory is read: shared by the writer's recovery and by read_journal. Changes nothing on disk.
namespace stele::io {

/// A file of the journal whose header is intact.
struct JournalFile {
  std::string path;
  std::unique_ptr<File> file;
  std::uint64_t size = 0;
  JournalFileHeader header;
  std::optional<std::uint64_t> synced_end;  ///< known from the next file's header; none: this was the last one
  bool abandoned = false;
};

struct UnreadableFile {
  std::string path;
  std::uint64_t size = 0;
  std::string reason;
};

struct JournalDirectory {
  std::vector<JournalFile> chain;   ///< in sequence order: every file that may hold records that count
  std::vector<JournalFile> others;  ///< never used, or released before, or never got a record
  std::vector<UnreadableFile> unreadable;
  std::vector<JournalDamage> missing;   ///< files that the chain names and that are not there; in sequence order
  std::vector<std::string> unfinished;  ///< paths of files that were being created
  std::uint64_t highest_name = 0;
};

/// The name of a journal file, from its number.
std::string journal_file_name(std::uint64_t number);
inline constexpr std::string_view kUnfinishedSuffix = ".new";

/// Opens every journal file and orders them. kUnsupported when one is of another version.
Result<JournalDirectory> scan_directory(FileSystem& fs, const std::string& directory, OpenMode mode);

/// The header: two copies, the first written first. The newer intact one counts; kDamaged when neither is intact.
Result<JournalFileHeader> read_journal_header(File& file);

struct ScannedRecord {
  std::uint64_t offset = 0;
  ByteView payload;
};

struct ScannedBatch {
  std::uint64_t offset = 0;
  Bytes bytes;                         ///< as on disk, without padding
  std::vector<ScannedRecord> records;  ///< views into `bytes`
};

struct FileScan {
  std::uint64_t end = kJournalDataStart;  ///< behind the last byte that counts (with damage: that was written)
  std::optional<JournalDamage> damage;
  bool unreadable = false;  ///< the damage is bytes that the disk does not give: the file is not to be used again
  bool torn = false;
};

/// Gives the file's batches in order, up to the synced end, the torn tail or the first damage (then also what is intact
/// of that batch).
Result<FileScan> scan_file(const JournalFile& file, const std::function<Status(ScannedBatch)>& on_batch);

}  // namespace stele::io
