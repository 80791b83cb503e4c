#pragma once

#include <array>

#include "core/pg/wal_record.h"

namespace stele::pg {

/// Reads the main data of a commit or abort record as it streams past (access/rmgrdesc/xactdesc.c, ParseCommitRecord and
/// ParseAbortRecord): lists of subtransactions, files and invalidations can be long, so they are skipped, not kept.
class XactParser {
 public:
  /// True for the four kinds of record that end a transaction.
  static bool ends_transaction(Rmgr rmgr, std::uint8_t info);

  void begin(std::uint8_t info, TransactionId record_xid);
  void feed(ByteView bytes);
  /// kDamaged when the data ended early. The result is then not valid.
  Result<TransactionEnd> finish() const;

 private:
  enum class Step { kTime, kXinfo, kDatabase, kSubxids, kFiles, kStats, kInvalidations, kTwophase, kDone };
  void on_field();
  void next_step();
  TransactionEnd result_;
  bool has_info_ = false;
  std::uint32_t xinfo_ = 0;
  Step step_ = Step::kTime;
  std::uint64_t skip_ = 0;
  std::array<std::uint8_t, 8> field_{};
  std::size_t have_ = 0, want_ = 8;
};

}  // namespace stele::pg
