#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/bytes.h"

namespace stele::crypto {

/// Which algorithms: part of every format. 0 is never written; 0xFF00 and above are for tests.
enum class SuiteId : std::uint16_t { kNone = 0, kAes256GcmSha256 = 1 };
inline constexpr std::uint16_t kFirstTestSuite = 0xFF00;

/// Every size in bytes. Formats take sizes from here and nowhere else. Identities (`FixedBytes<32>`: Digest, ChunkName,
/// JoinTag, ...) stay 32 bytes under every suite: a longer hash is cut to its first 32 bytes for them.
struct SuiteSizes {
  std::size_t key;    ///< AEAD, keyed hash and KDF keys
  std::size_t nonce;  ///< at least 8: the counter, little-endian, then zeros
  std::size_t tag;    ///< added to every sealed frame or chunk
  std::size_t hash;   ///< full output of hash and keyed hash, at least 32
  std::size_t signature;
  std::size_t verify_key;      ///< public half of a signing key
  std::size_t signing_secret;  ///< in memory only; files hold the seed
  std::size_t seal_public;     ///< public half of a recipient
  std::size_t seal_secret;     ///< in memory only; files hold the seed
  std::size_t seal_overhead;   ///< a sealed box is this much longer than its content
  std::size_t seed;            ///< from which a signing or recipient pair is made
};

/// No suite has a longer hash.
inline constexpr std::size_t kMaxHash = 128;

/// A running hash or keyed hash. One thread at a time.
class HashState {
 public:
  virtual ~HashState() = default;
  virtual void update(ByteView bytes) = 0;
  /// `out` has the suite's hash size. The state then starts again, with the same key.
  virtual void finish(MutableByteView out) = 0;
};

/// A cipher with its key schedule, for one direction. One thread at a time. Wiped when destroyed.
class AeadState {
 public:
  virtual ~AeadState() = default;
  /// Encrypts the parts one after the other; `ciphertext` is as long as all parts. It may be the very memory of a
  /// single part.
  virtual bool seal(ByteView nonce, ByteView aad, std::span<const ByteView> parts, MutableByteView ciphertext,
                    MutableByteView tag) = 0;
  /// False when the tag differs; `plaintext` (as long as `ciphertext`) is then not to be used.
  virtual bool open(ByteView nonce, ByteView aad, ByteView ciphertext, ByteView tag, MutableByteView plaintext) = 0;
};

/// The operations of a suite. Sizes of arguments are the caller's duty: use the classes in hash.h, kdf.h, aead.h,
/// sign.h and seal.h, which check them. Immutable, any thread, lives as long as the program.
class Suite {
 public:
  virtual ~Suite() = default;
  virtual SuiteId id() const = 0;
  virtual std::string_view name() const = 0;
  virtual const SuiteSizes& sizes() const = 0;

  virtual std::unique_ptr<HashState> new_hash() const = 0;
  virtual std::unique_ptr<HashState> new_keyed_hash(ByteView key) const = 0;  ///< a key of any length
  virtual std::unique_ptr<AeadState> new_sealing(ByteView key) const = 0;
  virtual std::unique_ptr<AeadState> new_opening(ByteView key) const = 0;

  virtual void make_signing_pair(ByteView seed, MutableByteView secret, MutableByteView verify_key) const = 0;
  virtual void sign(ByteView secret, ByteView message, MutableByteView signature) const = 0;
  virtual bool verify(ByteView verify_key, ByteView message, ByteView signature) const = 0;

  virtual void make_seal_pair(ByteView seed, MutableByteView secret, MutableByteView seal_public) const = 0;
  /// False when `seal_public` is not a usable key. `ephemeral_seed` is fresh randomness of the suite's seed size.
  virtual bool seal_box(ByteView ephemeral_seed, ByteView seal_public, ByteView content,
                        MutableByteView sealed) const = 0;
  virtual bool open_box(ByteView secret, ByteView seal_public, ByteView sealed, MutableByteView content) const = 0;
};

/// Suite 1: AES-256-GCM, SHA-256 and HMAC-SHA-256 (OpenSSL), Ed25519 and X25519 sealed boxes (libsodium). What is
/// written now.
const Suite& default_suite();

/// The suite that a format names; kUnsupported when this program does not know it.
Result<const Suite*> find_suite(SuiteId id);
inline Result<const Suite*> find_suite(std::uint16_t id) {
  return find_suite(static_cast<SuiteId>(id));
}

/// Makes one more suite known, with an id of kFirstTestSuite or more. Only tests call it (tests/support/test_suite.h).
void register_suite_for_tests(const Suite& suite);

}  // namespace stele::crypto
