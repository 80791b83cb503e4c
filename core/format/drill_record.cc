#include "core/format/drill_record.h"

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/format/body.h"

namespace stele::format {

std::string_view drill_outcome_name(DrillOutcomeKind outcome) {
  switch (outcome) {
    case DrillOutcomeKind::kPassed: return "passed";
    case DrillOutcomeKind::kFailed: return "failed";
    case DrillOutcomeKind::kDidNotRun: return "did_not_run";
  }
  return "unknown";
}

Result<SignedRecord> DrillRecord::sign(const crypto::SigningKey& restore_host) const {
  return sign_body<DrillRecord>(RecordKind::kDrill, restore_host, [&](ByteWriter& w) {
    write_database(w, database);
    w.raw(drill.view());
    w.i64(started.micros);
    w.i64(finished.micros);
    w.u8(static_cast<std::uint8_t>(outcome));
    w.raw(stream.view());
    w.raw(snapshot.view());
    w.i64(target.micros);
    w.u64(reached.value);
    w.i64(last_commit.micros);
    for (const std::uint64_t micros : {rto, rpo, rto_target, rpo_target}) w.u64(micros);
    for (const std::uint32_t count : {passed, failed, skipped}) w.u32(count);
    w.u16(static_cast<std::uint16_t>(keys.size()));
    for (const Key& key : keys) {
      w.raw(key.public_key.view());
      w.i64(key.newest_epoch.micros);
    }
    w.raw(report.view());
    w.str16(one_line(note, kMaxDrillNote));
  });
}

Result<DrillRecord> DrillRecord::read(const SignedRecord& record) {
  return read_body<DrillRecord>(record, RecordKind::kDrill, [](ByteReader& r, DrillRecord& out) -> Status {
    STELE_CHECK(read_database(r, out.database));
    r.fixed(out.drill);
    out.started = {r.i64()};
    out.finished = {r.i64()};
    const std::uint8_t word = r.u8();
    out.outcome = static_cast<DrillOutcomeKind>(word);
    r.fixed(out.stream);
    r.fixed(out.snapshot);
    out.target = {r.i64()};
    out.reached = {r.u64()};
    out.last_commit = {r.i64()};
    for (std::uint64_t* micros : {&out.rto, &out.rpo, &out.rto_target, &out.rpo_target}) *micros = r.u64();
    for (std::uint32_t* checks : {&out.passed, &out.failed, &out.skipped}) *checks = r.u32();
    const std::size_t count = r.u16();
    if (count > kMaxDrillKeys) return Error{ErrorCode::kDamaged, fmt::format("a drill record of {} keys", count), ""};
    for (std::size_t i = 0; i < count && !r.failed(); ++i) {
      Key key;
      r.fixed(key.public_key);
      key.newest_epoch = {r.i64()};
      if (!out.keys.empty() && key.public_key <= out.keys.back().public_key) return Error{ErrorCode::kDamaged, "drill record: its keys do not ascend", ""};
      out.keys.push_back(key);
    }
    r.fixed(out.report);
    out.note = r.str16();
    const bool consistent = word >= 1 && word <= 3 && (out.outcome != DrillOutcomeKind::kPassed || (out.failed == 0 && out.passed > 0)) && out.started <= out.finished;
    if (!consistent || out.note.size() > kMaxDrillNote || !is_one_line(out.note)) return Error{ErrorCode::kDamaged, "drill record: a field is out of range", ""};
    return {};
  });
}

Status verify_own_signature(const SignedRecord& record) {
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(record.suite));
  STELE_TRY(const crypto::VerifyKey key, crypto::VerifyKey::from(*suite, record.signer));
  return verify_record(record, key);
}

std::string drill_name(const DatabaseName& database, Timestamp finished, const Digest& id) {
  return fmt::format("{}/drill/{:016x}-{}.rec", database.to_string(), static_cast<std::uint64_t>(finished.micros), id.hex());
}

}  // namespace stele::format
