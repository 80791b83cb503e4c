#pragma once

#include "core/format/trust_records.h"

// Shared by the files that read and write record bodies; not for others.
namespace stele::format {

/// The named suite; suite 1 for an id that was never read from bytes (readers refuse unknown ids before).
const crypto::Suite& suite_or_default(crypto::SuiteId id);

void write_database(ByteWriter& w, const DatabaseName& name);
Status read_database(ByteReader& r, DatabaseName& out);
void write_key(ByteWriter& w, ByteView key);
Bytes read_key(ByteReader& r);
void write_recipient(ByteWriter& w, const Recipient& recipient);
Result<Recipient> read_recipient(ByteReader& r);
/// u8, 0 or 1; anything else is kDamaged: one meaning has one encoding.
Result<bool> read_flag(ByteReader& r);

/// Signs what `write` writes, having read it back: what a reader would refuse is never signed (kInternal).
template <typename T, typename Write>
Result<SignedRecord> sign_body(RecordKind kind, const crypto::SigningKey& key, Write write) {
  Bytes body;
  ByteWriter w(body);
  write(w);
  STELE_TRY(SignedRecord record, sign_record(kind, body, key));
  if (auto again = T::read(record); !again.ok()) return Error{ErrorCode::kInternal, "sign: " + again.error().what, ""};
  return record;
}

template <typename T, typename Read>
Result<T> read_body(const SignedRecord& record, RecordKind kind, Read read) {
  if (record.kind != kind) {
    return Error{ErrorCode::kDamaged,
                 fmt::format("expected a record of kind {}, found {}", record_kind_name(kind), record_kind_name(record.kind)), ""};
  }
  ByteReader r(record.body);
  T out;
  STELE_CHECK(read(r, out));
  STELE_CHECK(r.finish(record_kind_name(kind)));
  return out;
}

}  // namespace stele::format
