#include "core/io/durable_file.h"

#include <fmt/format.h>

namespace stele::io {

std::string parent_directory(std::string_view path) {
  std::size_t slash = path.find_last_of('/');
  if (slash == std::string_view::npos) return ".";
  if (slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

namespace {

Status write_temporary(FileSystem& fs, const std::string& path, ByteView bytes) {
  auto file = fs.open(path, OpenMode::kCreateExclusive);
  if (!file.ok() && file.error().code == ErrorCode::kExists) {  // left over from a crash
    STELE_CHECK(fs.unlink(path));
    file = fs.open(path, OpenMode::kCreateExclusive);
  }
  if (!file.ok()) return file.error();
  STELE_CHECK((*file)->write_at(0, bytes));
  return (*file)->sync();
}

Status write_named(FileSystem& fs, const std::string& path, const std::string& temporary, ByteView bytes,
                   WriteMode mode) {
  STELE_CHECK(write_temporary(fs, temporary, bytes));
  if (mode == WriteMode::kReplace) return fs.rename(temporary, path);
  STELE_CHECK(fs.link(temporary, path));
  return fs.unlink(temporary);
}

}  // namespace

Status write_file_durably(FileSystem& fs, const std::string& path, ByteView bytes, WriteMode mode) {
  const std::string temporary = path + ".tmp";
  Status written = write_named(fs, path, temporary, bytes, mode);
  if (!written.ok()) {
    // The first failure is what counts; a temporary name that stays behind is replaced by the next write.
    (void)fs.unlink(temporary);
    return written;
  }
  return fs.sync_directory(parent_directory(path));
}

Result<Bytes> read_file(FileSystem& fs, const std::string& path, std::uint64_t limit) {
  STELE_TRY(std::unique_ptr<File> file, fs.open(path, OpenMode::kRead));
  STELE_TRY(std::uint64_t size, file->size());
  if (size > limit)
    return Error{ErrorCode::kLimit, fmt::format("read {}: {} bytes, at most {} expected", path, size, limit), ""};
  return file->read_exactly(0, static_cast<std::size_t>(size));
}

Status make_directories_durably(FileSystem& fs, const std::string& path) {
  const std::string parent = parent_directory(path);
  auto found = fs.info(path);
  if (found.ok()) {
    if (found->kind == FileKind::kFile)
      return Error{ErrorCode::kExists, fmt::format("make directory {}: a file has this name", path), ""};
    // It may have been made by a process that died before its sync. Levels are made one by one, each synced before the
    // next: those above an existing one are durable.
    return fs.sync_directory(parent);
  }
  if (found.error().code != ErrorCode::kNotFound) return found.error();
  if (parent != path) STELE_CHECK(make_directories_durably(fs, parent));
  Status made = fs.make_directory(path);
  if (!made.ok() && made.error().code != ErrorCode::kExists) return made;
  return fs.sync_directory(parent);
}

}  // namespace stele::io
