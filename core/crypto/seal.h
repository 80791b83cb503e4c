#pragma once

#include "core/crypto/secret.h"
#include "core/crypto/suite.h"

namespace stele::crypto {

/// Public half of a recovery or drill key: to whom data keys are sealed. A value; any thread.
class RecipientKey {
 public:
  /// kDamaged when `bytes` has not the suite's size.
  static Result<RecipientKey> from(const Suite& suite, ByteView bytes);

  const Suite& suite() const { return *suite_; }
  ByteView bytes() const { return bytes_; }
  bool operator==(const RecipientKey& other) const { return suite_ == other.suite_ && bytes_ == other.bytes_; }

 private:
  RecipientKey(const Suite& suite, ByteView bytes) : suite_(&suite), bytes_(to_bytes(bytes)) {}
  const Suite* suite_;
  Bytes bytes_;
};

/// A recipient's pair. Any thread.
class RecipientKeyPair {
 public:
  static RecipientKeyPair generate(const Suite& suite, RandomSource& random);
  /// From the seed that a key file holds; kDamaged when it has not the suite's size.
  static Result<RecipientKeyPair> from_seed(const Suite& suite, SecretBytes seed);

  const Suite& suite() const { return *suite_; }
  const RecipientKey& public_key() const { return public_key_; }
  const SecretBytes& seed() const { return seed_; }

  /// Opens a sealed box; kKeyWrong when it was sealed to another key (or damaged: signatures over the record tell that
  /// first).
  Result<SecretBytes> open_sealed(ByteView sealed) const;

 private:
  RecipientKeyPair(const Suite& suite, SecretBytes seed, SecretBytes secret, RecipientKey public_key);
  const Suite* suite_;
  SecretBytes seed_;
  SecretBytes secret_;
  RecipientKey public_key_;
};

/// An anonymous sealed box (libsodium's crypto_box_seal layout under suite 1) for one recipient: content plus the
/// suite's seal_overhead. It says nothing about who sealed it; records that carry one are signed. At most 64 KiB of
/// content (kInternal). kKeyWrong when the recipient's key is not a usable public key.
Result<Bytes> seal_to(const RecipientKey& recipient, ByteView content, RandomSource& random);

}  // namespace stele::crypto
