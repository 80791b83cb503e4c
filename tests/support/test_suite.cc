#include "tests/support/test_suite.h"

#include <sodium.h>

#include "core/crypto/init.h"
#include "core/crypto/library.h"
#include "core/crypto/secret.h"

namespace stele::test {

namespace {

using crypto::require;

// XChaCha20 and HMAC-SHA-512 cut to 48 bytes (encrypt, then authenticate), SHA-512, HMAC-SHA-512, Ed25519 and X25519
// with bytes added that are checked too.
constexpr std::size_t kKey = 40, kNonce = 24, kTag = 48, kHash = 64;
constexpr std::size_t kSignatureExtra = 16, kVerifyKeyExtra = 8, kPublicExtra = 16, kBoxExtra = 24, kSeed = 40;

/// The first out.size() bytes of SHA-512 over the pieces.
void sha512_cut(std::initializer_list<ByteView> pieces, MutableByteView out) {
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  for (ByteView piece : pieces) crypto_hash_sha512_update(&state, piece.data(), piece.size());
  std::array<std::uint8_t, kHash> full;
  crypto_hash_sha512_final(&state, full.data());
  std::copy_n(full.begin(), out.size(), out.begin());
}

bool is_sha512_cut(std::initializer_list<ByteView> pieces, ByteView expected) {
  Bytes actual(expected.size());
  sha512_cut(pieces, actual);
  return equal(actual, expected);
}

class Sha512State final : public crypto::HashState {
 public:
  Sha512State() { crypto_hash_sha512_init(&state_); }
  void update(ByteView bytes) override { crypto_hash_sha512_update(&state_, bytes.data(), bytes.size()); }
  void finish(MutableByteView out) override {
    require(out.size() == kHash, "test hash size");
    crypto_hash_sha512_final(&state_, out.data());
    crypto_hash_sha512_init(&state_);
  }

 private:
  crypto_hash_sha512_state state_;
};

class Hmac512State final : public crypto::HashState {
 public:
  explicit Hmac512State(ByteView key) : key_(to_bytes(key)) { start(); }
  void update(ByteView bytes) override { crypto_auth_hmacsha512_update(&state_, bytes.data(), bytes.size()); }
  void finish(MutableByteView out) override {
    require(out.size() == kHash, "test keyed hash size");
    crypto_auth_hmacsha512_final(&state_, out.data());
    start();
  }

 private:
  void start() { crypto_auth_hmacsha512_init(&state_, key_.data(), key_.size()); }
  Bytes key_;
  crypto_auth_hmacsha512_state state_;
};

class TestAead final : public crypto::AeadState {
 public:
  explicit TestAead(ByteView key) : key_(to_bytes(key)) { require(key.size() == kKey, "test key size"); }
  bool seal(ByteView nonce, ByteView aad, std::span<const ByteView> parts, MutableByteView ciphertext,
            MutableByteView tag) override {
    Bytes plaintext;
    for (ByteView part : parts) plaintext.insert(plaintext.end(), part.begin(), part.end());
    apply(nonce, plaintext, ciphertext);
    make_tag(nonce, aad, ciphertext, tag);
    return true;
  }
  bool open(ByteView nonce, ByteView aad, ByteView ciphertext, ByteView tag, MutableByteView plaintext) override {
    Bytes expected(kTag);
    make_tag(nonce, aad, ciphertext, expected);
    if (!equal(expected, tag)) return false;
    apply(nonce, ciphertext, plaintext);
    return true;
  }

 private:
  void apply(ByteView nonce, ByteView in, MutableByteView out) {
    require(nonce.size() == kNonce, "test nonce size");
    if (in.empty()) return;  // libsodium takes no null pointer
    crypto_stream_xchacha20_xor(out.data(), in.data(), in.size(), nonce.data(), key_.data());
  }
  void make_tag(ByteView nonce, ByteView aad, ByteView ciphertext, MutableByteView tag) {
    require(tag.size() == kTag, "test tag size");
    Bytes sizes;
    ByteWriter(sizes).u64(aad.size());
    Hmac512State hmac(key_);
    hmac.update(nonce);
    hmac.update(sizes);
    hmac.update(aad);
    hmac.update(ciphertext);
    Bytes full(kHash);
    hmac.finish(full);
    std::copy_n(full.begin(), kTag, tag.begin());
  }
  Bytes key_;
};

class TestSuite final : public crypto::Suite {
 public:
  crypto::SuiteId id() const override { return static_cast<crypto::SuiteId>(crypto::kFirstTestSuite + 1); }
  std::string_view name() const override { return "test suite of other sizes"; }
  const crypto::SuiteSizes& sizes() const override {
    static constexpr crypto::SuiteSizes kSizes{.key = kKey,
                                               .nonce = kNonce,
                                               .tag = kTag,
                                               .hash = kHash,
                                               .signature = crypto_sign_BYTES + kSignatureExtra,
                                               .verify_key = crypto_sign_PUBLICKEYBYTES + kVerifyKeyExtra,
                                               .signing_secret = crypto_sign_SECRETKEYBYTES,
                                               .seal_public = crypto_box_PUBLICKEYBYTES + kPublicExtra,
                                               .seal_secret = crypto_box_SECRETKEYBYTES,
                                               .seal_overhead = crypto_box_SEALBYTES + kBoxExtra,
                                               .seed = kSeed};
    return kSizes;
  }

