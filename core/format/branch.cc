#include "core/format/branch.h"

#include "core/crypto/hash.h"
#include "core/format/body.h"

namespace stele::format {

namespace {

void write_identity(ByteWriter& w, const BranchRecord& b) {
  w.u16(static_cast<std::uint16_t>(b.suite));
  write_database(w, b.database);
  w.u16(static_cast<std::uint16_t>(b.engine));
  w.u64(b.lineage);
  w.u32(b.timeline);
  w.u16(static_cast<std::uint16_t>(b.history.size()));
  for (const TimelineSwitch& s : b.history) {
    w.u32(s.timeline);
    w.u64(s.end.value);
  }
  w.raw(b.nonce.view());
}

Status read_history(ByteReader& r, BranchRecord& out) {
  const std::size_t count = r.u16();
  if (count > kMaxTimelines) return Error{ErrorCode::kDamaged, fmt::format("a history of {} timelines", count), ""};
  for (std::size_t i = 0; i < count && !r.failed(); ++i) {
    TimelineSwitch s;
    s.timeline = r.u32();
    s.end = {r.u64()};
    const bool grows = out.history.empty() || (out.history.back().timeline < s.timeline && out.history.back().end <= s.end);
    if (!r.failed() && (!grows || s.timeline >= out.timeline)) {
      return Error{ErrorCode::kDamaged, "a timeline history that does not grow", ""};
    }
    out.history.push_back(s);
  }
  return {};
}

}  // namespace

StreamId BranchRecord::stream() const {
  Bytes identity;
  ByteWriter w(identity);
  w.str16("stele/stream/1");
  write_identity(w, *this);
  return StreamId{crypto::hash(suite_or_default(suite), identity).data};
}

Result<SignedRecord> BranchRecord::sign(const crypto::SigningKey& agent) const {
  return sign_body<BranchRecord>(RecordKind::kBranch, agent, [&](ByteWriter& w) {
    write_identity(w, *this);
    w.u64(generation.value);
    w.raw(enrolment.view());
    w.u64(segment_size);
    w.u32(server_version);
    w.u8(static_cast<std::uint8_t>(reason));
    w.raw(parent.view());
    w.u64(fork.value);
    w.i64(created.micros);
  });
}

Result<BranchRecord> BranchRecord::read(const SignedRecord& record) {
  return read_body<BranchRecord>(record, RecordKind::kBranch, [](ByteReader& r, BranchRecord& out) -> Status {
    STELE_TRY(const crypto::Suite* found, crypto::find_suite(r.u16()));
    out.suite = found->id();
    STELE_CHECK(read_database(r, out.database));
    const std::uint16_t engine_id = r.u16();
    if (engine_id != static_cast<std::uint16_t>(Engine::kPostgres)) {
      return Error{ErrorCode::kUnsupported, fmt::format("engine {} is not known to this version", engine_id), "use a newer Stele"};
    }
    out.lineage = r.u64();
    out.timeline = r.u32();
    STELE_CHECK(read_history(r, out));
    r.fixed(out.nonce);
    out.generation = {r.u64()};
    r.fixed(out.enrolment);
    out.segment_size = r.u64();
    out.server_version = r.u32();
    const std::uint8_t why = r.u8();
    if (why < 1 || why > 4) return Error{ErrorCode::kDamaged, fmt::format("branch with unknown reason {}", why), ""};
    out.reason = static_cast<BranchReason>(why);
    r.fixed(out.parent);
    out.fork = {r.u64()};
    out.created = {r.i64()};
    if (r.failed()) return {};
    constexpr std::uint64_t kSmallest = 1 << 20, kLargest = 1 << 30;  // PostgreSQL: IsValidWalSegSize
    if (out.segment_size < kSmallest || out.segment_size > kLargest || !std::has_single_bit(out.segment_size)) {
      return Error{ErrorCode::kDamaged, fmt::format("a WAL segment size of {} bytes", out.segment_size), ""};
    }
    return {};
  });
}

}  // namespace stele::format
