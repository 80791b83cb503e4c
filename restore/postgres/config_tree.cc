#include "restore/postgres/config_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/io/durable_file.h"

namespace stele::restore {
namespace {

/// guc-file.l, CONF_FILE_MAX_DEPTH.
constexpr int kMaxDepth = 10;
constexpr int kMaxReads = 1000;

/// The path below the data directory, or nothing when it leads out of it. Lexical; links are looked for by `inside`.
std::optional<std::string> relative_to(const std::string& data_directory, const std::string& including,
                                       const std::string& value) {
  std::filesystem::path root = std::filesystem::path(data_directory).lexically_normal();
  std::filesystem::path target = value;
  if (target.is_relative()) target = root / std::filesystem::path(including).parent_path() / target;
  std::string relative = target.lexically_normal().lexically_relative(root).string();
  if (relative.empty() || relative == ".." || relative.starts_with("../")) return std::nullopt;
  return relative;
}

/// True when no component is a link; a missing one is fine.
Result<bool> without_links(io::FileSystem& fs, const std::string& data_directory, const std::string& relative) {
  std::string path = data_directory;
  for (const auto& part : std::filesystem::path(relative)) {
    path += "/" + part.string();
    auto info = fs.info(path);
    if (!info.ok()) {
      if (info.error().code == ErrorCode::kNotFound) return true;
      return std::move(info).error();
    }
    if (info->kind == io::FileKind::kOther) return false;
  }
  return true;
}

}  // namespace

bool is_location_setting(std::string_view name) {
  static const std::set<std::string_view> kNames = {"data_directory", "config_file", "hba_file", "ident_file",
                                                    "external_pid_file"};
  return kNames.contains(name);
}

Result<ConfigTree> ConfigTree::load(io::FileSystem& fs, const std::string& data_directory) {
  ConfigTree tree;
  STELE_CHECK(tree.read(fs, data_directory, "postgresql.conf", 0));
  return tree;
}

void ConfigTree::disable(const std::string& file, const ConfigLine& line, std::string reason) {
  bool known = std::any_of(disabled_.begin(), disabled_.end(),
                           [&](const Disabled& d) { return d.place.file == file && d.place.line == line.number; });
  if (!known) disabled_.push_back({{line.name, line.value, file, line.number}, std::move(reason)});
}

Status ConfigTree::read(io::FileSystem& fs, const std::string& data_directory, const std::string& file, int depth) {
  if (++reads_ > kMaxReads)
    return Error{ErrorCode::kLimit, "read the restored configuration: too many include directives", ""};
  auto bytes = io::read_file(fs, data_directory + "/" + file, kMaxConfigFileSize);
  if (!bytes.ok()) return std::move(bytes).error();
  std::vector<ConfigLine> lines = parse_config({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  files_.emplace(file, lines);
  for (const auto& line : lines) {
    switch (line.kind) {
      case ConfigLineKind::kEmpty:
        break;
      case ConfigLineKind::kBad:
        disable(file, line, "PostgreSQL refuses a file with this line");
        break;
      case ConfigLineKind::kSetting:
        if (is_location_setting(line.name))
          disable(file, line, "names a place on the source's host");
        else
          settings_.push_back({line.name, line.value, file, line.number});
        break;
      default:
        STELE_CHECK(follow(fs, data_directory, file, line, depth));
    }
  }
  return {};
}

Status ConfigTree::follow(io::FileSystem& fs, const std::string& data_directory, const std::string& file,
                          const ConfigLine& line, int depth) {
  auto target = line.value.empty() ? std::nullopt : relative_to(data_directory, file, line.value);
  if (target) {
    STELE_TRY(bool plain, without_links(fs, data_directory, *target));
    if (!plain) target.reset();
  }
  if (!target) {
    disable(file, line, "reaches outside the data directory");
    return {};
  }
  if (depth + 1 >= kMaxDepth) {
    disable(file, line, "nested too deeply");
    return {};
  }
  auto info = fs.info(data_directory + "/" + *target);
  if (!info.ok() && info.error().code != ErrorCode::kNotFound) return std::move(info).error();
  if (line.kind == ConfigLineKind::kIncludeIfExists && !info.ok()) return {};
  auto expected = line.kind == ConfigLineKind::kIncludeDirectory ? io::FileKind::kDirectory : io::FileKind::kFile;
  if (!info.ok() || info->kind != expected) {
    disable(file, line, "what it includes does not exist");
    return {};
  }
  if (line.kind != ConfigLineKind::kIncludeDirectory) return read(fs, data_directory, *target, depth + 1);
  STELE_TRY(auto entries, fs.list_directory(data_directory + "/" + *target));
  std::erase_if(entries, [](const auto& e) {
    return e.name.starts_with('.') || !e.name.ends_with(".conf") || e.kind == io::FileKind::kDirectory;
  });
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  if (std::any_of(entries.begin(), entries.end(), [](const auto& e) { return e.kind == io::FileKind::kOther; })) {
    disable(file, line, "reaches outside the data directory");
    return {};
  }
  for (const auto& entry : entries) STELE_CHECK(read(fs, data_directory, *target + "/" + entry.name, depth + 1));
  return {};
}

Result<std::vector<std::string>> ConfigTree::rewrite(io::FileSystem& fs, const std::string& data_directory) const {
  std::map<std::string, std::map<std::size_t, std::string>> edits;
  for (const auto& d : disabled_) edits[d.place.file][d.place.line] = d.reason;
  std::vector<std::string> names;
  for (const auto& [file, reasons] : edits) {
    std::string before, after;
    for (const auto& line : files_.at(file)) {
      before += line.text + "\n";
      auto edit = reasons.find(line.number);
      if (edit == reasons.end()) {
        after += line.text + "\n";
      } else {
        std::string comment = line.text;
        std::replace(comment.begin(), comment.end(), '\0', ' ');
        after += fmt::format("#stele-restore ({}): {}\n", edit->second, comment);
      }
    }
    std::string path = data_directory + "/" + file;
    auto kept = io::write_file_durably(fs, path + ".stele-source", as_bytes(before), io::WriteMode::kOnce);
    if (!kept.ok() && kept.error().code != ErrorCode::kExists) return std::move(kept).error();
    STELE_CHECK(io::write_file_durably(fs, path, as_bytes(after), io::WriteMode::kReplace));
    names.push_back(file);
  }
  return names;
}

}  // namespace stele::restore