  std::unique_ptr<crypto::HashState> new_hash() const override { return std::make_unique<Sha512State>(); }
  std::unique_ptr<crypto::HashState> new_keyed_hash(ByteView key) const override {
    return std::make_unique<Hmac512State>(key);
  }
  std::unique_ptr<crypto::AeadState> new_sealing(ByteView key) const override {
    return std::make_unique<TestAead>(key);
  }
  std::unique_ptr<crypto::AeadState> new_opening(ByteView key) const override {
    return std::make_unique<TestAead>(key);
  }

  void make_signing_pair(ByteView seed, MutableByteView secret, MutableByteView verify_key) const override {
    require(seed.size() == kSeed && verify_key.size() == sizes().verify_key, "test signing pair sizes");
    const auto short_seed = cut_seed<crypto_sign_SEEDBYTES>(seed);
    crypto_sign_seed_keypair(verify_key.data(), secret.data(), short_seed.data());
    sha512_cut({verify_key.first(crypto_sign_PUBLICKEYBYTES)}, verify_key.last(kVerifyKeyExtra));
  }
  void sign(ByteView secret, ByteView message, MutableByteView signature) const override {
    require(signature.size() == sizes().signature, "test signature size");
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data());
    sha512_cut({signature.first(crypto_sign_BYTES)}, signature.last(kSignatureExtra));
  }
  bool verify(ByteView verify_key, ByteView message, ByteView signature) const override {
    return is_sha512_cut({verify_key.first(crypto_sign_PUBLICKEYBYTES)}, verify_key.last(kVerifyKeyExtra)) &&
           is_sha512_cut({signature.first(crypto_sign_BYTES)}, signature.last(kSignatureExtra)) &&
           crypto_sign_verify_detached(signature.data(), message.data(), message.size(), verify_key.data()) == 0;
  }

  void make_seal_pair(ByteView seed, MutableByteView secret, MutableByteView seal_public) const override {
    require(seed.size() == kSeed && seal_public.size() == sizes().seal_public, "test seal pair sizes");
    const auto short_seed = cut_seed<crypto_box_SEEDBYTES>(seed);
    crypto_box_seed_keypair(seal_public.data(), secret.data(), short_seed.data());
    sha512_cut({seal_public.first(crypto_box_PUBLICKEYBYTES)}, seal_public.last(kPublicExtra));
  }
  bool seal_box(ByteView ephemeral_seed, ByteView seal_public, ByteView content,
                MutableByteView sealed) const override {
    require(sealed.size() == content.size() + sizes().seal_overhead, "test box size");
    if (!is_sha512_cut({seal_public.first(crypto_box_PUBLICKEYBYTES)}, seal_public.last(kPublicExtra))) return false;
    const ByteView short_seed = ephemeral_seed.first(crypto_box_SEEDBYTES);
    const auto box = sealed.first(sealed.size() - kBoxExtra);
    if (!crypto::default_suite().seal_box(short_seed, seal_public.first(crypto_box_PUBLICKEYBYTES), content, box))
      return false;
    sha512_cut({box}, sealed.last(kBoxExtra));
    return true;
  }
  bool open_box(ByteView secret, ByteView seal_public, ByteView sealed, MutableByteView content) const override {
    const auto box = sealed.first(sealed.size() - kBoxExtra);
    return is_sha512_cut({box}, sealed.last(kBoxExtra)) &&
           crypto::default_suite().open_box(secret, seal_public.first(crypto_box_PUBLICKEYBYTES), box, content);
  }

 private:
  template <std::size_t N>
  static std::array<std::uint8_t, N> cut_seed(ByteView seed) {
    std::array<std::uint8_t, N> out;
    sha512_cut({seed}, out);
    return out;
  }
};

}  // namespace

const crypto::Suite& test_suite() {
  static const TestSuite suite;
  static const bool registered = [] {
    require(crypto::init().ok(), "sodium_init");
    crypto::register_suite_for_tests(suite);
    return true;
  }();
  require(registered, "register_suite_for_tests");
  return suite;
}

std::array<const crypto::Suite*, 2> both_suites() {
  return {&crypto::default_suite(), &test_suite()};
}

}  // namespace stele::test
