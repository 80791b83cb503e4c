#pragma once

#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::format {

/// What the agent saw in the records that end in one frame. Exact times and transaction ids: only ever stored encrypted.
struct FrameFacts {
  std::uint32_t frame = 0;
  PositionRange range;
  Timestamp min_commit, max_commit;
  std::uint32_t min_xid = 0, max_xid = 0;  ///< in PostgreSQL's circular order; 0: none
  std::uint32_t commits = 0, aborts = 0;
  std::uint32_t block_references = 0;
};

struct RestorePointFact {
  Position end;  ///< end of the restore point's record
  Timestamp time;
  std::string name;  ///< at most 64 bytes (PostgreSQL: MAXFNAMELEN)
};

/// An object ends when it has this many: what one more frame adds still fits (pg::LogFacts::kMaxRestorePoints).
inline constexpr std::size_t kMaxObjectRestorePoints = 4096;

/// The encrypted block that ends an object: FORMATS.md section 6. Entries are typed; unknown types are skipped.
struct IndexBlock {
  std::vector<FrameFacts> frames;
  std::vector<RestorePointFact> restore_points;

  Bytes encode() const;
  static Result<IndexBlock> decode(ByteView bytes);
};

}  // namespace stele::format
