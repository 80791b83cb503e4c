#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace stele::io {

/// An open file. Owned by one holder; `read_at` may be called from several threads at once, also beside one writer;
/// everything else by one thread at a time. Destroying it closes it (a failure of that close is not reported: sync
/// before, it is what counts).
class File {
 public:
  virtual ~File() = default;

  /// Reads up to out.size() bytes at `offset`; fewer only at the end of the file.
  Result<std::size_t> read_at(std::uint64_t offset, MutableByteView out);
  /// Exactly `size` bytes; kDamaged when the file ends before. The caller has checked `size` against a limit.
  Result<Bytes> read_exactly(std::uint64_t offset, std::size_t size);
  /// Writes all bytes at `offset`. After a failure the content of the range is unknown.
  Status write_at(std::uint64_t offset, ByteView bytes);
  /// Writes the pieces one behind the other at `offset` (gathered, not copied).
  Status write_at(std::uint64_t offset, std::span<const ByteView> pieces);
  /// Writes zeros over the range, really (no hole, no unwritten extent), so that later writes change no metadata.
  Status fill_zero(std::uint64_t offset, std::uint64_t size);

  /// fdatasync: content, and the size where it changed. After a failure nothing written since the last success may be
  /// trusted, and a later success proves nothing (Linux marks the pages clean).
  virtual Status sync_data() = 0;
  /// fsync.
  virtual Status sync() = 0;
  virtual Result<std::uint64_t> size() = 0;
  /// The path it was opened under, for messages.
  virtual const std::string& path() const = 0;

 protected:
  /// One system call; 0 means the end of the file.
  virtual Result<std::size_t> read_some(std::uint64_t offset, MutableByteView out) = 0;
  /// One system call; may write less than given, at least one byte when `pieces` is not empty.
  virtual Result<std::size_t> write_some(std::uint64_t offset, std::span<const ByteView> pieces) = 0;
};

/// An exclusive lock on a file, given back when destroyed or when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,             ///< must exist
  kReadWrite,        ///< must exist
  kCreateExclusive,  ///< read and write, mode 0600; kExists when the name is taken
};

enum class FileKind { kFile, kDirectory, kOther };

struct DirectoryEntry {
  std::string name;
  FileKind kind = FileKind::kOther;
};

struct FileInfo {
  FileKind kind = FileKind::kOther;
  std::uint64_t size = 0;
};

/// The seam for the disk: the only road to files for everything that must survive a crash. Thread-safe. Paths are the
/// host's; symbolic links in the last component are not followed by `info`. Errors come from system_error(): kNotFound,
/// kExists, kDiskFull, kIo.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  /// Mode 0700; kExists when the name is taken. Durable only after `sync_directory` of the parent.
  virtual Status make_directory(const std::string& path) = 0;
  /// Names in no order, without "." and "..".
  virtual Result<std::vector<DirectoryEntry>> list_directory(const std::string& path) = 0;
  /// Replaces `to` when it exists.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// A second name for the same file; kExists when the name is taken: the way to write once.
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Status unlink(const std::string& path) = 0;
  virtual Status remove_directory(const std::string& path) = 0;
  /// Makes the names in a directory durable.
  virtual Status sync_directory(const std::string& path) = 0;
  /// kNotFound when nothing has this name.
  virtual Result<FileInfo> info(const std::string& path) = 0;
  /// Bytes that this user may still write on the file system of `path`.
  virtual Result<std::uint64_t> free_bytes(const std::string& path) = 0;
  /// Creates the file when needed and locks it (flock), or kTemporary naming the holder as it wrote itself into the
  /// file.
  virtual Result<std::unique_ptr<FileLock>> try_lock(const std::string& path, std::string_view holder) = 0;

  Result<bool> exists(const std::string& path);
};

/// The host's file system.
class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status make_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status unlink(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> try_lock(const std::string& path, std::string_view holder) override;
};

}  // namespace stele::io
