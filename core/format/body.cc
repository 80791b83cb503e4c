#include "core/format/body.h"

#include "core/base/text.h"

namespace stele::format {

const crypto::Suite& suite_or_default(crypto::SuiteId id) {
  auto found = crypto::find_suite(id);
  return found.ok() ? **found : crypto::default_suite();
}

void write_database(ByteWriter& w, const DatabaseName& name) {
  w.str16(name.site);
  w.str16(name.database);
}

Status read_database(ByteReader& r, DatabaseName& out) {
  out.site = r.str16();
  out.database = r.str16();
  if (Status ok = check_database_name(out); !ok.ok()) return Error{ErrorCode::kDamaged, ok.error().what, ""};
  return {};
}

void write_key(ByteWriter& w, ByteView key) {
  w.u16(static_cast<std::uint16_t>(key.size()));
  w.raw(key);
}

Bytes read_key(ByteReader& r) { return to_bytes(r.raw(r.u16())); }

void write_recipient(ByteWriter& w, const Recipient& recipient) {
  w.u8(static_cast<std::uint8_t>(recipient.kind));
  write_key(w, recipient.public_key);
  w.str16(recipient.label);
}

Result<bool> read_flag(ByteReader& r) {
  const std::uint8_t flag = r.u8();
  if (flag > 1) return Error{ErrorCode::kDamaged, fmt::format("a flag of {}", flag), ""};
  return flag == 1;
}

Result<Recipient> read_recipient(ByteReader& r) {
  Recipient out;
  const std::uint8_t kind = r.u8();
  if (kind != 1 && kind != 2) return Error{ErrorCode::kDamaged, fmt::format("recipient of unknown kind {}", kind), ""};
  out.kind = static_cast<RecipientKind>(kind);
  out.public_key = read_key(r);
  out.label = r.str16();
  if (out.label.size() > kMaxRecipientLabel || !is_one_line(out.label)) {
    return Error{ErrorCode::kDamaged, "the label of a recipient is too long or not one line", ""};
  }
  return out;
}

}  // namespace stele::format
