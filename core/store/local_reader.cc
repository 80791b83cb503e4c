#include "core/store/local_reader.h"

#include <fmt/format.h>

#include "core/store/local_store.h"

namespace stele::store {

std::string objects_directory(const std::string& root) {
  return root + "/objects";
}
std::string journal_directory(const std::string& root) {
  return root + "/journal";
}

Result<std::unique_ptr<ObjectReader>> open_local_reader(io::FileSystem& fs, const std::string& root) {
  auto found = fs.info(objects_directory(root));
  if (!found.ok()) return found.error().in("open store").with_hint("is this the receiver's store directory?");
  return std::unique_ptr<ObjectReader>(std::make_unique<LocalReader>(fs, root));
}

Result<std::vector<ObjectInfo>> LocalReader::list(std::string_view prefix) {
  std::vector<ObjectInfo> out;
  // Only the part of the tree that can match is walked: start at the prefix's last whole directory.
  std::size_t slash = prefix.rfind('/');
  std::string start = slash == std::string_view::npos ? "" : std::string(prefix.substr(0, slash));
  if (!start.empty() && !check_object_name(start).ok()) return out;
  if (start.empty() && slash != std::string_view::npos) return out;  // "/...": no name starts like this
  STELE_CHECK(walk(start.empty() ? objects_ : objects_ + "/" + start, start, prefix, out));
  std::sort(out.begin(), out.end());
  return out;
}

Status LocalReader::walk(const std::string& directory, const std::string& name, std::string_view prefix,
                         std::vector<ObjectInfo>& out) {
  auto entries = fs_.list_directory(directory);
  // A directory that is not there holds nothing; one that vanishes meanwhile held nothing either.
  if (!entries.ok() && entries.error().code == ErrorCode::kNotFound) return {};
  if (!entries.ok()) return entries.error();
  for (const io::DirectoryEntry& entry : *entries) {
    std::string full = name.empty() ? entry.name : name + "/" + entry.name;
    std::string_view common = std::string_view(full).substr(0, prefix.size());
    if (prefix.substr(0, common.size()) != common) continue;
    if (!check_object_name(full).ok()) continue;  // nothing that this program wrote
    const std::string path = directory + "/" + entry.name;
    if (entry.kind == io::FileKind::kDirectory) {
      STELE_CHECK(walk(path, full, prefix, out));
    } else if (entry.kind == io::FileKind::kFile && full.size() >= prefix.size()) {
      auto found = fs_.info(path);
      if (!found.ok() && found.error().code == ErrorCode::kNotFound) continue;  // removed since
      if (!found.ok()) return found.error();
      out.push_back({std::move(full), found->size});
    }
  }
  return {};
}

Result<Bytes> LocalReader::read(std::string_view name, std::uint64_t offset, std::size_t length) {
  STELE_CHECK(check_object_name(name));
  if (length > kMaxReadBytes)
    return Error{ErrorCode::kLimit, fmt::format("read object {}: {} bytes at once", name, length), ""};
  STELE_TRY(std::unique_ptr<io::File> file, fs_.open(fmt::format("{}/{}", objects_, name), io::OpenMode::kRead));
  // The size first: a length that a hostile index gave must not cost memory.
  STELE_TRY(std::uint64_t have, file->size());
  if (offset > have || length > have - offset) {
    return Error{ErrorCode::kDamaged,
                 fmt::format("read object {}: it has {} bytes, {} at {} were expected", name, have, length, offset),
                 ""};
  }
  return file->read_exactly(offset, length);
}

Result<std::uint64_t> LocalReader::size(std::string_view name) {
  STELE_CHECK(check_object_name(name));
  const std::string path = fmt::format("{}/{}", objects_, name);
  STELE_TRY(io::FileInfo found, fs_.info(path));
  if (found.kind != io::FileKind::kFile)
    return Error{ErrorCode::kNotFound, fmt::format("object {}: not a file", name), ""};
  return found.size;
}

}  // namespace stele::store
