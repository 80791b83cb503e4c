#include "restore/main/recipients.h"

#include <fmt/format.h>

#include "restore/main/key_output.h"

namespace stele::restore {

namespace {

Result<format::Recipient> read_recipient(const std::string& path) {
  STELE_TRY(const Bytes bytes, read_small_file(path, crypto::kMaxKeyFileBytes));
  auto line = crypto::decode_public_key(as_text(bytes));
  if (!line.ok()) return line.error().in(path);
  STELE_TRY(const crypto::RecipientKey key, crypto::as_recipient(*line));
  return format::Recipient{line->kind == crypto::KeyKind::kDrill ? format::RecipientKind::kDrill : format::RecipientKind::kRecovery, to_bytes(key.bytes()), line->label};
}

}  // namespace

Result<std::vector<format::Recipient>> read_recipients(const std::vector<std::string>& paths) {
  std::vector<format::Recipient> out;
  for (const std::string& path : paths) {
    STELE_TRY(format::Recipient recipient, read_recipient(path));
    for (const format::Recipient& other : out) {
      if (other.public_key == recipient.public_key) return Error{ErrorCode::kUsage, fmt::format("{}: the same key twice", path), ""};
    }
    out.push_back(std::move(recipient));
  }
  if (count_recovery(out) == 0) return Error{ErrorCode::kUsage, "no recovery key among the recipients: nobody could restore", "--recipient recovery.pub, at least two of them"};
  if (out.size() > format::kMaxRecipients) return Error{ErrorCode::kUsage, fmt::format("more than {} recipients", format::kMaxRecipients), ""};
  return out;
}

std::size_t count_recovery(const std::vector<format::Recipient>& recipients) {
  return static_cast<std::size_t>(std::count_if(recipients.begin(), recipients.end(), [](const format::Recipient& r) { return r.kind == format::RecipientKind::kRecovery; }));
}

Result<crypto::AuthorityKey> open_authority_key(const std::string& path, PassphraseSource& passphrases) {
  STELE_TRY(const crypto::SecretBytes file, crypto::read_key_file(path));
  STELE_TRY(const crypto::SecretBytes passphrase, passphrases.ask(fmt::format("passphrase of {}", path)));
  auto authority = crypto::decode_authority_key(file.view(), passphrase);
  if (!authority.ok()) return authority.error().in(path);
  return authority;
}

}  // namespace stele::restore
