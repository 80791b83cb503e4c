#pragma once

#include <optional>
#include <string>

#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::format {

/// Names of objects in a store: FORMATS.md section 1. A name helps to find; what an object is, its bytes say.
std::string database_prefix(const DatabaseName& database);                 ///< "SITE/DATABASE/"
std::string enrolment_name(const DatabaseName& database, const Digest& id);
std::string withdrawal_name(const DatabaseName& database, const Digest& id);
std::string recipients_name(const DatabaseName& database, const Digest& id);
std::string branch_name(const DatabaseName& database, const StreamId& stream);
std::string epoch_name(const DatabaseName& database, const EpochId& epoch);
std::string fact_name(const DatabaseName& database, const Digest& id);
std::string pack_name(const DatabaseName& database, const ObjectId& pack);
std::string list_name(const DatabaseName& database, const Digest& list);
std::string manifest_name(const DatabaseName& database, Timestamp finished, const SnapshotId& snapshot);
std::string log_prefix(const DatabaseName& database, const StreamId& stream);

/// What a run's name tells.
struct RunName {
  StreamId stream;
  PositionRange range;
  ObjectId object;
  std::uint32_t first = 0, last = 0;
};
std::string run_name(const DatabaseName& database, const RunName& run);
std::optional<RunName> parse_run_name(std::string_view name);

/// The database that an object's name belongs to, or nothing for other names.
std::optional<DatabaseName> database_of(std::string_view name);

}  // namespace stele::format
