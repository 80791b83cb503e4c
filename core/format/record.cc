#include "core/format/record.h"

#include <fmt/format.h>

#include "core/crypto/hash.h"
#include "core/format/body.h"
#include "core/format/drill_record.h"
#include "core/format/extension.h"

namespace stele::format {

namespace {

constexpr std::string_view kMagic = "STLr";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMaxKey = 512, kMaxSignature = 1024;

std::string domain_of(RecordKind kind) { return fmt::format("stele/record/{}", record_kind_name(kind)); }

}  // namespace

std::string_view record_kind_name(RecordKind kind) {
  switch (kind) {
    case RecordKind::kEnrolment: return "enrolment";
    case RecordKind::kRecipientList: return "recipients";
    case RecordKind::kBranch: return "branch";
    case RecordKind::kEpoch: return "epoch";
    case RecordKind::kManifest: return "manifest";
    case RecordKind::kFact: return "fact";
    case RecordKind::kStatus: return "status";
    case RecordKind::kWithdrawal: return "withdrawal";
    case RecordKind::kEnrolmentRequest: return "enrolment request";
    case RecordKind::kResealedKeys: return "resealed keys";
    case RecordKind::kDrill: return "drill";
  }
  return "unknown";
}

Digest SignedRecord::id() const { return crypto::hash(suite_or_default(suite), bytes); }

Result<SignedRecord> sign_record(RecordKind kind, ByteView body, const crypto::SigningKey& key) {
  SignedRecord out;
  out.kind = kind;
  out.suite = key.suite().id();
  out.body = to_bytes(body);
  out.signer = to_bytes(key.verify_key().bytes());
  ByteWriter w(out.bytes);
  w.raw(kMagic);
  w.u16(kVersion);
  w.u16(static_cast<std::uint16_t>(kind));
  w.u16(static_cast<std::uint16_t>(out.suite));
  write_key(w, out.signer);
  w.blob32(body);
  write_extensions(w, {});
  out.signed_size = out.bytes.size();
  if (out.signed_size > kMaxRecordBytes - kMaxSignature) {
    return Error{ErrorCode::kInternal, fmt::format("{} record of {} bytes is over the limit", record_kind_name(kind), out.signed_size), ""};
  }
  out.signature = key.sign(domain_of(kind), out.bytes);
  write_key(w, out.signature);
  return out;
}

Result<SignedRecord> parse_record(ByteView bytes) {
  if (bytes.size() > kMaxRecordBytes) return Error{ErrorCode::kDamaged, fmt::format("record of {} bytes is over the limit", bytes.size()), ""};
  ByteReader r(bytes);
  if (as_text(r.raw(kMagic.size())) != kMagic) return Error{ErrorCode::kDamaged, "not a Stele record", ""};
  const std::uint16_t version = r.u16();
  if (version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("record of version {}", version), "read this with a newer Stele"};
  }
  SignedRecord out;
  out.kind = static_cast<RecordKind>(r.u16());
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(r.u16()));
  out.suite = suite->id();
  out.signer = read_key(r);
  out.body = to_bytes(r.blob32());
  STELE_CHECK(read_extensions(r, [](const Extension&) { return false; }));
  out.signed_size = r.position();
  out.signature = read_key(r);
  STELE_CHECK(r.finish(record_kind_name(out.kind)));
  if (out.signer.size() > kMaxKey || out.signature.size() > kMaxSignature) {
    return Error{ErrorCode::kDamaged, fmt::format("{} record: key or signature of a wrong size", record_kind_name(out.kind)), ""};
  }
  out.bytes = to_bytes(bytes);
  return out;
}

Result<SignedRecord> parse_record(ByteView bytes, RecordKind expected) {
  STELE_TRY(SignedRecord record, parse_record(bytes));
  if (record.kind != expected) {
    return Error{ErrorCode::kDamaged,
                 fmt::format("expected a record of kind {}, found {}", record_kind_name(expected), record_kind_name(record.kind)), ""};
  }
  return record;
}

Status verify_record(const SignedRecord& record, const crypto::VerifyKey& key) {
  if (key.suite().id() != record.suite || !equal(key.bytes(), record.signer)) {
    return Error{ErrorCode::kForged,
                 fmt::format("{} {}: not signed by the key expected", record_kind_name(record.kind), record.id().short_hex()), ""};
  }
  Status ok = key.verify(domain_of(record.kind), ByteView(record.bytes).first(record.signed_size), record.signature);
  if (!ok.ok()) return ok.error().in(fmt::format("{} {}", record_kind_name(record.kind), record.id().short_hex()));
  return {};
}

}  // namespace stele::format
