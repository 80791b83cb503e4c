#pragma once

#include <optional>
#include <string_view>

#include "core/base/result.h"
#include "core/pg/versions.h"

namespace stele::pg {

enum class Fork : std::uint8_t { kMain = 0, kFreeSpaceMap = 1, kVisibilityMap = 2, kInit = 3 };

/// The file of one segment of one fork of a relation.
struct RelationFile {
  Oid tablespace = 0;        ///< 1663 pg_default, 1664 pg_global, or the tablespace's OID
  Oid database = 0;          ///< 0 for shared relations
  Oid relation = 0;          ///< relfilenode
  Fork fork = Fork::kMain;
  std::uint32_t segment = 0;
  bool temporary = false;    ///< "tBACKEND_REL": of a session
  /// Number of the file's first block within the fork: what page checksums need. RELSEG_SIZE is 131,072 in every ordinary build.
  std::uint32_t first_block(std::uint32_t relation_segment_blocks = kRelationSegmentBlocks) const { return segment * relation_segment_blocks; }
  static constexpr std::uint32_t kRelationSegmentBlocks = 131072;
};

/// Tells whether a path relative to the data directory ("base/5/1259_vm.1", "global/1262", "pg_tblspc/16400/PG_15_202209061/5/16401")
/// is a relation file, that is: consists of pages with checksums when the cluster has them. Nothing for every other file, such as
/// pg_filenode.map, PG_VERSION and pg_control (common/relpath.c, storage/file/reinit.c).
std::optional<RelationFile> parse_relation_path(std::string_view path);

/// What BASE_BACKUP leaves out of a data directory (replication/basebackup.c: excludeDirContents, excludeFiles, temporary files).
enum class BackupTreatment {
  kInclude,
  kExclude,       ///< not in a base backup
  kEmptyDirectory ///< the directory is, its content is not
};
/// `path` is relative to the data directory, '/' as separator, no trailing one. Unlogged relations are not decided here: of those
/// PostgreSQL takes only the init fork.
BackupTreatment backup_treatment(std::string_view path, bool is_directory);

}  // namespace stele::pg
