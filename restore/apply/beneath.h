#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"

namespace stele::restore {

/// A file descriptor that closes itself.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  /// Gives the descriptor away.
  int release() { return std::exchange(fd_, -1); }
  /// Closes and tells about a failure.
  Status close(std::string_view path);

 private:
  int fd_;
};

/// A directory under which files are made and nowhere else: every path is opened by openat2(2) with RESOLVE_BENEATH and
/// RESOLVE_NO_SYMLINKS, so that no name of a manifest, and no link that somebody put there, leads out (TRUST.md section 4). Thread-safe.
class BeneathDirectory {
 public:
  /// An existing directory. kUnsupported where the kernel has no openat2 (before Linux 5.6).
  static Result<BeneathDirectory> open(const std::string& path);

  /// A relative path that is_safe_relative_path accepts; kDamaged otherwise. Missing parents are an error.
  Status make_directory(const std::string& path, mode_t mode) const;
  /// Creates a file that must not exist. 
  Result<FileDescriptor> create_file(const std::string& path, mode_t mode) const;
  /// Opens a file made before, for writing.
  Result<FileDescriptor> open_file(const std::string& path) const;
  /// Opens a file that stood here before, for reading and writing.
  Result<FileDescriptor> open_existing(const std::string& path) const;
  /// A symbolic link in an existing directory.
  Status make_link(const std::string& path, const std::string& target) const;
  Result<bool> exists(const std::string& path) const;
  /// What a directory beneath ("" the directory itself) holds, without following links.
  struct Entry {
    std::string name;
    mode_t type = 0;          ///< S_IFREG, S_IFDIR, S_IFLNK, ...
    std::uint64_t links = 1;  ///< hard links
    std::uint64_t size = 0;
    std::string target;       ///< of a symbolic link
  };
  Result<std::vector<Entry>> list(const std::string& path) const;
  /// Removes a file or link, or a directory with everything in it; links are never followed.
  Status remove(const std::string& path) const;
  Status set_mode(const std::string& path, mode_t mode) const;
  /// fsync of a directory beneath ("" the directory itself).
  Status sync_directory(const std::string& path) const;
  /// syncfs: everything written so far on this file system is durable; reports errors of earlier writes (Linux 5.8).
  Status sync_file_system() const;
  const std::string& path() const { return path_; }

 private:
  BeneathDirectory(FileDescriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Result<FileDescriptor> open_beneath(const std::string& path, std::uint64_t flags, mode_t mode) const;
  /// The parent of `path`, opened, and the last component.
  Result<FileDescriptor> open_parent(const std::string& path, std::string& name) const;
  FileDescriptor fd_;
  std::string path_;
};

/// Writes all bytes at an offset.
Status write_fully(int fd, std::uint64_t offset, ByteView bytes, std::string_view path);

}  // namespace stele::restore
