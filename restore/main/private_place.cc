#include "restore/main/private_place.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "core/io/durable_file.h"

namespace stele::restore {

namespace fs = std::filesystem;

namespace {

std::string lock_of(const std::string& path) { return path + ".lock"; }

/// Those whose lock nobody holds. Only locks that this user made count.
void remove_leftovers(const std::string& base, const std::string& kind) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(base, ec)) {
    const std::string lock_path = entry.path().string(), name = entry.path().filename().string();
    if (!name.starts_with(kind + "-") || !name.ends_with(".lock")) continue;
    const int lock = ::open(lock_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0) continue;
    struct stat owner {};
    if (::fstat(lock, &owner) == 0 && owner.st_uid == ::geteuid() && ::flock(lock, LOCK_EX | LOCK_NB) == 0) {
      fs::remove_all(lock_path.substr(0, lock_path.size() - lock_of("").size()), ec);
      if (!ec) ::unlink(lock_path.c_str());
    }
    ::close(lock);
  }
}

}  // namespace

Status make_passable_directory(io::FileSystem& fs, const std::string& path) {
  STELE_CHECK(io::make_directories_durably(fs, path));
  if (::chmod(path.c_str(), 0711) != 0) return system_error("change the mode of", path, errno);
  return {};
}

Result<PrivatePlace> PrivatePlace::make(const std::string& base, const std::string& kind) {
  remove_leftovers(base, kind);
  std::string path = fmt::format("{}/{}-XXXXXX", base, kind);
  if (::mkdtemp(path.data()) == nullptr) return system_error("make a private directory in", base, errno);
  const int lock = ::open(lock_of(path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const Error error = system_error("lock", path, errno);
    if (lock >= 0) ::close(lock);
    ::rmdir(path.c_str());
    return error;
  }
  return PrivatePlace(std::move(path), lock);
}

PrivatePlace::PrivatePlace(PrivatePlace&& other) noexcept : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) { other.path_.clear(); }

PrivatePlace::~PrivatePlace() { (void)remove(); }

Status PrivatePlace::remove() {
  if (path_.empty()) return {};
  std::error_code ec;
  fs::remove_all(path_, ec);
  if (ec) return Error{ErrorCode::kIo, fmt::format("remove {}: {}", path_, ec.message()), "it holds restored data in the clear: remove it by hand"};
  ::unlink(lock_of(path_).c_str());
  path_.clear();
  if (lock_ >= 0) ::close(std::exchange(lock_, -1));
  return {};
}

}  // namespace stele::restore
