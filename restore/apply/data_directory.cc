#include "restore/apply/data_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

namespace stele::restore {

namespace {

constexpr std::string_view kControlPath = "global/pg_control";
constexpr std::size_t kMaxControlFile = 64u << 10;
constexpr std::uint32_t kModeBits = 0777;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Status sync_directory(const std::string& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return system_error("open", path, errno);
  if (::fsync(fd.get()) != 0) return system_error("sync", path, errno);
  return {};
}

Status write_marker(const std::string& directory, std::uint64_t system_identifier, bool again) {
  const std::string path = marker_path(directory);
  FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | (again ? O_TRUNC : O_EXCL) | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("create", path, errno);
  const std::string text = fmt::format(
      "{}\nstele-restore is writing the PostgreSQL data directory\n  {}\nor stopped before it was complete. It has no global/pg_control, so no server starts on it.\n"
      "This file is removed when the directory is complete. If no stele-restore runs, run the restore again with --delta, which goes on with what is\n"
      "here; or remove the directory, {} and this file, and restore again.\n",
      marker_first_line(system_identifier), directory, staging_path(directory));
  STELE_CHECK(write_fully(fd.get(), 0, as_bytes(text), path));
  if (::fsync(fd.get()) != 0) return system_error("sync", path, errno);
  STELE_CHECK(fd.close(path));
  return sync_directory(parent_of(directory));
}

/// Makes a directory outside, or accepts an empty one.
Status make_empty_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return {};
  if (errno != EEXIST) return system_error("make directory", path, errno);
  std::error_code ec;
  if (!std::filesystem::is_directory(std::filesystem::symlink_status(path, ec)) || !std::filesystem::is_empty(path, ec)) {
    return Error{ErrorCode::kExists, fmt::format("{} is not an empty directory", path), "choose an empty or new directory"};
  }
  if (::chmod(path.c_str(), 0700) != 0) return system_error("set the mode of", path, errno);
  return {};
}

/// From here on no server starts on it, whatever happens.
Status remove_control_file(const BeneathDirectory& root) {
  STELE_TRY(const bool there, root.exists(std::string(kControlPath)));
  if (!there) return {};
  STELE_CHECK(root.remove(std::string(kControlPath)));
  return root.sync_directory("global");
}

mode_t file_mode(const format::FileEntry& entry) {
  const mode_t mode = entry.mode & kModeBits;
  // PostgreSQL accepts 0600 and 0640 only; a file that its owner cannot read helps nobody.
  return (mode | 0600) & 0640;
}
mode_t directory_mode(const format::FileEntry& entry) { return ((entry.mode & kModeBits) | 0700) & 0750; }

}  // namespace

Status mark_incomplete(const std::string& directory, std::uint64_t system_identifier) {
  STELE_CHECK(write_marker(directory, system_identifier, true));
  STELE_TRY(const BeneathDirectory root, BeneathDirectory::open(directory));
  return remove_control_file(root);
}

const BeneathDirectory& DataDirectory::root_of(const format::FileEntry& entry, std::string& path) const {
  path = entry.path;
  if (entry.type == format::FileType::kExtraFile) return *extra_;
  for (const auto& [oid, root] : roots_) {
    if (oid == entry.tablespace) return root;
  }
  return roots_.front().second;
}

