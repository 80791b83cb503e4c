#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "core/config/toml_reader.h"

namespace stele::config {

std::string format_descriptions(const std::vector<KeyDescription>& keys) {
  std::string out;
  for (const KeyDescription& key : keys) {
    if (key.type == "table") {
      out += fmt::format("\n[{}]  {}\n", key.key, key.meaning);
    } else if (key.type == "array of tables") {
      out += fmt::format("\n[[{}]]  {}\n", key.key, key.meaning);
    } else if (key.fallback == "required") {
      out += fmt::format("  {}: {}, required\n      {}\n", key.key, key.type, key.meaning);
    } else {
      out += fmt::format("  {}: {}, default {}\n      {}\n", key.key, key.type, key.fallback, key.meaning);
    }
  }
  return out;
}

Status check_secret_file_mode(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error("look at secret file", path.string(), errno);
  if (!S_ISREG(info.st_mode))
    return Error{ErrorCode::kConfig, fmt::format("secret file {} is not a regular file", path.string()), ""};
  if ((info.st_mode & 0177) != 0) {
    return Error{ErrorCode::kConfig,
                 fmt::format("secret file {} has mode {:04o}, others may read or change it", path.string(),
                             info.st_mode & 07777),
                 fmt::format("chmod 600 {}", path.string())};
  }
  return {};
}

}  // namespace stele::config
