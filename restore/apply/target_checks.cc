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

Result<std::string> check_target(const std::string& directory) {
  std::error_code ec;
  fs::path path = fs::absolute(directory, ec).lexically_normal();
  if (ec || directory.empty()) return Error{ErrorCode::kUsage, fmt::format("--into {}: not a directory name", directory), ""};
  if (!path.has_filename()) path = path.parent_path();
  if (path == path.root_path()) return Error{ErrorCode::kUsage, "--into /: not a directory for a database", ""};
  const fs::path parent = fs::canonical(path.parent_path(), ec);
  if (ec) return Error{ErrorCode::kNotFound, fmt::format("{}: {}", path.parent_path().string(), ec.message()), "create the parent directory first"};
  path = parent / path.filename();
  const fs::file_status status = fs::symlink_status(path, ec);
  if (fs::exists(status)) {
    if (!fs::is_directory(status)) return Error{ErrorCode::kExists, fmt::format("{} is not a directory", path.string()), "choose another one"};
    const bool empty = fs::is_empty(path, ec);
    if (ec) return Error{ErrorCode::kIo, fmt::format("{}: {}", path.string(), ec.message()), ""};
    if (!empty) {
      const bool ours = fs::exists(marker_path(path.string()), ec);
      return Error{ErrorCode::kExists, fmt::format("{} is not empty", path.string()),
                   ours ? fmt::format("an earlier restore stopped here: remove {0}, {0}.stele-wal and {0}.stele-incomplete", path.string()) : "choose an empty or new directory"};
    }
  }
  for (fs::path up = parent; !up.empty(); up = up.parent_path()) {
    for (const char* sign : {"PG_VERSION", "postmaster.pid"}) {
      if (fs::exists(up / sign, ec)) return Error{ErrorCode::kExists, fmt::format("{} lies inside the PostgreSQL data directory {}", path.string(), up.string()), "choose a place outside"};
    }
    if (up == up.root_path()) break;
  }
  for (const std::string& beside : {staging_path(path.string()), marker_path(path.string())}) {
    if (fs::exists(beside, ec)) return Error{ErrorCode::kExists, fmt::format("{} is there from an earlier restore", beside), fmt::format("remove {} if nobody needs it", beside)};
  }
  return path.string();
}

Status check_free_space(const std::string& path, std::uint64_t bytes) {
  constexpr std::uint64_t kReserve = 64u << 20;
  std::string at = path;
  struct statvfs info {};
  while (::statvfs(at.c_str(), &info) != 0) {
    if (errno != ENOENT || at.size() <= 1) return system_error("ask for the free space of", at, errno);
    const std::size_t slash = at.rfind('/');
    at = slash == std::string::npos || slash == 0 ? "/" : at.substr(0, slash);
  }
  const std::uint64_t available = std::uint64_t{info.f_bavail} * info.f_frsize;
  if (available >= bytes + kReserve) return {};
  return Error{ErrorCode::kDiskFull, fmt::format("{} has {} free, the restore needs {}", at, config::format_bytes(available), config::format_bytes(bytes + kReserve)),
               "make room or choose another place; nothing was written"};
}

}  // namespace stele::restore
