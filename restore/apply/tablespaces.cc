#include "restore/apply/tablespaces.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

namespace stele::restore {

namespace {

bool is_inside(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory.ends_with('/') ? directory : directory + "/");
}

}  // namespace

std::string normal_path(const std::string& path) {
  std::string out = std::filesystem::path(path).lexically_normal().string();
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

Result<std::pair<std::uint32_t, std::string>> parse_tablespace_option(const std::string& text) {
  const std::size_t equals = text.find('=');
  std::uint32_t oid = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + std::min(equals, text.size()), oid);
  if (equals == std::string::npos || ec != std::errc() || end != text.data() + equals || oid == 0 || equals + 1 >= text.size() || text[equals + 1] != '/') {
    return Error{ErrorCode::kUsage, fmt::format("--tablespace {}: expected OID=DIRECTORY with an absolute directory", text), "for example --tablespace 16400=/srv/ts"};
  }
  return std::pair(oid, normal_path(text.substr(equals + 1)));
}

Result<std::vector<TablespaceTarget>> map_tablespaces(const std::vector<format::TablespaceEntry>& tablespaces, const TablespaceOptions& options,
                                                      const std::string& data_directory) {
  std::vector<TablespaceTarget> out;
  std::string missing;
  for (const format::TablespaceEntry& t : tablespaces) {
    if (t.oid == 0) continue;
    TablespaceTarget target{t.oid, t.location, "", false};
    auto mapped = options.mapped.find(t.oid);
    if (t.location.empty() || t.location.front() != '/') {
      target.in_place = true;
    } else if (mapped != options.mapped.end()) {
      target.directory = normal_path(mapped->second);
    } else if (!options.root.empty()) {
      target.directory = normal_path(fmt::format("{}/{}", options.root, t.oid));
    } else if (options.original) {
      target.directory = normal_path(t.location);
    } else {
      missing += fmt::format("{}{} (was {})", missing.empty() ? "" : ", ", t.oid, t.location);
      continue;
    }
    out.push_back(std::move(target));
  }
  if (!missing.empty()) {
    return Error{ErrorCode::kUsage, fmt::format("no place was given for tablespace {}", missing), "--tablespace OID=DIR for each, --tablespace-root DIR for all, or --tablespace-original"};
  }
  for (const auto& [oid, directory] : options.mapped) {
    const bool known = std::any_of(out.begin(), out.end(), [&](const TablespaceTarget& t) { return t.oid == oid; });
    if (!known) return Error{ErrorCode::kUsage, fmt::format("--tablespace {}={}: the snapshot has no tablespace {}", oid, directory, oid), ""};
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i].in_place) continue;
    if (is_inside(out[i].directory, normal_path(data_directory)) || is_inside(normal_path(data_directory), out[i].directory)) {
      return Error{ErrorCode::kUsage, fmt::format("tablespace {} in {}: not inside or around the data directory {}", out[i].oid, out[i].directory, data_directory), ""};
    }
    for (std::size_t k = 0; k < i; ++k) {
      if (!out[k].in_place && (is_inside(out[i].directory, out[k].directory) || is_inside(out[k].directory, out[i].directory))) {
        return Error{ErrorCode::kUsage, fmt::format("tablespaces {} and {} in one directory {}", out[k].oid, out[i].oid, out[i].directory), ""};
      }
    }
  }
  return out;
}

Status check_tablespace_places(const std::vector<TablespaceTarget>& tablespaces, const std::map<std::uint32_t, std::string>& held) {
  namespace fs = std::filesystem;
  for (const TablespaceTarget& t : tablespaces) {
    if (t.in_place) continue;
    std::error_code ec;
    const fs::file_status there = fs::symlink_status(t.directory, ec);
    if (there.type() == fs::file_type::not_found) continue;
    auto holds = held.find(t.oid);
    const bool directory = fs::is_directory(there), empty = directory && fs::is_empty(t.directory, ec);
    if (!ec && directory && (empty || (holds != held.end() && holds->second == t.directory))) continue;
    return Error{ErrorCode::kExists, fmt::format("{}, for tablespace {}, is not an empty directory", t.directory, t.oid), "choose an empty or new directory with --tablespace OID=DIR"};
  }
  return {};
}

}  // namespace stele::restore
