#include "agent/snapshot/extra_files.h"

#include <fmt/format.h>

#include <algorithm>

namespace stele::agent {
namespace {

namespace fs = std::filesystem;

Timestamp to_timestamp(fs::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  return {std::chrono::duration_cast<std::chrono::microseconds>(system.time_since_epoch()).count()};
}

void add_file(const fs::path& path, ExtraFiles& out) {
  std::error_code error;
  ExtraFile file;
  file.source = path;
  file.entry.type = format::FileType::kExtraFile;
  file.entry.path = path.lexically_normal().relative_path().string();
  const fs::file_status status = fs::status(path, error);
  const std::uint64_t size = error ? 0 : fs::file_size(path, error);
  if (error) return out.warnings.push_back(fmt::format("extra file {}: {}", path.string(), error.message()));
  // Named twice, by itself and by its directory.
  if (std::any_of(out.files.begin(), out.files.end(),
                  [&](const ExtraFile& f) { return f.entry.path == file.entry.path; }))
    return;
  if (!format::is_safe_relative_path(file.entry.path) || size > kMaxExtraFileBytes ||
      out.files.size() >= kMaxExtraFiles) {
    return out.warnings.push_back(
        fmt::format("extra file {}: its name or size is none that a snapshot takes", path.string()));
  }
  file.entry.mode = static_cast<std::uint32_t>(status.permissions()) & 07777;
  if (const auto time = fs::last_write_time(path, error); !error) file.entry.modified = to_timestamp(time);
  out.files.push_back(std::move(file));
}

}  // namespace

ExtraFiles find_extra_files(const std::vector<fs::path>& configured) {
  ExtraFiles out;
  for (const fs::path& path : configured) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      add_file(path, out);
      continue;
    }
    std::vector<fs::path> found;
    for (fs::recursive_directory_iterator it(path, error), end; !error && it != end && found.size() <= kMaxExtraFiles;
         it.increment(error)) {
      std::error_code ignored;
      if (it->is_regular_file(ignored)) found.push_back(it->path());
    }
    if (error) out.warnings.push_back(fmt::format("extra files in {}: {}", path.string(), error.message()));
    std::sort(found.begin(), found.end());
    for (const fs::path& file : found) add_file(file, out);
  }
  return out;
}

std::vector<std::string> not_covered(const std::vector<std::string>& named, const std::vector<fs::path>& configured) {
  std::vector<std::string> out;
  for (const std::string& file : named) {
    const fs::path wanted = fs::path(file).lexically_normal();
    const bool covered = std::any_of(configured.begin(), configured.end(), [&](const fs::path& have) {
      const fs::path normal = have.lexically_normal();
      const auto [end, ignored] = std::mismatch(normal.begin(), normal.end(), wanted.begin(), wanted.end());
      return end == normal.end();
    });
    if (!covered) out.push_back(file);
  }
  return out;
}

}  // namespace stele::agent
