#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/format/manifest.h"

namespace stele::restore {

/// Where the operator wants tablespaces.
struct TablespaceOptions {
  std::map<std::uint32_t, std::string> mapped;  ///< --tablespace OID=DIR
  std::string root;                             ///< --tablespace-root DIR: DIR/OID for all others
  bool original = false;                        ///< --tablespace-original: the source's own paths, each of which must be empty
};

/// One tablespace of a restore. `in_place` ones lie in the data directory itself (allow_in_place_tablespaces).
struct TablespaceTarget {
  std::uint32_t oid = 0;
  std::string source;     ///< where it was
  std::string directory;  ///< absolute; empty for in_place
  bool in_place = false;
};

/// "16400=/srv/ts" to its parts; kUsage.
Result<std::pair<std::uint32_t, std::string>> parse_tablespace_option(const std::string& text);

/// Gives every tablespace of the snapshot a directory. kUsage naming every tablespace without one, an OID that the snapshot does not have,
/// two tablespaces in one directory, or a directory inside the data directory. Pure.
Result<std::vector<TablespaceTarget>> map_tablespaces(const std::vector<format::TablespaceEntry>& tablespaces, const TablespaceOptions& options,
                                                      const std::string& data_directory);

/// Looks whether the directory of each tablespace may be written to: it does not exist, is empty, or is one of `held`, by OID, which the data
/// directory that is rewritten already has there. kExists. Changes nothing.
Status check_tablespace_places(const std::vector<TablespaceTarget>& tablespaces, const std::map<std::uint32_t, std::string>& held);

/// A path without "..", "." and double or trailing slashes.
std::string normal_path(const std::string& path);

}  // namespace stele::restore
