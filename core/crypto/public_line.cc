#include <fmt/format.h>

#include "core/crypto/key_file.h"
#include "core/crypto/key_text.h"

namespace stele::crypto {

namespace {

bool is_recipient(KeyKind kind) {
  return kind == KeyKind::kRecovery || kind == KeyKind::kDrill;
}

Error other_sort(const PublicKeyLine& line, std::string_view wanted) {
  return Error{ErrorCode::kConfig,
               fmt::format("a public key of kind {} where one of kind {} belongs", key_kind_name(line.kind), wanted),
               ""};
}

Result<VerifyKey> read_verify_key(std::string_view text, KeyKind kind, const char* wrong, const char* hint) {
  if (auto hex = from_hex(text); hex.ok()) {
    if (auto key = VerifyKey::from(default_suite(), *hex); key.ok()) return key;
  }
  auto line = decode_public_key(text);
  if (!line.ok() || line->kind != kind) return Error{ErrorCode::kConfig, wrong, hint};
  return as_verify_key(*line);
}

}  // namespace

PublicKeyLine public_line_of(const RecoveryKey& key) {
  return {key.kind, &key.pair.suite(), key.label, to_bytes(key.pair.public_key().bytes())};
}

PublicKeyLine public_line_of(const AuthorityKey& key) {
  return {KeyKind::kAuthority, &key.key.suite(), key.label, to_bytes(key.key.verify_key().bytes())};
}

PublicKeyLine public_line_of(const AgentKey& key) {
  return {KeyKind::kAgent, &key.signing.suite(), key.label, to_bytes(key.signing.verify_key().bytes())};
}

PublicKeyLine public_line_of(const ReceiverKey& key) {
  return {KeyKind::kReceiver, &key.key.suite(), key.label, to_bytes(key.key.verify_key().bytes())};
}

PublicKeyLine public_line_of(const RestoreHostKey& key) {
  return {KeyKind::kRestoreHost, &key.key.suite(), key.label, to_bytes(key.key.verify_key().bytes())};
}

Result<std::string> encode_public_key(const PublicKeyLine& key) {
  STELE_CHECK(check_key_label(key.label));
  Bytes body;
  ByteWriter writer(body);
  writer.u16(static_cast<std::uint16_t>(key.suite->id()));
  writer.u8(static_cast<std::uint8_t>(key.label.size()));
  writer.raw(key.label);
  writer.str16(as_text(key.public_key));
  return std::string(as_text(encode_key_text(key.kind, KeyTextSort::kPublic, body).view()));
}

Result<PublicKeyLine> decode_public_key(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = line.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return Error{ErrorCode::kDamaged, "read a public key: it is empty", ""};
  line = line.substr(begin, line.find_last_not_of(kSpace) - begin + 1);
  STELE_TRY(KeyText text, decode_key_text(KeyTextSort::kPublic, as_bytes(line)));
  ByteReader reader(text.body.view());
  PublicKeyLine key;
  key.kind = text.kind;
  STELE_TRY(key.suite, find_suite(reader.u16()));
  key.label = as_text(reader.raw(reader.u8()));
  key.public_key = to_bytes(reader.raw(reader.u16()));
  STELE_CHECK(reader.finish("public key"));
  const SuiteSizes& sizes = key.suite->sizes();
  if (!check_key_label(key.label).ok() ||
      key.public_key.size() != (is_recipient(key.kind) ? sizes.seal_public : sizes.verify_key)) {
    return Error{ErrorCode::kDamaged, "read a public key: its label or size is wrong", ""};
  }
  return key;
}

Result<RecipientKey> as_recipient(const PublicKeyLine& line) {
  if (!is_recipient(line.kind)) return other_sort(line, "recovery or drill");
  return RecipientKey::from(*line.suite, line.public_key);
}

Result<VerifyKey> as_verify_key(const PublicKeyLine& line) {
  if (is_recipient(line.kind)) return other_sort(line, "authority, agent, receiver or restore-host");
  return VerifyKey::from(*line.suite, line.public_key);
}

Result<VerifyKey> read_authority_key(std::string_view text) {
  return read_verify_key(text, KeyKind::kAuthority, "not an authority's public key: expected 64 hexadecimal digits or a line stele-authority-public:...",
                         "use authority.pub, which stele-restore keygen made");
}

Result<VerifyKey> read_restore_host_key(std::string_view text) {
  return read_verify_key(text, KeyKind::kRestoreHost, "not a restore host's public key: expected 64 hexadecimal digits or a line stele-restore-host-public:...",
                         "use restore-host.pub, which stele-restore keygen --restore-host made");
}

}  // namespace stele::crypto
