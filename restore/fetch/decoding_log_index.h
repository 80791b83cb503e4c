#pragma once

#include "core/pg/wal_record.h"
#include "core/recovery/log_index.h"
#include "restore/fetch/log_reader.h"

namespace stele::restore {

/// Answers exact questions about the log by decoding it: runs whose headers show that the answer cannot lie in them are left out.
class DecodingLogIndex final : public recovery::LogIndex {
 public:
  /// Both must outlive it.
  DecodingLogIndex(const StoreCatalog& catalog, LogReader& reader) : catalog_(catalog), reader_(reader) {}

  Result<std::optional<recovery::RecordPlace>> first_end_after(const std::vector<recovery::LogPiece>& pieces, Position from, Timestamp time,
                                                               bool exclusive) override;
  Result<std::optional<recovery::RecordPlace>> end_of_transaction(const std::vector<recovery::LogPiece>& pieces, Position from, std::uint32_t xid) override;
  Result<std::optional<recovery::RecordPlace>> restore_point(const std::vector<recovery::LogPiece>& pieces, Position from, const std::string& name) override;
  Result<std::optional<recovery::RecordPlace>> record_from(const std::vector<recovery::LogPiece>& pieces, Position from) override;
  Result<std::optional<recovery::RecordPlace>> last_record(const std::vector<recovery::LogPiece>& pieces, Position from) override;

  /// Decodes records that start at or after `from` and end at or before `to`, until `on_record` says stop (true).
  Status scan(const std::vector<recovery::LogPiece>& pieces, Position from, Position to, const std::function<bool(const pg::WalRecord&)>& on_record);

 private:
  const StoreCatalog& catalog_;
  LogReader& reader_;
};

}  // namespace stele::restore
