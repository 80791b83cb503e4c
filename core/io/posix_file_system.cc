#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/io/file_system.h"

namespace stele::io {

namespace {

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Opens, again after a signal.
int open_retry(const char* path, int flags, mode_t mode = 0) {
  int fd;
  do {
    fd = ::open(path, flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status sync_data() override {
    // Not repeated, also not after EINTR: after a failed sync a second one says nothing about the first one's pages.
    if (::fdatasync(fd_.get()) != 0) return system_error("fdatasync", path_, errno);
    return {};
  }
  Status sync() override {
    if (::fsync(fd_.get()) != 0) return system_error("fsync", path_, errno);
    return {};
  }
  Result<std::uint64_t> size() override {
    struct stat st;
    if (::fstat(fd_.get(), &st) != 0) return system_error("fstat", path_, errno);
    return static_cast<std::uint64_t>(st.st_size);
  }
  const std::string& path() const override { return path_; }

 protected:
  Result<std::size_t> read_some(std::uint64_t offset, MutableByteView out) override {
    ssize_t n;
    do {
      n = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return system_error("read", path_, errno);
    return static_cast<std::size_t>(n);
  }

  Result<std::size_t> write_some(std::uint64_t offset, std::span<const ByteView> pieces) override {
    constexpr std::size_t kMost = 256;  // well below IOV_MAX
    iovec vectors[kMost];
    std::size_t count = std::min(pieces.size(), kMost);
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<std::uint8_t*>(pieces[i].data()), pieces[i].size()};
    }
    ssize_t n;
    do {
      n = ::pwritev(fd_.get(), vectors, static_cast<int>(count), static_cast<off_t>(offset));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return system_error("write", path_, errno);
    return static_cast<std::size_t>(n);
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  Descriptor fd_;
};

FileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::kFile;
  if (S_ISDIR(mode)) return FileKind::kDirectory;
  return FileKind::kOther;
}

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode) {
  int flags = mode == OpenMode::kRead ? O_RDONLY : O_RDWR;
  if (mode == OpenMode::kCreateExclusive) flags |= O_CREAT | O_EXCL;
  Descriptor fd(open_retry(path.c_str(), flags, 0600));
  if (fd.get() < 0) return system_error(mode == OpenMode::kCreateExclusive ? "create" : "open", path, errno);
  return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(fd), path));
}

Status PosixFileSystem::make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) return system_error("make directory", path, errno);
  return {};
}

Result<std::vector<DirectoryEntry>> PosixFileSystem::list_directory(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return system_error("list directory", path, errno);
  std::unique_ptr<DIR, int (*)(DIR*)> closer(directory, &::closedir);
  std::vector<DirectoryEntry> out;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(directory);
    if (entry == nullptr) {
      if (errno != 0) return system_error("list directory", path, errno);
      return out;
    }
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    FileKind kind = FileKind::kOther;
    if (entry->d_type == DT_REG) {
      kind = FileKind::kFile;
    } else if (entry->d_type == DT_DIR) {
      kind = FileKind::kDirectory;
    } else if (entry->d_type == DT_UNKNOWN) {  // some file systems do not tell
      struct stat st;
      if (::fstatat(::dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // removed since
        return system_error("stat", path + "/" + name, errno);
      }
      kind = kind_of(st.st_mode);
    }
    out.push_back({std::move(name), kind});
  }
}

Status PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error("rename to " + to, from, errno);
  return {};
}

Status PosixFileSystem::link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) != 0) return system_error("link " + from + " to", to, errno);
  return {};
}

Status PosixFileSystem::unlink(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return system_error("remove", path, errno);
  return {};
}

Status PosixFileSystem::remove_directory(const std::string& path) {
  if (::rmdir(path.c_str()) != 0) return system_error("remove directory", path, errno);
  return {};
}

Status PosixFileSystem::sync_directory(const std::string& path) {
  Descriptor fd(open_retry(path.c_str(), O_RDONLY | O_DIRECTORY));
  if (fd.get() < 0) return system_error("open directory", path, errno);
  if (::fsync(fd.get()) != 0) return system_error("fsync directory", path, errno);
  return {};
}

Result<FileInfo> PosixFileSystem::info(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return system_error("stat", path, errno);
  return FileInfo{kind_of(st.st_mode), static_cast<std::uint64_t>(st.st_size)};
}

Result<std::uint64_t> PosixFileSystem::free_bytes(const std::string& path) {
  struct statvfs st;
  if (::statvfs(path.c_str(), &st) != 0) return system_error("statvfs", path, errno);
  return static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::try_lock(const std::string& path, std::string_view holder) {
  Descriptor fd(open_retry(path.c_str(), O_RDWR | O_CREAT, 0600));
  if (fd.get() < 0) return system_error("open lock", path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock", path, errno);
    char text[128];
    ssize_t n = ::pread(fd.get(), text, sizeof(text), 0);
    std::string who(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    return Error{ErrorCode::kTemporary, "lock " + path + ": held by " + (who.empty() ? "another process" : who),
                 "two programs must not use one directory; stop the other one"};
  }
  // The text is for people; a lock without it is still a lock, so a full disk here is an error only because it will be
  // one later.
  std::string text = std::string(holder).substr(0, 96) + ", pid " + std::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return system_error("write lock", path, errno);
  }
  return std::unique_ptr<FileLock>(std::make_unique<PosixLock>(std::move(fd)));
}

}  // namespace stele::io
