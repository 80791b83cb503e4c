#include "core/crypto/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/crypto/aead.h"
#include "core/crypto/key_text.h"
#include "core/crypto/library.h"

namespace stele::crypto {

namespace {

enum class ProtectionKind : std::uint8_t { kNone = 0, kArgon2id = 1 };
using Salt = FixedBytes<crypto_pwhash_SALTBYTES, struct PassphraseSaltTag>;

/// Everything of a file's body but the secret; KEYFILE.md has the table.
struct Head {
  const Suite* suite = nullptr;
  ProtectionKind protection = ProtectionKind::kNone;
  std::string label;
  Bytes public_key;
  Bytes authority;
  PassphraseCost cost;
  Salt salt;
};

bool has_authority(KeyKind kind) {
  return kind == KeyKind::kRecovery || kind == KeyKind::kDrill;
}

std::size_t public_size(KeyKind kind, const Suite& suite) {
  return has_authority(kind) ? suite.sizes().seal_public : suite.sizes().verify_key;
}

std::size_t secret_size(KeyKind kind, const Suite& suite) {
  return suite.sizes().seed + (kind == KeyKind::kAgent ? 2 * suite.sizes().key : 0);
}

Error damaged(std::string_view why) {
  return Error{ErrorCode::kDamaged, fmt::format("read a key file: {}", why), "use another copy of it"};
}

bool is_sane(const PassphraseCost& cost) {
  return cost.operations >= 1 && cost.operations <= kMaxPassphraseOperations &&
         cost.memory_bytes >= crypto_pwhash_MEMLIMIT_MIN && cost.memory_bytes <= kMaxPassphraseMemory;
}

Bytes encode_head(const Head& head) {
  Bytes out;
  ByteWriter writer(out);
  writer.u16(static_cast<std::uint16_t>(head.suite->id()));
  writer.u8(static_cast<std::uint8_t>(head.protection));
  writer.u8(static_cast<std::uint8_t>(head.label.size()));
  writer.raw(head.label);
  writer.str16(as_text(head.public_key));
  writer.str16(as_text(head.authority));
  if (head.protection == ProtectionKind::kArgon2id) {
    writer.u32(head.cost.operations);
    writer.u64(head.cost.memory_bytes);
    writer.raw(head.salt.view());
  }
  return out;
}

Result<Head> decode_head(KeyKind kind, ByteReader& reader) {
  STELE_TRY(const Suite* suite, find_suite(reader.u16()));
  Head head;
  head.suite = suite;
  const std::uint8_t protection = reader.u8();
  head.label = as_text(reader.raw(reader.u8()));
  head.public_key = to_bytes(reader.raw(reader.u16()));
  head.authority = to_bytes(reader.raw(reader.u16()));
  if (protection > 1) return damaged("unknown protection");
  head.protection = static_cast<ProtectionKind>(protection);
  if (head.protection == ProtectionKind::kArgon2id) {
    head.cost.operations = reader.u32();
    head.cost.memory_bytes = reader.u64();
    reader.fixed(head.salt);
  }
  if (reader.failed()) return damaged("ends early");
  if (!check_key_label(head.label).ok()) return damaged("its label is not printable");
  if (head.public_key.size() != public_size(kind, *suite)) return damaged("public key of the wrong size");
  if (head.authority.size() != (has_authority(kind) ? suite->sizes().verify_key : 0))
    return damaged("authority key of the wrong size");
  if (head.protection == ProtectionKind::kArgon2id && !is_sane(head.cost)) return damaged("absurd Argon2id parameters");
  const bool must_protect = kind == KeyKind::kRecovery || kind == KeyKind::kAuthority;
  if ((must_protect && head.protection == ProtectionKind::kNone) ||
      ((kind == KeyKind::kAgent || kind == KeyKind::kReceiver || kind == KeyKind::kRestoreHost) && head.protection != ProtectionKind::kNone)) {
    return damaged("protection that this kind of key does not have");
  }
  return head;
}

Result<SecretBytes> passphrase_key(const Head& head, const SecretBytes& passphrase) {
  require_library();
  SecretBytes key(head.suite->sizes().key);
  if (crypto_pwhash(key.mutable_view().data(), key.size(), reinterpret_cast<const char*>(passphrase.view().data()),
                    passphrase.size(), head.salt.data.data(), head.cost.operations, head.cost.memory_bytes,
                    crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Error{ErrorCode::kIo,
                 fmt::format("Argon2id of a passphrase: {} bytes of memory are not to be had", head.cost.memory_bytes),
                 "free memory on this machine and try again"};
  }
  return key;
}

/// The associated data of the encrypted secret: the whole clear part, prefix included.
Bytes associated(std::string_view prefix, ByteView head) {
  Bytes out = to_bytes(as_bytes(prefix));
  out.insert(out.end(), head.begin(), head.end());
  return out;
}

/// Head, secret (plain or sealed), as a line with its newline.
Result<SecretBytes> encode_file(KeyKind kind, Head head, ByteView secret, const Protection* protection) {
  STELE_CHECK(check_key_label(head.label));
  if (secret.size() != secret_size(kind, *head.suite) || head.public_key.size() != public_size(kind, *head.suite) ||
      head.authority.size() != (has_authority(kind) ? head.suite->sizes().verify_key : 0)) {
    return Error{ErrorCode::kInternal, "write a key file: keys of different suites", ""};
  }
  Bytes sealed;
  if (protection != nullptr) {
    if (protection->passphrase.empty()) return Error{ErrorCode::kConfig, "protect a key: the passphrase is empty", ""};
    if (!is_sane(protection->cost))
      return Error{ErrorCode::kConfig, "protect a key: Argon2id cost outside the limits", ""};
    head.protection = ProtectionKind::kArgon2id;
    head.cost = protection->cost;
    head.salt = protection->random.draw<Salt>();
    STELE_TRY(SecretBytes key, passphrase_key(head, protection->passphrase));
    // A new salt for every file makes a new key, so counter 0 is used once.
    STELE_TRY(Sealer sealer, Sealer::create(*head.suite, std::move(key)));
    STELE_CHECK(sealer.seal(associated(key_text_prefix(kind, KeyTextSort::kKey), encode_head(head)), secret, sealed));
    secret = sealed;
  }
  const Bytes clear = encode_head(head);
  SecretBytes body(clear.size() + 2 + secret.size());
  auto out = body.mutable_view();
  std::copy(clear.begin(), clear.end(), out.begin());
  out[clear.size()] = static_cast<std::uint8_t>(secret.size());
  out[clear.size() + 1] = static_cast<std::uint8_t>(secret.size() >> 8);
  std::copy(secret.begin(), secret.end(), out.subspan(clear.size() + 2).begin());

  const SecretBytes line = encode_key_text(kind, KeyTextSort::kKey, body.view());
  SecretBytes file(line.size() + 1);
  std::copy(line.view().begin(), line.view().end(), file.mutable_view().begin());
  file.mutable_view().back() = '\n';
  return file;
}

struct File {
  KeyText text;
  Head head;
  ByteView clear;   ///< of text.body: the head
  ByteView secret;  ///< of text.body: plain or sealed
};

Result<File> decode_file(ByteView bytes) {
  if (bytes.empty() || bytes.back() != '\n') return damaged("cut off");
  STELE_TRY(KeyText text, decode_key_text(KeyTextSort::kKey, bytes.first(bytes.size() - 1)));
  ByteReader reader(text.body.view());
  STELE_TRY(Head head, decode_head(text.kind, reader));
  const ByteView clear = text.body.view().first(reader.position());
  const ByteView secret = reader.raw(reader.u16());
  STELE_CHECK(reader.finish("key file"));
  const std::size_t tag = head.protection == ProtectionKind::kNone ? 0 : head.suite->sizes().tag;
  if (secret.size() != secret_size(text.kind, *head.suite) + tag) return damaged("secret of the wrong size");
  // Moving a SecretBytes keeps its memory, so the views stay valid.
  return File{std::move(text), std::move(head), clear, secret};
}

Result<SecretBytes> open_secret(const File& file, const SecretBytes& passphrase) {
  if (file.head.protection == ProtectionKind::kNone) return SecretBytes::copy_of(file.secret);
  if (passphrase.empty()) {
    return Error{
        ErrorCode::kKeyMissing,
        fmt::format("the {} key is protected by a passphrase and none was given", key_kind_name(file.text.kind)), ""};
  }
  STELE_TRY(SecretBytes key, passphrase_key(file.head, passphrase));
  STELE_TRY(Opener opener, Opener::create(*file.head.suite, key));
  SecretBytes secret(secret_size(file.text.kind, *file.head.suite));
  // The checksum was right, so what does not fit is the passphrase.
  if (!opener.open_into(0, associated(file.text.prefix, file.clear), file.secret, secret.mutable_view()).ok()) {
    return Error{ErrorCode::kKeyWrong, fmt::format("wrong passphrase for the {} key", key_kind_name(file.text.kind)),
                 ""};
  }
  return secret;
}

Error other_kind(KeyKind wanted, KeyKind found) {
  return Error{ErrorCode::kConfig,
               fmt::format("the key file is of kind {}, wanted is {}", key_kind_name(found), key_kind_name(wanted)),
               ""};
}

Head head_of(const RecoveryKey& key) {
  Head head;
  head.suite = &key.pair.suite();
  head.label = key.label;
  head.public_key = to_bytes(key.pair.public_key().bytes());
  head.authority = to_bytes(key.authority.bytes());
  return head;
}

Head head_of(const SigningKey& key, const std::string& label) {
  Head head;
  head.suite = &key.suite();
  head.label = label;
  head.public_key = to_bytes(key.verify_key().bytes());
  return head;
}

/// The signing key of an opened secret; its public half must be the one in the file.
Result<SigningKey> signing_key(const File& file, ByteView seed) {
  STELE_TRY(SigningKey key, SigningKey::from_seed(*file.head.suite, SecretBytes::copy_of(seed)));
  if (!equal(key.verify_key().bytes(), file.head.public_key))
    return damaged("public and secret half do not belong together");
  return key;
}

}  // namespace

AgentKey AgentKey::generate(const Suite& suite, std::string label, RandomSource& random) {
  SigningKey signing = SigningKey::generate(suite, random);
  SecretBytes chunk_name_key = SecretBytes::random(suite.sizes().key, random);
  SecretBytes join_tag_key = SecretBytes::random(suite.sizes().key, random);
  return {std::move(label), std::move(signing), std::move(chunk_name_key), std::move(join_tag_key)};
}

Result<SecretBytes> encode_recovery_key(const RecoveryKey& key, const Protection& protection) {
  if (!has_authority(key.kind)) return Error{ErrorCode::kInternal, "write a recovery key: not of that kind", ""};
  return encode_file(key.kind, head_of(key), key.pair.seed().view(), &protection);
}

Result<SecretBytes> encode_drill_key_unprotected(const RecoveryKey& key) {
  if (key.kind != KeyKind::kDrill) return Error{ErrorCode::kConfig, "only a drill key may be without a passphrase", ""};
  return encode_file(key.kind, head_of(key), key.pair.seed().view(), nullptr);
}

Result<SecretBytes> encode_authority_key(const AuthorityKey& key, const Protection& protection) {
  return encode_file(KeyKind::kAuthority, head_of(key.key, key.label), key.key.seed().view(), &protection);
}

Result<SecretBytes> encode_agent_key(const AgentKey& key) {
  SecretBytes secret(secret_size(KeyKind::kAgent, key.signing.suite()));
  auto out = secret.mutable_view().begin();
  for (const SecretBytes* part : {&key.signing.seed(), &key.chunk_name_key, &key.join_tag_key}) {
    out = std::copy(part->view().begin(), part->view().end(), out);
  }
  return encode_file(KeyKind::kAgent, head_of(key.signing, key.label), secret.view(), nullptr);
}

Result<SecretBytes> encode_receiver_key(const ReceiverKey& key) {
  return encode_file(KeyKind::kReceiver, head_of(key.key, key.label), key.key.seed().view(), nullptr);
}

Result<SecretBytes> encode_restore_host_key(const RestoreHostKey& key) {
  return encode_file(KeyKind::kRestoreHost, head_of(key.key, key.label), key.key.seed().view(), nullptr);
}

Result<RecoveryKey> decode_recovery_key(ByteView bytes, const SecretBytes& passphrase) {
  STELE_TRY(File file, decode_file(bytes));
  if (!has_authority(file.text.kind)) return other_kind(KeyKind::kRecovery, file.text.kind);
  STELE_TRY(SecretBytes seed, open_secret(file, passphrase));
  STELE_TRY(RecipientKeyPair pair, RecipientKeyPair::from_seed(*file.head.suite, std::move(seed)));
  if (!equal(pair.public_key().bytes(), file.head.public_key))
    return damaged("public and secret half do not belong together");
  STELE_TRY(VerifyKey authority, VerifyKey::from(*file.head.suite, file.head.authority));
  return RecoveryKey{file.text.kind, file.head.label, std::move(pair), std::move(authority)};
}

Result<AuthorityKey> decode_authority_key(ByteView bytes, const SecretBytes& passphrase) {
  STELE_TRY(File file, decode_file(bytes));
  if (file.text.kind != KeyKind::kAuthority) return other_kind(KeyKind::kAuthority, file.text.kind);
  STELE_TRY(SecretBytes seed, open_secret(file, passphrase));
  STELE_TRY(SigningKey key, signing_key(file, seed.view()));
  return AuthorityKey{file.head.label, std::move(key)};
}

Result<AgentKey> decode_agent_key(ByteView bytes) {
  STELE_TRY(File file, decode_file(bytes));
  if (file.text.kind != KeyKind::kAgent) return other_kind(KeyKind::kAgent, file.text.kind);
  const SuiteSizes& sizes = file.head.suite->sizes();
  STELE_TRY(SigningKey key, signing_key(file, file.secret.first(sizes.seed)));
  return AgentKey{file.head.label, std::move(key), SecretBytes::copy_of(file.secret.subspan(sizes.seed, sizes.key)),
                  SecretBytes::copy_of(file.secret.last(sizes.key))};
}

Result<ReceiverKey> decode_receiver_key(ByteView bytes) {
  STELE_TRY(File file, decode_file(bytes));
  if (file.text.kind != KeyKind::kReceiver) return other_kind(KeyKind::kReceiver, file.text.kind);
  STELE_TRY(SigningKey key, signing_key(file, file.secret));
  return ReceiverKey{file.head.label, std::move(key)};
}

Result<RestoreHostKey> decode_restore_host_key(ByteView bytes) {
  STELE_TRY(File file, decode_file(bytes));
  if (file.text.kind != KeyKind::kRestoreHost) return other_kind(KeyKind::kRestoreHost, file.text.kind);
  STELE_TRY(SigningKey key, signing_key(file, file.secret));
  return RestoreHostKey{file.head.label, std::move(key)};
}

Result<KeyFileInfo> inspect_key_file(ByteView bytes) {
  STELE_TRY(File file, decode_file(bytes));
  KeyFileInfo info{.kind = file.text.kind,
                   .is_protected = file.head.protection != ProtectionKind::kNone,
                   .cost = file.head.cost,
                   .suite = file.head.suite,
                   .label = file.head.label,
                   .public_key = file.head.public_key,
                   .authority = std::nullopt};
  if (has_authority(info.kind)) {
    STELE_TRY(info.authority, VerifyKey::from(*info.suite, file.head.authority));
  }
  return info;
}

Result<SecretBytes> read_key_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("open key file", path, errno);
  SecretBytes bytes(kMaxKeyFileBytes + 1);
  struct stat info {};
  Status read;
  if (::fstat(fd, &info) != 0) {
    read = system_error("look at", path, errno);
  } else if ((info.st_mode & 077) != 0) {
    read = Error{ErrorCode::kConfig, fmt::format("key file {} may be used by others (mode {:04o})", path, info.st_mode & 07777), fmt::format("chmod 600 {}", path)};
  }
  std::size_t size = 0;
  while (read.ok() && size < bytes.size()) {
    const ssize_t n = ::read(fd, bytes.mutable_view().data() + size, bytes.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) read = system_error("read", path, errno);
    if (n <= 0) break;
    size += static_cast<std::size_t>(n);
  }
  ::close(fd);
  STELE_CHECK(read);
  if (size > kMaxKeyFileBytes) return Error{ErrorCode::kDamaged, fmt::format("{}: too large for a key file", path), ""};
  return SecretBytes::copy_of(bytes.view().first(size));
}

}  // namespace stele::crypto
