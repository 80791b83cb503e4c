#include "restore/drill/place.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <set>

#include "core/config/log.h"
#include "core/io/durable_file.h"

namespace stele::restore {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLock = "drill.lock";
constexpr std::size_t kIdSize = 12;

bool is_copy_name(std::string_view name) {
  return name.size() == kIdSize && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Status remove_tree(const std::string& path, WipeProof& proof) {
  std::error_code ec;
  for (fs::recursive_directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    struct stat info {};
    if (lstat(it->path().c_str(), &info) != 0 || S_ISDIR(info.st_mode)) continue;
    ++proof.files;
    proof.bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  // Links are removed, never followed.
  fs::remove_all(path, ec);
  if (ec) return Error{ErrorCode::kIo, fmt::format("wipe {}: {}", path, ec.message()), "remove it by hand: it holds personal data"};
  return {};
}

}  // namespace

Result<std::unique_ptr<Place>> Place::open(io::FileSystem& files, const std::string& directory, const std::string& id, WipeProof& cleared) {
  STELE_CHECK(io::make_directories_durably(files, directory));
  std::error_code ec;
  const std::string root = fs::canonical(directory, ec).string();
  if (ec) return Error{ErrorCode::kIo, fmt::format("{}: {}", directory, ec.message()), ""};
  const std::string path = fmt::format("{}/{}", root, id.substr(0, kIdSize));
  // The server's socket directory may have 86 bytes (restore/postgres/server_process.h).
  if (path.size() + 2 > 86) return Error{ErrorCode::kConfig, fmt::format("[drill] directory {}: too long for a server's socket", root), "take one of at most 60 characters"};
  STELE_TRY(auto lock, files.try_lock(fmt::format("{}/{}", root, kLock), "a drill"));
  STELE_TRY(auto entries, files.list_directory(root));
  for (const io::DirectoryEntry& entry : entries) {
    if (entry.name == kLock) continue;
    if (entry.kind != io::FileKind::kDirectory || !is_copy_name(entry.name)) {
      return Error{ErrorCode::kConfig, fmt::format("[drill] directory {} holds {}, which no drill made", root, entry.name), "give drills a directory of their own"};
    }
    log::warning("an interrupted drill left its copy: wiping it", {{"path", root + "/" + entry.name}});
    STELE_CHECK(remove_tree(root + "/" + entry.name, cleared));
  }
  // The server's user passes through and sees only its own.
  if (chmod(root.c_str(), 0711) != 0) return system_error("change the mode of", root, errno);
  STELE_CHECK(files.make_directory(path));
  std::unique_ptr<Place> place(new Place(root, path, std::move(lock)));
  if (chmod(path.c_str(), 0711) != 0) return system_error("change the mode of", path, errno);
  return place;
}

Place::~Place() {
  WipeProof unseen;
  if (wiped_) return;
  if (Status done = wipe(unseen); !done.ok()) log::log_error(done.error());
}

Status Place::wipe(WipeProof& proof) {
  STELE_CHECK(remove_tree(path_, proof));
  wiped_ = true;
  std::error_code ec;
  std::size_t others = 0;
  for (fs::directory_iterator it(directory_, ec), end; !ec && it != end; it.increment(ec)) others += it->path().filename() == kLock ? 0 : 1;
  if (ec) return Error{ErrorCode::kIo, fmt::format("look into {}: {}", directory_, ec.message()), ""};
  proof.nothing_left = others == 0;
  return {};
}

std::uint64_t disk_usage(const std::string& path) {
  std::uint64_t bytes = 0;
  std::set<std::pair<dev_t, ino_t>> counted;
  std::error_code ec;
  for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, ec), end; !ec && it != end; it.increment(ec)) {
    struct stat info {};
    if (lstat(it->path().c_str(), &info) != 0) continue;
    // The log lies in its staging directory and, by hard links, in pg_wal.
    if (info.st_nlink > 1 && !S_ISDIR(info.st_mode) && !counted.insert({info.st_dev, info.st_ino}).second) continue;
    bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

}  // namespace stele::restore
