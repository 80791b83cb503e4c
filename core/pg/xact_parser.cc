#include "core/pg/xact_parser.h"

namespace stele::pg {
namespace {

constexpr std::uint8_t kOpMask = 0x70, kHasInfo = 0x80;
constexpr std::uint8_t kCommit = 0x00, kAbort = 0x20, kCommitPrepared = 0x30, kAbortPrepared = 0x40;

/// xinfo bits (access/xact.h).
constexpr std::uint32_t kHasDatabase = 1u << 0, kHasSubxids = 1u << 1, kHasFiles = 1u << 2, kHasInvalidations = 1u << 3, kHasTwophase = 1u << 4,
                        kHasStats = 1u << 8;

}  // namespace

bool XactParser::ends_transaction(Rmgr rmgr, std::uint8_t info) {
  if (rmgr != Rmgr::kTransaction) return false;
  std::uint8_t op = info & kOpMask;
  return op == kCommit || op == kAbort || op == kCommitPrepared || op == kAbortPrepared;
}

void XactParser::begin(std::uint8_t info, TransactionId record_xid) {
  std::uint8_t op = info & kOpMask;
  result_ = {};
  result_.commit = op == kCommit || op == kCommitPrepared;
  result_.prepared = op == kCommitPrepared || op == kAbortPrepared;
  result_.xid = record_xid;
  has_info_ = (info & kHasInfo) != 0;
  xinfo_ = 0;
  step_ = Step::kTime;
  skip_ = 0;
  have_ = 0;
  want_ = 8;
}

void XactParser::feed(ByteView bytes) {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      auto n = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
      skip_ -= n;
      bytes = bytes.subspan(n);
      continue;
    }
    if (step_ == Step::kDone) return;
    std::size_t n = std::min(want_ - have_, bytes.size());
    std::copy_n(bytes.begin(), n, field_.begin() + static_cast<std::ptrdiff_t>(have_));
    have_ += n;
    bytes = bytes.subspan(n);
    if (have_ == want_) on_field();
  }
}

void XactParser::on_field() {
  ByteReader r(ByteView(field_).first(want_));
  switch (step_) {
    case Step::kTime: result_.time = from_timestamptz(r.i64()); break;
    case Step::kXinfo: xinfo_ = r.u32(); break;
    case Step::kDatabase: break;  // database and tablespace, 8 bytes
    case Step::kSubxids:
      result_.subxids = r.u32();
      skip_ = std::uint64_t{result_.subxids} * 4;
      break;
    case Step::kFiles: skip_ = std::uint64_t{r.u32()} * 12; break;          // RelFileNode
    case Step::kStats: skip_ = std::uint64_t{r.u32()} * 12; break;          // xl_xact_stats_item
    case Step::kInvalidations: skip_ = std::uint64_t{r.u32()} * 16; break;  // SharedInvalidationMessage
    case Step::kTwophase: result_.xid = r.u32(); break;
    case Step::kDone: break;
  }
  next_step();
}

void XactParser::next_step() {
  have_ = 0;
  auto applies = [&](Step s) {
    switch (s) {
      case Step::kXinfo: return has_info_;
      case Step::kDatabase: return (xinfo_ & kHasDatabase) != 0;
      case Step::kSubxids: return (xinfo_ & kHasSubxids) != 0;
      case Step::kFiles: return (xinfo_ & kHasFiles) != 0;
      case Step::kStats: return (xinfo_ & kHasStats) != 0;
      case Step::kInvalidations: return result_.commit && (xinfo_ & kHasInvalidations) != 0;
      case Step::kTwophase: return (xinfo_ & kHasTwophase) != 0;
      default: return true;
    }
  };
  do {
    step_ = static_cast<Step>(static_cast<int>(step_) + 1);
  } while (!applies(step_));
  want_ = step_ == Step::kDatabase ? 8 : 4;
}

Result<TransactionEnd> XactParser::finish() const {
  if (step_ != Step::kDone || skip_ != 0) return Error{ErrorCode::kDamaged, "commit or abort record: ends early", ""};
  return result_;
}

}  // namespace stele::pg
