#include "core/format/fact.h"

#include "core/base/text.h"
#include "core/format/body.h"

namespace stele::format {

std::string_view fact_kind_name(FactKind kind) {
  switch (kind) {
    case FactKind::kGap: return "gap";
    case FactKind::kFork: return "fork";
    case FactKind::kAbandonedBranch: return "abandoned_branch";
    case FactKind::kDegraded: return "degraded";
    case FactKind::kDegradedEnd: return "degraded_end";
    case FactKind::kRolledBack: return "rolled_back";
    case FactKind::kStateLost: return "state_lost";
    case FactKind::kSnapshotDamaged: return "snapshot_damaged";
    case FactKind::kBranchReserved: return "branch_reserved";
    case FactKind::kDamage: return "damage";
  }
  return "unknown";
}

Result<SignedRecord> Fact::sign(const crypto::SigningKey& key) const {
  return sign_body<Fact>(RecordKind::kFact, key, [&](ByteWriter& w) {
    write_database(w, database);
    w.raw(stream.view());
    w.u16(static_cast<std::uint16_t>(kind));
    w.u64(serial);
    w.i64(time.micros);
    w.u64(begin.value);
    w.u64(end.value);
    w.raw(related.view());
    w.u64(value);
    w.str16(one_line(note, kMaxFactNote));
  });
}

Result<Fact> Fact::read(const SignedRecord& record) {
  return read_body<Fact>(record, RecordKind::kFact, [](ByteReader& r, Fact& out) -> Status {
    STELE_CHECK(read_database(r, out.database));
    r.fixed(out.stream);
    out.kind = static_cast<FactKind>(r.u16());
    out.serial = r.u64();
    out.time = {r.i64()};
    out.begin = {r.u64()};
    out.end = {r.u64()};
    r.fixed(out.related);
    out.value = r.u64();
    out.note = r.str16();
    if (out.note.size() > kMaxFactNote || !is_one_line(out.note) || out.end < out.begin) return Error{ErrorCode::kDamaged, "fact: a field is out of range", ""};
    return {};
  });
}

}  // namespace stele::format
