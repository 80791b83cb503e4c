#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "core/config/values.h"
#include "restore/apply/data_directory.h"

namespace stele::restore {

namespace fs = std::filesystem;

std::string marker_path(const std::string& directory) { return directory + ".stele-incomplete"; }
std::string staging_path(const std::string& directory) { return directory + ".stele-wal"; }
std::string extra_files_path(const std::string& directory) { return directory + ".stele-extra"; }

Result<std::string> resolve_target(const std::string& directory) {
  std::error_code ec;
  fs::path path = fs::absolute(directory, ec).lexically_normal();
  if (ec || directory.empty()) return Error{ErrorCode::kUsage, fmt::format("--into {}: not a directory name", directory), ""};
  if (!path.has_filename()) path = path.parent_path();
  if (path == path.root_path()) return Error{ErrorCode::kUsage, "--into /: not a directory for a database", ""};
  const fs::path parent = fs::canonical(path.parent_path(), ec);
  if (ec) return Error{ErrorCode::kNotFound, fmt::format("{}: {}", path.parent_path().string(), ec.message()), "create the parent directory first"};
  path = parent / path.filename();
  const fs::file_status status = fs::symlink_status(path, ec);
  if (fs::exists(status) && !fs::is_directory(status)) return Error{ErrorCode::kExists, fmt::format("{} is not a directory", path.string()), "choose another one"};
  for (fs::path up = parent; !up.empty(); up = up.parent_path()) {
    for (const char* sign : {"PG_VERSION", "postmaster.pid"}) {
      if (fs::exists(up / sign, ec)) return Error{ErrorCode::kExists, fmt::format("{} lies inside the PostgreSQL data directory {}", path.string(), up.string()), "choose a place outside"};
    }
    if (up == up.root_path()) break;
  }
  return path.string();
}

Result<std::string> check_target(const std::string& directory) {
  STELE_TRY(const std::string path, resolve_target(directory));
  std::error_code ec;
  if (fs::exists(path, ec)) {
    const bool empty = fs::is_empty(path, ec);
    if (ec) return Error{ErrorCode::kIo, fmt::format("{}: {}", path, ec.message()), ""};
    if (!empty) {
      if (fs::exists(marker_path(path), ec)) {
        return Error{ErrorCode::kExists, fmt::format("{} is what an earlier restore left incomplete", path),
                     fmt::format("--delta goes on with what is there; or remove {0}, {0}.stele-wal and {0}.stele-incomplete", path)};
      }
      return Error{ErrorCode::kExists, fmt::format("{} is not empty", path), "choose an empty or new directory, or --delta to rewrite what differs in a data directory of this cluster"};
    }
  }
  for (const std::string& beside : {staging_path(path), marker_path(path)}) {
    if (fs::exists(beside, ec)) return Error{ErrorCode::kExists, fmt::format("{} is there from an earlier restore", beside), fmt::format("remove {} if nobody needs it", beside)};
  }
  return path;
}

Status check_free_space(const std::map<std::string, std::uint64_t>& bytes) {
  constexpr std::uint64_t kReserve = 64u << 20;
  struct Disk {
    std::string at;
    std::uint64_t available = 0, needed = kReserve;
  };
  std::map<dev_t, Disk> disks;
  for (const auto& [path, need] : bytes) {
    // The path itself need not exist yet.
    std::string at = path;
    struct stat info {};
    while (::stat(at.c_str(), &info) != 0) {
      if (errno != ENOENT || at.size() <= 1) return system_error("ask for the free space of", at, errno);
      const std::size_t slash = at.rfind('/');
      at = slash == std::string::npos || slash == 0 ? "/" : at.substr(0, slash);
    }
    Disk& disk = disks[info.st_dev];
    if (disk.at.empty()) {
      struct statvfs room {};
      if (::statvfs(at.c_str(), &room) != 0) return system_error("ask for the free space of", at, errno);
      disk.at = at;
      disk.available = std::uint64_t{room.f_bavail} * room.f_frsize;
    }
    disk.needed += need;
  }
  for (const auto& [device, disk] : disks) {
    if (disk.available >= disk.needed) continue;
    return Error{ErrorCode::kDiskFull,
                 fmt::format("{} has {} free ({} bytes), the restore needs {} ({} bytes)", disk.at, config::format_bytes(disk.available), disk.available, config::format_bytes(disk.needed),
                             disk.needed),
                 "make room or choose another place; nothing was written"};
  }
  return {};
}

}  // namespace stele::restore
