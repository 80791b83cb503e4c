#include "core/format/trust_records.h"

#include "core/format/body.h"

namespace stele::format {

Result<SignedRecord> EnrolmentRequest::sign(const crypto::SigningKey& agent) const {
  return sign_body<EnrolmentRequest>(RecordKind::kEnrolmentRequest, agent, [&](ByteWriter& w) {
    write_database(w, database);
    write_key(w, agent_key);
    w.i64(created.micros);
  });
}

Result<EnrolmentRequest> EnrolmentRequest::read(const SignedRecord& record) {
  return read_body<EnrolmentRequest>(record, RecordKind::kEnrolmentRequest, [](ByteReader& r, EnrolmentRequest& out) -> Status {
    STELE_CHECK(read_database(r, out.database));
    out.agent_key = read_key(r);
    out.created = {r.i64()};
    return {};
  });
}

Result<SignedRecord> Enrolment::sign(const crypto::SigningKey& authority) const {
  return sign_body<Enrolment>(RecordKind::kEnrolment, authority, [&](ByteWriter& w) {
    write_database(w, database);
    write_key(w, agent_key);
    w.u64(first_generation.value);
    w.u64(serial);
    w.u8(accepted_head ? 1 : 0);
    if (accepted_head) {
      w.raw(accepted_head->stream.view());
      w.u64(accepted_head->end.value);
      w.raw(accepted_head->head.view());
    }
    w.i64(issued.micros);
  });
}

Result<Enrolment> Enrolment::read(const SignedRecord& record) {
  return read_body<Enrolment>(record, RecordKind::kEnrolment, [](ByteReader& r, Enrolment& out) -> Status {
    STELE_CHECK(read_database(r, out.database));
    out.agent_key = read_key(r);
    out.first_generation = {r.u64()};
    out.serial = r.u64();
    STELE_TRY(const bool has_head, read_flag(r));
    if (has_head) {
      Head head;
      r.fixed(head.stream);
      head.end = {r.u64()};
      r.fixed(head.head);
      out.accepted_head = head;
    }
    out.issued = {r.i64()};
    return {};
  });
}

Result<SignedRecord> Withdrawal::sign(const crypto::SigningKey& authority) const {
  return sign_body<Withdrawal>(RecordKind::kWithdrawal, authority, [&](ByteWriter& w) {
    write_database(w, database);
    w.raw(enrolment.view());
    w.raw(stream.view());
    w.u64(not_after.value);
    w.i64(issued.micros);
  });
}

Result<Withdrawal> Withdrawal::read(const SignedRecord& record) {
  return read_body<Withdrawal>(record, RecordKind::kWithdrawal, [](ByteReader& r, Withdrawal& out) -> Status {
    STELE_CHECK(read_database(r, out.database));
    r.fixed(out.enrolment);
    r.fixed(out.stream);
    out.not_after = {r.u64()};
    out.issued = {r.i64()};
    return {};
  });
}

Result<SignedRecord> RecipientList::sign(const crypto::SigningKey& authority) const {
  return sign_body<RecipientList>(RecordKind::kRecipientList, authority, [&](ByteWriter& w) {
    write_database(w, database);
    w.u64(serial);
    w.i64(issued.micros);
    w.u16(static_cast<std::uint16_t>(recipients.size()));
    for (const Recipient& r : recipients) write_recipient(w, r);
  });
}

Result<RecipientList> RecipientList::read(const SignedRecord& record) {
  return read_body<RecipientList>(record, RecordKind::kRecipientList, [](ByteReader& r, RecipientList& out) -> Status {
    STELE_CHECK(read_database(r, out.database));
    out.serial = r.u64();
    out.issued = {r.i64()};
    const std::size_t count = r.u16();
    if (count == 0 || count > kMaxRecipients) {
      return Error{ErrorCode::kDamaged, fmt::format("a recipient list of {} keys", count), "1 to 32 are allowed"};
    }
    for (std::size_t i = 0; i < count && !r.failed(); ++i) {
      STELE_TRY(Recipient recipient, read_recipient(r));
      for (const Recipient& other : out.recipients) {
        if (other.public_key == recipient.public_key) return Error{ErrorCode::kDamaged, "recipient list: one key twice", ""};
      }
      out.recipients.push_back(std::move(recipient));
    }
    return {};
  });
}

Status verify_by_any(const SignedRecord& record, const std::vector<crypto::VerifyKey>& authorities) {
  for (const crypto::VerifyKey& key : authorities) {
    if (verify_record(record, key).ok()) return {};
  }
  return Error{ErrorCode::kForged, fmt::format("{} {}: signed by none of the trusted authorities", record_kind_name(record.kind),
                                               record.id().short_hex()),
               "check which authority key this host trusts"};
}

}  // namespace stele::format