Status DataDirectory::check_table(const std::vector<TablespaceTarget>& tablespaces) {
  std::set<std::tuple<bool, std::uint32_t, std::string>> seen;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const format::FileEntry& e = files_[i];
    const bool extra = e.type == format::FileType::kExtraFile;
    if (!seen.insert({extra, e.tablespace, e.path}).second) return Error{ErrorCode::kForged, "file table: one path twice", ""};
    const bool known = e.tablespace == 0 || std::any_of(tablespaces.begin(), tablespaces.end(), [&](const TablespaceTarget& t) { return t.oid == e.tablespace; });
    if (!known) return Error{ErrorCode::kForged, fmt::format("file table: tablespace {} is not in the manifest", e.tablespace), ""};
    if (!extra && e.tablespace == 0 && e.type == format::FileType::kFile && e.path == kControlPath) {
      if (e.size > kMaxControlFile) return Error{ErrorCode::kDamaged, "global/pg_control is too large", ""};
      control_index_ = i;
      control_.resize(e.size);
    }
  }
  if (!control_index_) return Error{ErrorCode::kDamaged, "the snapshot has no global/pg_control", "it is not a snapshot of a PostgreSQL data directory"};
  return {};
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::begin(const std::string& directory, const std::vector<format::FileEntry>& files,
                                                            const std::vector<TablespaceTarget>& tablespaces, std::uint64_t system_identifier) {
  auto out = std::unique_ptr<DataDirectory>(new DataDirectory(directory, files));
  STELE_CHECK(out->check_table(tablespaces));
  STELE_CHECK(write_marker(directory, system_identifier, false));
  STELE_CHECK(make_empty_directory(directory));
  STELE_TRY(BeneathDirectory root, BeneathDirectory::open(directory));
  out->roots_.emplace_back(0, std::move(root));
  STELE_CHECK(out->make_directories(tablespaces));
  STELE_CHECK(out->make_files());
  return out;
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::begin_over(const ExistingDirectory& existing, const std::vector<format::FileEntry>& files,
                                                                 const std::vector<TablespaceTarget>& tablespaces, std::uint64_t system_identifier) {
  auto out = std::unique_ptr<DataDirectory>(new DataDirectory(existing.path, files));
  STELE_CHECK(out->check_table(tablespaces));
  STELE_CHECK(write_marker(existing.path, system_identifier, true));
  if (::mkdir(existing.path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("make directory", existing.path, errno);
  if (::chmod(existing.path.c_str(), 0700) != 0) return system_error("set the mode of", existing.path, errno);
  STELE_TRY(BeneathDirectory root, BeneathDirectory::open(existing.path));
  STELE_CHECK(remove_control_file(root));
  std::error_code ec;
  for (const std::string& beside : {staging_path(existing.path), extra_files_path(existing.path)}) std::filesystem::remove_all(beside, ec);
  out->roots_.emplace_back(0, std::move(root));
  out->existing_ = &existing;
  for (const format::FileEntry& e : files) {
    if (e.type != format::FileType::kExtraFile) out->expected_[{e.tablespace, e.path}] = &e;
  }
  out->tablespaces_ = tablespaces;
  STELE_CHECK(out->clear_foreign(out->roots_.front().second, 0, ""));
  STELE_CHECK(out->make_directories(tablespaces));
  STELE_CHECK(out->make_files());
  out->existing_ = nullptr;
  out->expected_.clear();
  return out;
}

/// Removes whatever the file table does not name, or names as something else. Files with a second name are removed too: to write into them
/// would change that copy.
Status DataDirectory::clear_foreign(const BeneathDirectory& root, std::uint32_t tablespace, const std::string& below) {
  STELE_TRY(const auto entries, root.list(below));
  for (const BeneathDirectory::Entry& entry : entries) {
    const std::string path = below.empty() ? entry.name : below + "/" + entry.name;
    const auto found = expected_.find({tablespace, path});
    const bool needed = tablespace == 0 && (path == "global" || path == "pg_wal" || path == "pg_wal/archive_status" || path == "pg_tblspc");
    if (entry.type == S_IFDIR) {
      const bool in_place = tablespace == 0 && std::any_of(tablespaces_.begin(), tablespaces_.end(), [&](const TablespaceTarget& t) { return t.in_place && path == fmt::format("pg_tblspc/{}", t.oid); });
      if (in_place) continue;  // cleared as a tablespace
      if (needed || (found != expected_.end() && found->second->type == format::FileType::kDirectory)) {
        STELE_CHECK(clear_foreign(root, tablespace, path));
        continue;
      }
    } else if (entry.type == S_IFREG) {
      if (found != expected_.end() && found->second->type == format::FileType::kFile && entry.links == 1 && path != "tablespace_map") continue;
    } else if (entry.type == S_IFLNK && tablespace == 0 && below == "pg_tblspc") {
      const bool ours = std::any_of(tablespaces_.begin(), tablespaces_.end(),
                                    [&](const TablespaceTarget& t) { return !t.in_place && entry.name == std::to_string(t.oid) && entry.target == t.directory; });
      if (ours) continue;
    }
    // A tablespace's directory may hold those of other clusters and versions: only what the snapshot names is ours.
    if (tablespace != 0 && below.empty()) continue;
    STELE_CHECK(root.remove(path));
    ++removed_;
  }
  return {};
}

Status DataDirectory::prepare_directory(const BeneathDirectory& root, const std::string& path, mode_t mode) {
  if (existing_ != nullptr) {
    STELE_TRY(const bool there, root.exists(path));
    if (there) return root.set_mode(path, mode);
  }
  return root.make_directory(path, mode);
}

Status DataDirectory::make_directories(const std::vector<TablespaceTarget>& tablespaces) {
  // Parents before children, whatever the order of the table.
  std::vector<const format::FileEntry*> directories;
  bool extra = false;
  for (const format::FileEntry& e : files_) {
    if (e.type == format::FileType::kDirectory && e.tablespace == 0) directories.push_back(&e);
    extra |= e.type == format::FileType::kExtraFile;
  }
  auto by_path = [](const format::FileEntry* a, const format::FileEntry* b) { return a->path < b->path; };
  std::sort(directories.begin(), directories.end(), by_path);
  const BeneathDirectory& root = roots_.front().second;
  for (const format::FileEntry* e : directories) STELE_CHECK(prepare_directory(root, e->path, directory_mode(*e)));
  // What every data directory has, even where a base backup left it out.
  for (const char* needed : {"global", "pg_wal", "pg_wal/archive_status", "pg_tblspc"}) {
    STELE_TRY(const bool there, root.exists(needed));
    if (!there) STELE_CHECK(root.make_directory(needed, 0700));
  }
  for (const TablespaceTarget& t : tablespaces) {
    const std::string link = fmt::format("pg_tblspc/{}", t.oid);
    if (t.in_place) {
      STELE_TRY(const bool there, root.exists(link));
      if (!there) STELE_CHECK(root.make_directory(link, 0700));
      STELE_TRY(BeneathDirectory inside, BeneathDirectory::open(fmt::format("{}/{}", path_, link)));
      roots_.emplace_back(t.oid, std::move(inside));
    } else {
      std::error_code ec;
      std::filesystem::create_directories(parent_of(t.directory), ec);
      if (existing_ == nullptr || !existing_->holds(t.oid, t.directory)) STELE_CHECK(make_empty_directory(t.directory));
      STELE_TRY(const bool linked, root.exists(link));
      if (!linked) STELE_CHECK(root.make_link(link, t.directory));
      STELE_TRY(BeneathDirectory outside, BeneathDirectory::open(t.directory));
      roots_.emplace_back(t.oid, std::move(outside));
    }
    if (existing_ != nullptr) STELE_CHECK(clear_foreign(roots_.back().second, t.oid, ""));
    std::vector<const format::FileEntry*> inner;
    for (const format::FileEntry& e : files_) {
      if (e.type == format::FileType::kDirectory && e.tablespace == t.oid) inner.push_back(&e);
    }
    std::sort(inner.begin(), inner.end(), by_path);
    for (const format::FileEntry* e : inner) STELE_CHECK(prepare_directory(roots_.back().second, e->path, directory_mode(*e)));
  }
  tablespaces_ = tablespaces;
  if (extra) {
    const std::string beside = extra_files_path(path_);
    STELE_CHECK(make_empty_directory(beside));
    STELE_TRY(extra_, BeneathDirectory::open(beside));
  }
  return {};
}

Status DataDirectory::make_files() {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const format::FileEntry& e = files_[i];
    const bool extra = e.type == format::FileType::kExtraFile;
    if ((e.type != format::FileType::kFile && !extra) || i == control_index_) continue;
    // It would recreate links to the source's directories; ours are there already.
    if (!extra && e.tablespace == 0 && e.path == "tablespace_map") continue;
    std::string path;
    const BeneathDirectory& root = root_of(e, path);
    if (extra) {
      extra_names_.push_back(e.path);
      for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        STELE_TRY(const bool there, root.exists(path.substr(0, slash)));
        if (!there) STELE_CHECK(root.make_directory(path.substr(0, slash), 0700));
      }
    }
    STELE_TRY(const bool there, existing_ == nullptr || extra ? Result<bool>(false) : root.exists(path));
    STELE_TRY(FileDescriptor fd, there ? root.open_existing(path) : root.create_file(path, file_mode(e)));
    stood_[i] = there;
    // The umask must not decide; a file's length is fixed now, so that zeros need no writing.
    if (::fchmod(fd.get(), file_mode(e)) != 0) return system_error("set the mode of", path, errno);
    if ((e.size > 0 || there) && ::ftruncate(fd.get(), static_cast<off_t>(e.size)) != 0) return system_error("extend", path, errno);
    STELE_CHECK(fd.close(path));
  }
  return {};
}

Result<std::size_t> DataDirectory::read_existing(std::size_t file, std::uint64_t offset, MutableByteView out) const {
  if (!stood_[file]) return std::size_t{0};
  std::string path;
  const BeneathDirectory& root = root_of(files_[file], path);
  STELE_TRY(const FileDescriptor fd, root.open_existing(path));
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = ::pread(fd.get(), out.data() + have, out.size() - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path, errno);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  return have;
}

Status DataDirectory::write_file(std::size_t file, std::uint64_t offset, ByteView bytes) {
  const format::FileEntry& e = files_[file];
  if (offset > e.size || bytes.size() > e.size - offset) return Error{ErrorCode::kDamaged, "bytes behind the end of a file", ""};
  if (file == control_index_) {
    std::copy(bytes.begin(), bytes.end(), control_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  if (e.type == format::FileType::kFile && e.tablespace == 0 && e.path == "tablespace_map") return {};
  // New pages of a relation are all zeros, and a new file is long enough already.
  if (!stood_[file] && std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; })) return {};
  std::string path;
  const BeneathDirectory& root = root_of(e, path);
  STELE_TRY(FileDescriptor fd, root.open_file(path));
  STELE_CHECK(write_fully(fd.get(), offset, bytes, path));
  return fd.close(path);
}

Status DataDirectory::finish_files(const std::string& backup_label) {
  const BeneathDirectory& root = roots_.front().second;
  STELE_TRY(const bool labelled, root.exists("backup_label"));
  if (!labelled) {
    if (backup_label.empty()) return Error{ErrorCode::kDamaged, "the snapshot has no backup_label: recovery would not know where to begin", ""};
    STELE_TRY(FileDescriptor fd, root.create_file("backup_label", 0600));
    STELE_CHECK(write_fully(fd.get(), 0, as_bytes(backup_label), "backup_label"));
    STELE_CHECK(fd.close("backup_label"));
  }
  for (const auto& [oid, directory] : roots_) STELE_CHECK(directory.sync_file_system());
  if (extra_) STELE_CHECK(extra_->sync_file_system());
  for (const TablespaceTarget& t : tablespaces_) {
    if (!t.in_place) STELE_CHECK(sync_directory(parent_of(t.directory)));
  }
  return sync_directory(parent_of(path_));
}

Status DataDirectory::complete(std::optional<std::pair<uid_t, gid_t>> owner) {
  const BeneathDirectory& root = roots_.front().second;
  const std::string path(kControlPath);
  // Settings and log were written meanwhile.
  STELE_CHECK(root.sync_file_system());
  STELE_TRY(FileDescriptor fd, root.create_file(path, 0600));
  STELE_CHECK(write_fully(fd.get(), 0, control_, path));
  if (owner && ::fchown(fd.get(), owner->first, owner->second) != 0) return system_error("give away", path, errno);
  if (::fsync(fd.get()) != 0) return system_error("sync", path, errno);
  STELE_CHECK(fd.close(path));
  STELE_CHECK(root.sync_directory("global"));
  const std::string marker = marker_path(path_);
  if (::unlink(marker.c_str()) != 0) return system_error("remove", marker, errno);
  return sync_directory(parent_of(path_));
}

}  // namespace stele::restore
