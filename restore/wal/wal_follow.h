#pragma once

#include <optional>

#include "restore/fetch/log_reader.h"
#include "restore/wal/wal_plan.h"

namespace stele::restore {

/// What a standby has been given so far.
struct Followed {
  Position end;             ///< the log up to here is in the staging directory
  Timestamp as_of;          ///< the source's clock there; none: not known
  std::uint32_t timeline = 0;
  std::uint64_t new_bytes = 0;  ///< by this call
  std::optional<Error> stuck;   ///< the log does not go on from `end` though the store has more of it behind a hole (kGap), or of another history (kDamaged)
};

/// Brings a staging directory that `stage_wal` made with `follow` up to what the store holds: log behind its end, segment by segment, also
/// where the source's history went on to a new timeline. What is there already stays valid at every moment: files first, then `plan`.
/// kFork when the source's current history is not one that this standby can go on with (it has log behind the point where that one leaves).
Result<Followed> extend_staging(const StoreCatalog& catalog, LogReader& reader, const std::string& directory, std::size_t workers);

/// Where the last whole record before `end` ends, in the log of the branch that the staging directory follows: a standby replays so far and no
/// further. kGap where the store does not hold that log (any more).
Result<Position> last_record_before(const StoreCatalog& catalog, LogReader& reader, const std::string& directory, Position end);

/// Removes the segments that a restart of the standby in `data_directory` would not read again; none before its first start. Gives how many.
Result<std::size_t> trim_staging(const std::string& directory, const std::string& data_directory);

/// Numbers that must look taken when the standby chooses its next timeline; just before it is promoted.
Status take_timelines(const std::string& directory, const std::vector<std::uint32_t>& numbers);

Result<WalPlan> read_wal_plan(const std::string& directory);

}  // namespace stele::restore
