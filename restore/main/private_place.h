#pragma once

#include <string>

#include "core/io/file_system.h"

namespace stele::restore {

/// Makes a directory (and those above it) in which places may be made: others pass to what is theirs, and see nothing else (mode 0711).
Status make_passable_directory(io::FileSystem& fs, const std::string& path);

/// A directory that nobody else enters (mode 0700; it may be given to the server's user) and that is gone with the object, with all that is in
/// it. Its lock, a file beside it, dies with this process: what a killed one left behind is removed by the next that makes a place of this kind
/// there.
class PrivatePlace {
 public:
  /// BASE/KIND-XXXXXX. `base` must exist.
  static Result<PrivatePlace> make(const std::string& base, const std::string& kind);
  ~PrivatePlace();
  PrivatePlace(PrivatePlace&& other) noexcept;
  PrivatePlace& operator=(PrivatePlace&&) = delete;

  const std::string& path() const { return path_; }
  /// Removes it now; kIo when something could not be removed.
  Status remove();

 private:
  PrivatePlace(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_ = -1;
};

}  // namespace stele::restore
