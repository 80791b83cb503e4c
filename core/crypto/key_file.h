#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/crypto/seal.h"
#include "core/crypto/sign.h"

namespace stele::crypto {

// Key files and public key lines, one line of text each: layout in KEYFILE.md. Functions work on bytes; files are read
// with read_key_file and written by callers, with mode 0600. Errors of every decode function: kDamaged for
// anything that is not exactly what encode wrote (absurd Argon2id parameters included), kUnsupported for a version or
// suite this program does not know, kKeyMissing for a protected file without passphrase, kKeyWrong for a wrong
// passphrase, kConfig for the file of another kind of key.

enum class KeyKind : std::uint8_t { kRecovery = 1, kDrill = 2, kAuthority = 3, kAgent = 4, kReceiver = 5, kRestoreHost = 6 };
/// "recovery", "drill", "authority", "agent", "receiver", "restore-host".
std::string_view key_kind_name(KeyKind kind);

/// Cost of turning a passphrase into a key. The file carries it; decode refuses more than the limits before any work.
struct PassphraseCost {
  std::uint32_t operations = 3;  ///< libsodium's MODERATE
  std::uint64_t memory_bytes = 256ull << 20;
  static PassphraseCost minimal() { return {1, 8192}; }  ///< for tests
};
inline constexpr std::uint32_t kMaxPassphraseOperations = 16;
inline constexpr std::uint64_t kMaxPassphraseMemory = 1ull << 30;
inline constexpr std::size_t kMaxKeyFileBytes = 8192;
inline constexpr std::size_t kMaxKeyLabelBytes = 64;

/// The passphrase and what encode needs to protect with it.
struct Protection {
  const SecretBytes& passphrase;
  RandomSource& random;
  PassphraseCost cost = {};
};

/// Opens everything that was sealed to it. Kind kRecovery (offline, always protected) or kDrill (online, may be
/// unprotected).
struct RecoveryKey {
  KeyKind kind = KeyKind::kRecovery;
  std::string label;  ///< for people: 0 to 64 printable ASCII characters, such as "440000 safe 2"
  RecipientKeyPair pair;
  VerifyKey authority;  ///< whose enrolments and recipient lists restore believes
};

/// Signs enrolments and recipient lists; kept offline.
struct AuthorityKey {
  std::string label;
  SigningKey key;
};

/// The agent's three keys; read without a passphrase, mode 0600.
struct AgentKey {
  std::string label;
  SigningKey signing;
  SecretBytes chunk_name_key;  ///< names chunks (TRUST section 2)
  SecretBytes join_tag_key;    ///< makes join tags

  static AgentKey generate(const Suite& suite, std::string label, RandomSource& random);
};

/// A receiver's signing key: signs what the receiver says about itself; read without a passphrase, mode 0600.
struct ReceiverKey {
  std::string label;
  SigningKey key;
};

/// A restore host's signing key: signs what it says about its drills; read without a passphrase, mode 0600.
struct RestoreHostKey {
  std::string label;
  SigningKey key;
};

/// A whole file, newline included. kConfig for a label that is not printable or too long, or an empty passphrase.
/// kConfig also for a cost outside the limits. A file without protection contains the secret: hence SecretBytes.
Result<SecretBytes> encode_recovery_key(const RecoveryKey& key, const Protection& protection);
/// Only for kind kDrill (kConfig otherwise).
Result<SecretBytes> encode_drill_key_unprotected(const RecoveryKey& key);
Result<SecretBytes> encode_authority_key(const AuthorityKey& key, const Protection& protection);
Result<SecretBytes> encode_agent_key(const AgentKey& key);
Result<SecretBytes> encode_receiver_key(const ReceiverKey& key);
Result<SecretBytes> encode_restore_host_key(const RestoreHostKey& key);

/// Recovery and drill keys. The passphrase may be empty for a file that is not protected.
Result<RecoveryKey> decode_recovery_key(ByteView file, const SecretBytes& passphrase);
Result<AuthorityKey> decode_authority_key(ByteView file, const SecretBytes& passphrase);
Result<AgentKey> decode_agent_key(ByteView file);
Result<ReceiverKey> decode_receiver_key(ByteView file);
Result<RestoreHostKey> decode_restore_host_key(ByteView file);

/// What a file says without its passphrase.
struct KeyFileInfo {
  KeyKind kind;
  bool is_protected;
  PassphraseCost cost;  ///< meaningful when protected
  const Suite* suite;
  std::string label;
  Bytes public_key;                    ///< RecipientKey or VerifyKey bytes, by kind
  std::optional<VerifyKey> authority;  ///< recovery and drill keys
};
Result<KeyFileInfo> inspect_key_file(ByteView file);

/// A public half as one line without newline, to be copied into configuration and enrolments:
/// "stele-recovery-public:1:HEX".
struct PublicKeyLine {
  KeyKind kind;
  const Suite* suite;
  std::string label;
  Bytes public_key;  ///< RecipientKey or VerifyKey bytes, by kind
};
PublicKeyLine public_line_of(const RecoveryKey& key);
PublicKeyLine public_line_of(const AuthorityKey& key);
PublicKeyLine public_line_of(const AgentKey& key);
PublicKeyLine public_line_of(const ReceiverKey& key);
PublicKeyLine public_line_of(const RestoreHostKey& key);
Result<std::string> encode_public_key(const PublicKeyLine& key);
/// Space and newlines around the line are ignored.
Result<PublicKeyLine> decode_public_key(std::string_view line);
/// The line's key as a recipient (recovery, drill) or as a verifier (the others); kConfig when it is the other
/// sort.
Result<RecipientKey> as_recipient(const PublicKeyLine& line);
Result<VerifyKey> as_verify_key(const PublicKeyLine& line);

/// An authority's public key as an operator may write it: 64 hexadecimal digits (suite 1), or the whole public line. kConfig otherwise.
Result<VerifyKey> read_authority_key(std::string_view text);
/// The same for a restore host's.
Result<VerifyKey> read_restore_host_key(std::string_view text);

/// A key file's bytes, if nobody but its owner may read or write it. They never lie outside locked memory: an unprotected key file is the key. kNotFound, kConfig for its
/// mode, kDamaged when it is too large, kIo.
Result<SecretBytes> read_key_file(const std::string& path);

}  // namespace stele::crypto
