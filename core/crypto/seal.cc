#include "core/crypto/seal.h"

#include <fmt/format.h>

namespace stele::crypto {

namespace {
constexpr std::size_t kMaxSealedContent = 64 * 1024;
}

Result<RecipientKey> RecipientKey::from(const Suite& suite, ByteView bytes) {
  if (bytes.size() != suite.sizes().seal_public) {
    return Error{ErrorCode::kDamaged, fmt::format("public recovery key of {} bytes", bytes.size()), ""};
  }
  return RecipientKey(suite, bytes);
}

RecipientKeyPair::RecipientKeyPair(const Suite& suite, SecretBytes seed, SecretBytes secret, RecipientKey public_key)
    : suite_(&suite), seed_(std::move(seed)), secret_(std::move(secret)), public_key_(std::move(public_key)) {}

RecipientKeyPair RecipientKeyPair::generate(const Suite& suite, RandomSource& random) {
  return from_seed(suite, SecretBytes::random(suite.sizes().seed, random)).value();
}

Result<RecipientKeyPair> RecipientKeyPair::from_seed(const Suite& suite, SecretBytes seed) {
  if (seed.size() != suite.sizes().seed) {
    return Error{ErrorCode::kDamaged, fmt::format("recovery key seed of {} bytes", seed.size()), ""};
  }
  SecretBytes secret(suite.sizes().seal_secret);
  Bytes seal_public(suite.sizes().seal_public);
  suite.make_seal_pair(seed.view(), secret.mutable_view(), seal_public);
  STELE_TRY(RecipientKey key, RecipientKey::from(suite, seal_public));
  return RecipientKeyPair(suite, std::move(seed), std::move(secret), std::move(key));
}

Result<SecretBytes> RecipientKeyPair::open_sealed(ByteView sealed) const {
  const std::size_t overhead = suite_->sizes().seal_overhead;
  if (sealed.size() >= overhead && sealed.size() - overhead <= kMaxSealedContent) {
    SecretBytes content(sealed.size() - overhead);
    if (suite_->open_box(secret_.view(), public_key_.bytes(), sealed, content.mutable_view())) return content;
  }
  return Error{ErrorCode::kKeyWrong,
               fmt::format("recovery key {} does not open this sealed key", to_hex(public_key_.bytes().first(4))),
               "use a recovery key of this site; `stele-restore keys` lists the recipients"};
}

Result<Bytes> seal_to(const RecipientKey& recipient, ByteView content, RandomSource& random) {
  const Suite& suite = recipient.suite();
  if (content.size() > kMaxSealedContent) return Error{ErrorCode::kInternal, "seal_to: more than 64 KiB", ""};
  Bytes sealed(content.size() + suite.sizes().seal_overhead);
  const SecretBytes ephemeral = SecretBytes::random(suite.sizes().seed, random);
  if (!suite.seal_box(ephemeral.view(), recipient.bytes(), content, sealed)) {
    return Error{ErrorCode::kKeyWrong, fmt::format("{} is not a usable public key", to_hex(recipient.bytes())), ""};
  }
  return sealed;
}

}  // namespace stele::crypto
