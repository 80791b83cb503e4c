#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/format/manifest.h"

namespace stele::agent {

/// A file from outside the data directory, found on this host.
struct ExtraFile {
  std::filesystem::path source;
  format::FileEntry entry;  ///< type kExtraFile, path without the leading '/'
};

struct ExtraFiles {
  std::vector<ExtraFile> files;
  std::vector<std::string> warnings;  ///< one for each that cannot be part of the snapshot
};

inline constexpr std::size_t kMaxExtraFiles = 10'000;
inline constexpr std::uint64_t kMaxExtraFileBytes = 64 << 20;

/// Finds the configured files; a directory means the regular files beneath it. Only looks at names.
ExtraFiles find_extra_files(const std::vector<std::filesystem::path>& configured);

/// Files the server names (config_file, hba_file, ident_file outside the data directory) that the configured ones do
/// not contain.
std::vector<std::string> not_covered(const std::vector<std::string>& named,
                                     const std::vector<std::filesystem::path>& configured);

}  // namespace stele::agent
