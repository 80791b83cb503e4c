#pragma once

#include <memory>
#include <string>

#include "core/io/file_system.h"
#include "restore/drill/result.h"

namespace stele::restore {

/// Where one copy lies: DIRECTORY/ID with everything beneath, nothing of it elsewhere. One drill at a time in a directory; what an
/// interrupted one left is wiped first. Destroyed, it wipes. One thread.
class Place {
 public:
  /// kTemporary while another drill runs; kConfig for a path that is too long for a socket, or that holds something that is no copy.
  /// `cleared` gets what an earlier drill had left.
  static Result<std::unique_ptr<Place>> open(io::FileSystem& fs, const std::string& directory, const std::string& id, WipeProof& cleared);
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  const std::string& path() const { return path_; }
  std::string data_directory() const { return path_ + "/data"; }
  std::string tablespace_root() const { return path_ + "/tablespaces"; }
  std::string private_directory() const { return path_ + "/s"; }
  std::string server_log() const { return data_directory() + ".log"; }

  /// Removes the copy and looks whether anything is left. `processes_left` is not touched.
  Status wipe(WipeProof& proof);

 private:
  Place(std::string directory, std::string path, std::unique_ptr<io::FileLock> lock)
      : directory_(std::move(directory)), path_(std::move(path)), lock_(std::move(lock)) {}
  std::string directory_, path_;
  std::unique_ptr<io::FileLock> lock_;
  bool wiped_ = false;
};

/// Bytes that the files below `path` occupy; what vanishes meanwhile does not count.
std::uint64_t disk_usage(const std::string& path);

}  // namespace stele::restore
