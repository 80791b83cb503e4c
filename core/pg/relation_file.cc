#include "core/pg/relation_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace stele::pg {
namespace {

constexpr Oid kDefaultTablespace = 1663, kGlobalTablespace = 1664;

/// Decimal without leading zeros, at least `min`.
std::optional<std::uint32_t> number(std::string_view text, std::uint32_t min = 1) {
  std::uint32_t v = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (failed != std::errc{} || end != text.data() + text.size() || v < min || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  return v;
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path = path.substr(slash + 1);
  }
}

/// "REL[_fork][.segment]" or "tBACKEND_REL[_fork][.segment]".
std::optional<RelationFile> parse_file_name(std::string_view name) {
  RelationFile out;
  if (auto dot = name.find('.'); dot != std::string_view::npos) {
    auto segment = number(name.substr(dot + 1));
    // Block numbers are 32 bits.
    if (!segment || *segment >= (std::uint64_t{1} << 32) / RelationFile::kRelationSegmentBlocks) return std::nullopt;
    out.segment = *segment;
    name = name.substr(0, dot);
  }
  if (name.starts_with('t')) {
    auto underscore = name.find('_');
    if (underscore == std::string_view::npos || !number(name.substr(1, underscore - 1), 0)) return std::nullopt;
    out.temporary = true;
    name = name.substr(underscore + 1);
  }
  if (auto underscore = name.find('_'); underscore != std::string_view::npos) {
    std::string_view fork = name.substr(underscore + 1);
    if (fork == "fsm") {
      out.fork = Fork::kFreeSpaceMap;
    } else if (fork == "vm") {
      out.fork = Fork::kVisibilityMap;
    } else if (fork == "init") {
      out.fork = Fork::kInit;
    } else {
      return std::nullopt;
    }
    name = name.substr(0, underscore);
  }
  auto relation = number(name);
  if (!relation) return std::nullopt;
  out.relation = *relation;
  return out;
}

bool contains(const auto& list, std::string_view name) { return std::find(list.begin(), list.end(), name) != list.end(); }

}  // namespace

std::optional<RelationFile> parse_relation_path(std::string_view path) {
  std::vector<std::string_view> parts = split(path);
  auto file = parse_file_name(parts.back());
  if (!file) return std::nullopt;
  if (parts.size() == 2 && parts[0] == "global") {
    if (file->temporary) return std::nullopt;
    file->tablespace = kGlobalTablespace;
    return file;
  }
  std::optional<Oid> tablespace, database;
  if (parts.size() == 3 && parts[0] == "base") {
    tablespace = kDefaultTablespace;
    database = number(parts[1]);
  } else if (parts.size() == 5 && parts[0] == "pg_tblspc" && parts[2].starts_with("PG_")) {
    tablespace = number(parts[1]);
    database = number(parts[3]);
  }
  if (!tablespace || !database) return std::nullopt;
  file->tablespace = *tablespace;
  file->database = *database;
  return file;
}

BackupTreatment backup_treatment(std::string_view path, bool is_directory) {
  static constexpr std::array<std::string_view, 8> kEmptyDirectories = {"pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial",
                                                                        "pg_snapshots", "pg_subtrans", "pg_wal"};
  static constexpr std::array<std::string_view, 7> kFiles = {"postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label", "tablespace_map",
                                                             "backup_manifest", "postmaster.pid", "postmaster.opts"};
  std::vector<std::string_view> parts = split(path);
  for (std::string_view part : parts) {
    if (part.starts_with("pgsql_tmp")) return BackupTreatment::kExclude;
  }
  if (is_directory && path == "pg_wal/archive_status") return BackupTreatment::kEmptyDirectory;
  if (contains(kEmptyDirectories, parts[0])) {
    return parts.size() == 1 && is_directory ? BackupTreatment::kEmptyDirectory : BackupTreatment::kExclude;
  }
  if (is_directory) return BackupTreatment::kInclude;
  std::string_view name = parts.back();
  if (contains(kFiles, name) || name.starts_with("pg_internal.init")) return BackupTreatment::kExclude;
  if (auto file = parse_relation_path(path); file && file->temporary) return BackupTreatment::kExclude;
  return BackupTreatment::kInclude;
}

}  // namespace stele::pg
