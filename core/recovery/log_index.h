#pragma once

#include <optional>

#include "core/recovery/coverage.h"

namespace stele::recovery {

/// Where a record lies. `end` is PostgreSQL's EndRecPtr.
struct RecordPlace {
  Position start, end;
  Timestamp time;  ///< of a commit, an abort or a restore point
};

/// What only a reader with keys can say of the log. `pieces` cover everything from pieces.front().range.begin to `to` without a hole.
/// Implemented by the restore program; tests give a table. Nothing found is no error.
class LogIndex {
 public:
  virtual ~LogIndex() = default;
  /// The first commit or abort that starts at or after `from`, in log order, later than `time` (not earlier, when exclusive).
  virtual Result<std::optional<RecordPlace>> first_end_after(const std::vector<LogPiece>& pieces, Position from, Timestamp time,
                                                             bool exclusive) = 0;
  /// The first commit or abort of this transaction that starts at or after `from`.
  virtual Result<std::optional<RecordPlace>> end_of_transaction(const std::vector<LogPiece>& pieces, Position from, std::uint32_t xid) = 0;
  /// The first restore point of this name that starts at or after `from`.
  virtual Result<std::optional<RecordPlace>> restore_point(const std::vector<LogPiece>& pieces, Position from, const std::string& name) = 0;
  /// The first complete record that starts at or after `from`.
  virtual Result<std::optional<RecordPlace>> record_from(const std::vector<LogPiece>& pieces, Position from) = 0;
  /// The last complete record that starts at or after `from`.
  virtual Result<std::optional<RecordPlace>> last_record(const std::vector<LogPiece>& pieces, Position from) = 0;
};

}  // namespace stele::recovery
