#pragma once

#include <string_view>

#include "core/crypto/secret.h"
#include "core/crypto/suite.h"

namespace stele::crypto {

/// Public half of a signing key. A value; any thread.
class VerifyKey {
 public:
  /// kDamaged when `bytes` has not the suite's size.
  static Result<VerifyKey> from(const Suite& suite, ByteView bytes);

  const Suite& suite() const { return *suite_; }
  ByteView bytes() const { return bytes_; }
  bool operator==(const VerifyKey& other) const { return suite_ == other.suite_ && bytes_ == other.bytes_; }

  /// kForged unless `signature` is one by this key over the domain and message.
  Status verify(std::string_view domain, ByteView message, ByteView signature) const;

 private:
  VerifyKey(const Suite& suite, ByteView bytes) : suite_(&suite), bytes_(to_bytes(bytes)) {}
  const Suite* suite_;
  Bytes bytes_;
};

/// A signing key. What is signed is u8 size of the domain tag, the tag, the message: a signature for one kind of bytes
/// is none for another. Domain tags are 1 to 255 bytes. Signing is const and may be called from any thread.
class SigningKey {
 public:
  static SigningKey generate(const Suite& suite, RandomSource& random);
  /// From the seed that a key file holds; kDamaged when it has not the suite's size.
  static Result<SigningKey> from_seed(const Suite& suite, SecretBytes seed);

  const Suite& suite() const { return *suite_; }
  const VerifyKey& verify_key() const { return verify_key_; }
  const SecretBytes& seed() const { return seed_; }
  /// A signature of the suite's size.
  Bytes sign(std::string_view domain, ByteView message) const;

 private:
  SigningKey(const Suite& suite, SecretBytes seed, SecretBytes secret, VerifyKey verify_key);
  const Suite* suite_;
  SecretBytes seed_;
  SecretBytes secret_;
  VerifyKey verify_key_;
};

}  // namespace stele::crypto
