#include "core/crypto/key_text.h"

#include <fmt/format.h>
#include <sodium.h>

#include "core/crypto/hash.h"
#include "core/crypto/library.h"

namespace stele::crypto {

namespace {

constexpr std::size_t kChecksumBytes = 8;
constexpr KeyKind kKinds[] = {KeyKind::kRecovery, KeyKind::kDrill, KeyKind::kAuthority, KeyKind::kAgent, KeyKind::kReceiver, KeyKind::kRestoreHost};

Digest checksum(std::string_view prefix, ByteView body) {
  return Hasher(default_suite()).update(as_bytes(prefix)).update(body).finish();
}

Error damaged(KeyTextSort sort, std::string_view why) {
  return Error{ErrorCode::kDamaged,
               fmt::format("read a {}: {}", sort == KeyTextSort::kKey ? "key file" : "public key", why),
               "use another copy of it"};
}

}  // namespace

std::string_view key_kind_name(KeyKind kind) {
  switch (kind) {
    case KeyKind::kRecovery:
      return "recovery";
    case KeyKind::kDrill:
      return "drill";
    case KeyKind::kAuthority:
      return "authority";
    case KeyKind::kAgent:
      return "agent";
    case KeyKind::kReceiver:
      return "receiver";
    case KeyKind::kRestoreHost:
      return "restore-host";
  }
  library_failure("key_kind_name");
}

std::string key_text_prefix(KeyKind kind, KeyTextSort sort) {
  return fmt::format("stele-{}-{}:1:", key_kind_name(kind), sort == KeyTextSort::kKey ? "key" : "public");
}

SecretBytes encode_key_text(KeyKind kind, KeyTextSort sort, ByteView body) {
  const std::string prefix = key_text_prefix(kind, sort);
  SecretBytes whole(body.size() + kChecksumBytes);
  const Digest sum = checksum(prefix, body);
  std::copy(body.begin(), body.end(), whole.mutable_view().begin());
  std::copy_n(sum.view().begin(), kChecksumBytes, whole.mutable_view().last(kChecksumBytes).begin());

  SecretBytes digits(2 * whole.size() + 1);  // sodium_bin2hex ends its text with a zero byte
  sodium_bin2hex(reinterpret_cast<char*>(digits.mutable_view().data()), digits.size(), whole.view().data(),
                 whole.size());
  SecretBytes text(prefix.size() + 2 * whole.size());
  std::copy(prefix.begin(), prefix.end(), text.mutable_view().begin());
  std::copy_n(digits.view().begin(), 2 * whole.size(), text.mutable_view().subspan(prefix.size()).begin());
  return text;
}

Result<KeyText> decode_key_text(KeyTextSort sort, ByteView text) {
  if (text.size() > kMaxKeyFileBytes) return damaged(sort, "too long");
  const std::string_view all = as_text(text);
  for (KeyKind kind : kKinds) {
    const std::string prefix = key_text_prefix(kind, sort);
    const std::string_view unversioned = std::string_view(prefix).substr(0, prefix.size() - 2);
    if (!all.starts_with(unversioned)) continue;
    if (!all.starts_with(prefix)) {
      return Error{ErrorCode::kUnsupported,
                   fmt::format("read a {} key: this version of the layout is not known", key_kind_name(kind)),
                   "use a newer version of Stele"};
    }
    const ByteView digits = text.subspan(prefix.size());
    // One text for one key: only lower case, an even number, nothing after.
    for (auto c : digits) {
      if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
        return damaged(sort, "a character that does not belong there");
    }
    if (digits.size() % 2 != 0 || digits.size() < 2 * kChecksumBytes) return damaged(sort, "cut off");
    SecretBytes whole(digits.size() / 2);
    std::size_t size = 0;
    if (sodium_hex2bin(whole.mutable_view().data(), whole.size(), reinterpret_cast<const char*>(digits.data()),
                       digits.size(), nullptr, &size, nullptr) != 0 ||
        size != whole.size()) {
      return damaged(sort, "not hexadecimal");
    }
    const ByteView body = whole.view().first(size - kChecksumBytes);
    const Digest sum = checksum(prefix, body);
    if (!equal_constant_time(sum.view().first(kChecksumBytes), whole.view().last(kChecksumBytes))) {
      return damaged(sort, "the checksum differs");
    }
    return KeyText{kind, prefix, SecretBytes::copy_of(body)};
  }
  return damaged(sort, "it does not begin as one");
}

Status check_key_label(std::string_view label) {
  const bool printable = std::all_of(label.begin(), label.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (printable && label.size() <= kMaxKeyLabelBytes) return {};
  return Error{ErrorCode::kConfig,
               fmt::format("a key's label is at most {} printable ASCII characters", kMaxKeyLabelBytes), ""};
}

}  // namespace stele::crypto
