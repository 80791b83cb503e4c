#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/base/result.h"

namespace stele::restore {

/// What stands where `run --delta` shall write.
struct ExistingDirectory {
  std::string path;                   ///< absolute, parent resolved
  bool there = false;                 ///< false: no directory, or an empty one; an ordinary restore
  bool incomplete = false;            ///< an earlier restore stopped here
  std::uint64_t system_identifier = 0;
  std::map<std::uint32_t, std::string> tablespaces;  ///< where its links in pg_tblspc lead, by OID

  bool holds(std::uint32_t oid, const std::string& directory) const;
};

/// Looks, and changes nothing. kExists: a server runs there, or it is neither a data directory nor what a restore left incomplete.
Result<ExistingDirectory> inspect_existing(const std::string& directory);

/// The first line of DIR.stele-incomplete: whose files these are.
std::string marker_first_line(std::uint64_t system_identifier);

/// `run --delta`.
struct DeltaOptions {
  bool on = false;
  bool other_cluster = false;  ///< --accept-other-cluster: also over the files of another system identifier
};
/// What came of it.
struct DeltaReport {
  std::uint64_t kept_bytes = 0, written_bytes = 0;  ///< of the snapshot's files
  std::uint64_t removed = 0;                        ///< files, links and directories that are not in the snapshot
};

}  // namespace stele::restore
