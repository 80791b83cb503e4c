#include "core/crypto/sign.h"

#include <fmt/format.h>

#include "core/crypto/library.h"

namespace stele::crypto {

namespace {

Bytes with_domain(std::string_view domain, ByteView message) {
  require(!domain.empty() && domain.size() <= 255, "signature domain");
  Bytes out;
  out.reserve(1 + domain.size() + message.size());
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(domain.size()));
  writer.raw(domain);
  writer.raw(message);
  return out;
}

}  // namespace

Result<VerifyKey> VerifyKey::from(const Suite& suite, ByteView bytes) {
  if (bytes.size() != suite.sizes().verify_key) {
    return Error{ErrorCode::kDamaged, fmt::format("public signing key of {} bytes", bytes.size()), ""};
  }
  return VerifyKey(suite, bytes);
}

Status VerifyKey::verify(std::string_view domain, ByteView message, ByteView signature) const {
  if (signature.size() != suite_->sizes().signature ||
      !suite_->verify(bytes_, with_domain(domain, message), signature)) {
    return Error{ErrorCode::kForged,
                 fmt::format("signature ({}) is not by key {}", domain, to_hex(ByteView(bytes_).first(4))), ""};
  }
  return {};
}

SigningKey::SigningKey(const Suite& suite, SecretBytes seed, SecretBytes secret, VerifyKey verify_key)
    : suite_(&suite), seed_(std::move(seed)), secret_(std::move(secret)), verify_key_(std::move(verify_key)) {}

SigningKey SigningKey::generate(const Suite& suite, RandomSource& random) {
  return from_seed(suite, SecretBytes::random(suite.sizes().seed, random)).value();
}

Result<SigningKey> SigningKey::from_seed(const Suite& suite, SecretBytes seed) {
  if (seed.size() != suite.sizes().seed) {
    return Error{ErrorCode::kDamaged, fmt::format("signing key seed of {} bytes", seed.size()), ""};
  }
  SecretBytes secret(suite.sizes().signing_secret);
  Bytes verify_key(suite.sizes().verify_key);
  suite.make_signing_pair(seed.view(), secret.mutable_view(), verify_key);
  STELE_TRY(VerifyKey key, VerifyKey::from(suite, verify_key));
  return SigningKey(suite, std::move(seed), std::move(secret), std::move(key));
}

Bytes SigningKey::sign(std::string_view domain, ByteView message) const {
  Bytes signature(suite_->sizes().signature);
  suite_->sign(secret_.view(), with_domain(domain, message), signature);
  return signature;
}

}  // namespace stele::crypto
