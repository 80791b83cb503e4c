#include "core/crypto/aead.h"

#include <fmt/format.h>

#include "core/crypto/library.h"

namespace stele::crypto {

namespace {

constexpr std::size_t kMaxNonce = 32;

/// The counter, little-endian in the first 8 bytes; the rest zero.
class Nonce {
 public:
  Nonce(const Suite& suite, std::uint64_t counter) : size_(suite.sizes().nonce) {
    require(size_ >= 8 && size_ <= kMaxNonce, "nonce size");
    for (int i = 0; i < 8; ++i) bytes_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(counter >> (8 * i));
  }
  ByteView view() const { return ByteView(bytes_).first(size_); }

 private:
  std::array<std::uint8_t, kMaxNonce> bytes_{};
  std::size_t size_;
};

Status check_key(const Suite& suite, const SecretBytes& key) {
  if (key.size() == suite.sizes().key) return {};
  return Error{ErrorCode::kInternal,
               fmt::format("object key of {} bytes, suite {} has {}", key.size(), static_cast<unsigned>(suite.id()),
                           suite.sizes().key),
               ""};
}

Error damaged(std::uint64_t counter, std::string_view why) {
  return Error{ErrorCode::kDamaged, fmt::format("open sealed bytes number {}: {}", counter, why),
               "another receiver may have a whole copy"};
}

}  // namespace

Result<Sealer> Sealer::create(const Suite& suite, SecretBytes object_key) {
  STELE_CHECK(check_key(suite, object_key));
  return Sealer(suite, suite.new_sealing(object_key.view()));
}

Sealer::Sealer(Sealer&& other) noexcept
    : suite_(other.suite_), state_(std::move(other.state_)), counter_(other.counter_) {}

Result<std::uint64_t> Sealer::seal(ByteView aad, ByteView plaintext, Bytes& out) {
  const std::size_t before = out.size();
  const std::size_t tag = suite_->sizes().tag;
  out.resize(before + plaintext.size() + tag);
  auto sealed = MutableByteView(out).subspan(before);
  auto result = seal(aad, {&plaintext, 1}, sealed.first(plaintext.size()), sealed.last(tag));
  if (!result.ok()) out.resize(before);
  return result;
}

Result<std::uint64_t> Sealer::seal(ByteView aad, std::span<const ByteView> parts, MutableByteView ciphertext,
                                   MutableByteView tag) {
  if (state_ == nullptr) {
    return Error{ErrorCode::kInternal, "seal: this object's encoder failed before or was moved from", ""};
  }
  // Out until it is known that all went well: after an error nothing more is sealed under this key.
  auto state = std::move(state_);
  std::size_t size = 0;
  for (ByteView part : parts) size += part.size();
  if (size > kMaxSealBytes || aad.size() > kMaxSealBytes || counter_ >= kMaxSealsPerKey) {
    return Error{ErrorCode::kInternal, fmt::format("seal number {}: over the limits of one key", counter_), ""};
  }
  if (ciphertext.size() != size || tag.size() != suite_->sizes().tag) {
    return Error{ErrorCode::kInternal, "seal: room of the wrong size", ""};
  }
  if (!state->seal(Nonce(*suite_, counter_).view(), aad, parts, ciphertext, tag)) {
    return Error{ErrorCode::kInternal, fmt::format("seal number {}: the cipher failed", counter_), ""};
  }
  state_ = std::move(state);
  return counter_++;
}

Result<Opener> Opener::create(const Suite& suite, const SecretBytes& object_key) {
  STELE_CHECK(check_key(suite, object_key));
  return Opener(suite, suite.new_opening(object_key.view()));
}

Result<Bytes> Opener::open(std::uint64_t counter, ByteView aad, ByteView sealed) {
  const std::size_t tag = suite_->sizes().tag;
  if (sealed.size() < tag) return damaged(counter, "shorter than its tag");
  Bytes plaintext(sealed.size() - tag);
  STELE_CHECK(open_into(counter, aad, sealed, plaintext));
  return plaintext;
}

Status Opener::open_into(std::uint64_t counter, ByteView aad, ByteView sealed, MutableByteView plaintext) {
  const std::size_t tag = suite_->sizes().tag;
  if (sealed.size() < tag) return damaged(counter, "shorter than its tag");
  if (sealed.size() - tag > kMaxSealBytes || aad.size() > kMaxSealBytes || counter >= kMaxSealsPerKey) {
    return damaged(counter, "over the limits of one key");
  }
  if (plaintext.size() != sealed.size() - tag) return Error{ErrorCode::kInternal, "open: room of the wrong size", ""};
  if (!state_->open(Nonce(*suite_, counter).view(), aad, sealed.first(sealed.size() - tag), sealed.last(tag),
                    plaintext)) {
    wipe(plaintext);
    return damaged(counter, "the tag differs");
  }
  return {};
}

}  // namespace stele::crypto
