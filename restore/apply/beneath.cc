#include "restore/apply/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "core/format/manifest.h"

namespace stele::restore {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Status FileDescriptor::close(std::string_view path) {
  const int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0) return system_error("close", path, errno);
  return {};
}

Status write_fully(int fd, std::uint64_t offset, ByteView bytes, std::string_view path) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write", path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<BeneathDirectory> BeneathDirectory::open(const std::string& path) {
  FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return system_error("open directory", path, errno);
  BeneathDirectory out(std::move(fd), path);
  auto probe = out.open_beneath(".", O_PATH | O_DIRECTORY, 0);
  if (!probe.ok()) return probe.error();
  return out;
}

Result<FileDescriptor> BeneathDirectory::open_beneath(const std::string& path, std::uint64_t flags, mode_t mode) const {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  while (true) {
    const long fd = ::syscall(SYS_openat2, fd_.get(), path.c_str(), &how, sizeof(how));
    if (fd >= 0) return FileDescriptor(static_cast<int>(fd));
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == ENOSYS) return Error{ErrorCode::kUnsupported, "this kernel has no openat2, without which restored names cannot be kept inside the target", "use Linux 5.6 or newer"};
    if (errno == EXDEV || errno == ELOOP) {
      return Error{ErrorCode::kForged, fmt::format("{}/{}: the path leads out of the target", path_, path), "a link stands where the restore writes; use a fresh directory"};
    }
    return system_error("open", fmt::format("{}/{}", path_, path), errno);
  }
}

Result<FileDescriptor> BeneathDirectory::open_parent(const std::string& path, std::string& name) const {
  if (!format::is_safe_relative_path(path)) return Error{ErrorCode::kDamaged, fmt::format("a path that leaves the target directory: {} bytes", path.size()), ""};
  const std::size_t slash = path.rfind('/');
  name = slash == std::string::npos ? path : path.substr(slash + 1);
  return open_beneath(slash == std::string::npos ? "." : path.substr(0, slash), O_PATH | O_DIRECTORY, 0);
}

Status BeneathDirectory::make_directory(const std::string& path, mode_t mode) const {
  std::string name;
  STELE_TRY(const FileDescriptor parent, open_parent(path, name));
  if (::mkdirat(parent.get(), name.c_str(), mode) != 0) return system_error("make directory", fmt::format("{}/{}", path_, path), errno);
  return {};
}

Result<FileDescriptor> BeneathDirectory::create_file(const std::string& path, mode_t mode) const {
  if (!format::is_safe_relative_path(path)) return Error{ErrorCode::kDamaged, "a path that leaves the target directory", ""};
  return open_beneath(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

Result<FileDescriptor> BeneathDirectory::open_file(const std::string& path) const {
  if (!format::is_safe_relative_path(path)) return Error{ErrorCode::kDamaged, "a path that leaves the target directory", ""};
  return open_beneath(path, O_WRONLY | O_NOFOLLOW, 0);
}

Result<FileDescriptor> BeneathDirectory::open_existing(const std::string& path) const {
  if (!format::is_safe_relative_path(path)) return Error{ErrorCode::kDamaged, "a path that leaves the target directory", ""};
  return open_beneath(path, O_RDWR | O_NOFOLLOW, 0);
}

Result<std::vector<BeneathDirectory::Entry>> BeneathDirectory::list(const std::string& path) const {
  STELE_TRY(FileDescriptor fd, open_beneath(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0));
  DIR* directory = ::fdopendir(fd.get());
  if (directory == nullptr) return system_error("list", fmt::format("{}/{}", path_, path), errno);
  fd.release();
  std::vector<Entry> out;
  std::optional<Error> failed;
  while (!failed) {
    errno = 0;
    const dirent* found = ::readdir(directory);
    if (found == nullptr) {
      if (errno != 0) failed = system_error("list", fmt::format("{}/{}", path_, path), errno);
      break;
    }
    Entry entry;
    entry.name = found->d_name;
    if (entry.name == "." || entry.name == "..") continue;
    struct stat info {};
    if (::fstatat(::dirfd(directory), found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      failed = system_error("look at", fmt::format("{}/{}/{}", path_, path, entry.name), errno);
      break;
    }
    entry.type = info.st_mode & S_IFMT;
    entry.links = info.st_nlink;
    entry.size = static_cast<std::uint64_t>(info.st_size);
    if (entry.type == S_IFLNK) {
      std::string target(4096, '\0');
      const ssize_t n = ::readlinkat(::dirfd(directory), found->d_name, target.data(), target.size());
      target.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
      entry.target = std::move(target);
    }
    out.push_back(std::move(entry));
  }
  ::closedir(directory);
  if (failed) return *failed;
  return out;
}

Status BeneathDirectory::remove(const std::string& path) const {
  std::string name;
  STELE_TRY(const FileDescriptor parent, open_parent(path, name));
  if (::unlinkat(parent.get(), name.c_str(), 0) == 0) return {};
  if (errno != EISDIR && errno != EPERM) return system_error("remove", fmt::format("{}/{}", path_, path), errno);
  STELE_TRY(const std::vector<Entry> inner, list(path));
  for (const Entry& entry : inner) STELE_CHECK(remove(path + "/" + entry.name));
  if (::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR) != 0) return system_error("remove", fmt::format("{}/{}", path_, path), errno);
  return {};
}

Status BeneathDirectory::make_link(const std::string& path, const std::string& target) const {
  std::string name;
  STELE_TRY(const FileDescriptor parent, open_parent(path, name));
  if (::symlinkat(target.c_str(), parent.get(), name.c_str()) != 0) return system_error("make link", fmt::format("{}/{}", path_, path), errno);
  return {};
}

Result<bool> BeneathDirectory::exists(const std::string& path) const {
  auto fd = open_beneath(path, O_PATH | O_NOFOLLOW, 0);
  if (fd.ok()) return true;
  if (fd.error().code == ErrorCode::kNotFound) return false;
  return fd.error();
}

Status BeneathDirectory::set_mode(const std::string& path, mode_t mode) const {
  STELE_TRY(const FileDescriptor fd, open_beneath(path, O_RDONLY | O_NOFOLLOW, 0));
  if (::fchmod(fd.get(), mode) != 0) return system_error("set the mode of", fmt::format("{}/{}", path_, path), errno);
  return {};
}

Status BeneathDirectory::sync_directory(const std::string& path) const {
  STELE_TRY(const FileDescriptor fd, open_beneath(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY, 0));
  if (::fsync(fd.get()) != 0) return system_error("sync", fmt::format("{}/{}", path_, path), errno);
  return {};
}

Status BeneathDirectory::sync_file_system() const {
  if (::syncfs(fd_.get()) != 0) return system_error("sync the file system of", path_, errno);
  return {};
}

}  // namespace stele::restore
