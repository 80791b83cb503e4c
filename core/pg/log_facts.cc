#include "core/pg/wal_decoder.h"

namespace stele::pg {
namespace {

void widen(LogFacts& facts, TransactionId xid) {
  if (xid == 0) return;
  if (facts.min_xid == 0) {
    facts.min_xid = facts.max_xid = xid;
    return;
  }
  if (xid_precedes(xid, facts.min_xid)) facts.min_xid = xid;
  if (xid_precedes(facts.max_xid, xid)) facts.max_xid = xid;
}

}  // namespace

void LogFacts::add(const WalRecord& record) {
  ++records;
  block_refs += record.blocks.size();
  for (const auto& b : record.blocks) images += b.has_image ? 1 : 0;
  widen(*this, record.xid);
  if (const auto* end = std::get_if<TransactionEnd>(&record.notable)) {
    widen(*this, end->xid);
    bool first = commits + aborts == 0;
    ++(end->commit ? commits : aborts);
    min_commit = first ? end->time : std::min(min_commit, end->time);
    max_commit = first ? end->time : std::max(max_commit, end->time);
  } else if (const auto* point = std::get_if<RestorePoint>(&record.notable)) {
    if (restore_points.size() < kMaxRestorePoints) {
      restore_points.push_back(*point);
    } else {
      ++more_restore_points;
    }
  }
}

bool TargetTimeSearch::add(const WalRecord& record) {
  if (stop_) return true;
  const auto* end = std::get_if<TransactionEnd>(&record.notable);
  if (end == nullptr) return false;
  bool stops = inclusive_ ? end->time > target_ : end->time >= target_;
  if (stops) {
    stop_ = record.start;
  } else {
    last_kept_ = *end;
  }
  return stops;
}

}  // namespace stele::pg
