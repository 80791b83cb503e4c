#pragma once

#include "restore/apply/beneath.h"
#include "restore/apply/existing_directory.h"
#include "restore/apply/tablespaces.h"
#include "restore/fetch/snapshot_reader.h"

namespace stele::restore {

/// Looks at the place of a restore before anything is written: the directory must not exist or be empty, and must not lie inside a
/// PostgreSQL data directory. Gives its absolute path, parent resolved. kExists, kUsage, kIo.
Result<std::string> check_target(const std::string& directory);
/// The same without asking whether something is there: for `--delta`.
Result<std::string> resolve_target(const std::string& directory);
/// kDiskFull unless the bytes for each path (and a reserve of 64 MiB) are free where it will be; paths on one file system count together.
Status check_free_space(const std::map<std::string, std::uint64_t>& bytes);

/// Names beside the data directory.
std::string marker_path(const std::string& directory);       ///< DIR.stele-incomplete
std::string staging_path(const std::string& directory);      ///< DIR.stele-wal
std::string extra_files_path(const std::string& directory);  ///< DIR.stele-extra

/// Makes a complete directory incomplete again: marker, then global/pg_control goes, so that no server starts on it. For one that turned out
/// not to be what was asked for; `run --delta` writes over it.
Status mark_incomplete(const std::string& directory, std::uint64_t system_identifier);

/// Writes a snapshot's files. In this order: the marker; directories, files and links; `finish_files` when all bytes are durable;
/// then whatever must come before the server may start (log, settings); `complete` writes global/pg_control and removes the marker.
/// Destroyed before `complete`, the marker stays and says what the directory is. write_file is thread-safe, the rest is not.
class DataDirectory {
 public:
  /// `directory` from check_target. Writes the marker and makes every directory. The file table was checked by its reader; paths are
  /// opened beneath the target only. kForged for two entries with one path or a file below a file.
  static Result<std::unique_ptr<DataDirectory>> begin(const std::string& directory, const std::vector<format::FileEntry>& files,
                                                      const std::vector<TablespaceTarget>& tablespaces, std::uint64_t system_identifier);
  /// The same over what stands there (`--delta`): marker first, then global/pg_control goes, then everything that is not in the file table;
  /// files that are stay with their content, cut or extended to their size.
  static Result<std::unique_ptr<DataDirectory>> begin_over(const ExistingDirectory& existing, const std::vector<format::FileEntry>& files,
                                                           const std::vector<TablespaceTarget>& tablespaces, std::uint64_t system_identifier);

  /// Reads what stood here before; 0 bytes of a file that did not, and of global/pg_control. Thread-safe.
  Result<std::size_t> read_existing(std::size_t file, std::uint64_t offset, MutableByteView out) const;
  /// Files, links and directories that begin_over removed.
  std::uint64_t removed() const { return removed_; }
  Status write_file(std::size_t file, std::uint64_t offset, ByteView bytes);
  /// Creates the backup_label from the manifest where the files had none, removes nothing; makes everything durable.
  Status finish_files(const std::string& backup_label);
  /// global/pg_control as the snapshot has it, not on disk yet. Empty: the snapshot has none.
  const Bytes& control_file() const { return control_; }
  /// `owner`: whom global/pg_control shall belong to (the rest was given away before).
  Status complete(std::optional<std::pair<uid_t, gid_t>> owner);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& extra_files() const { return extra_names_; }

 private:
  DataDirectory(std::string path, const std::vector<format::FileEntry>& files) : path_(std::move(path)), files_(files), stood_(files.size()) {}
  Status check_table(const std::vector<TablespaceTarget>& tablespaces);
  Status clear_foreign(const BeneathDirectory& root, std::uint32_t tablespace, const std::string& below);
  Status prepare_directory(const BeneathDirectory& root, const std::string& path, mode_t mode);
  Status make_directories(const std::vector<TablespaceTarget>& tablespaces);
  Status make_files();
  const BeneathDirectory& root_of(const format::FileEntry& entry, std::string& path) const;
  std::string path_;
  const std::vector<format::FileEntry>& files_;
  std::vector<std::pair<std::uint32_t, BeneathDirectory>> roots_;  ///< by tablespace OID; 0: the data directory
  std::optional<BeneathDirectory> extra_;
  std::vector<std::string> extra_names_;
  std::vector<TablespaceTarget> tablespaces_;
  const ExistingDirectory* existing_ = nullptr;  ///< while begin_over runs
  std::map<std::pair<std::uint32_t, std::string>, const format::FileEntry*> expected_;  ///< with it: what may stay, by tablespace and path
  std::vector<bool> stood_;
  std::uint64_t removed_ = 0;
  std::optional<std::size_t> control_index_;
  Bytes control_;
};

}  // namespace stele::restore
