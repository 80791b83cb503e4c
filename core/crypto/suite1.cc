#include "core/crypto/suite1.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include "core/crypto/library.h"

namespace stele::crypto {

namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    kFree(p);
  }
};
using MdContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Free<EVP_MAC_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Free<EVP_CIPHER_CTX_free>>;

// Fetching an algorithm takes longer than hashing a header, so it is done once and kept until the process ends.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  require(md != nullptr, "EVP_MD_fetch SHA256");
  return md;
}
EVP_MAC* hmac_algorithm() {
  static EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  require(mac != nullptr, "EVP_MAC_fetch HMAC");
  return mac;
}
const EVP_CIPHER* gcm_algorithm() {
  static const EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  require(cipher != nullptr, "EVP_CIPHER_fetch AES-256-GCM");
  return cipher;
}

class Sha256State final : public HashState {
 public:
  Sha256State() : context_(EVP_MD_CTX_new()) {
    require(context_ != nullptr, "EVP_MD_CTX_new");
    start();
  }
  void update(ByteView bytes) override {
    require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "EVP_DigestUpdate");
  }
  void finish(MutableByteView out) override {
    require(EVP_DigestFinal_ex(context_.get(), out.data(), nullptr) == 1, "EVP_DigestFinal_ex");
    start();
  }

 private:
  void start() { require(EVP_DigestInit_ex2(context_.get(), sha256_algorithm(), nullptr) == 1, "EVP_DigestInit_ex2"); }
  MdContext context_;
};

class HmacState final : public HashState {
 public:
  explicit HmacState(ByteView key) : context_(EVP_MAC_CTX_new(hmac_algorithm())) {
    require(context_ != nullptr, "EVP_MAC_CTX_new");
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    // A null key means "keep the old one" to OpenSSL; an empty key is a legal one.
    static constexpr std::uint8_t kNothing = 0;
    const std::uint8_t* data = key.empty() ? &kNothing : key.data();
    require(EVP_MAC_init(context_.get(), data, key.size(), params) == 1, "EVP_MAC_init");
  }
  void update(ByteView bytes) override {
    require(EVP_MAC_update(context_.get(), bytes.data(), bytes.size()) == 1, "EVP_MAC_update");
  }
  void finish(MutableByteView out) override {
    std::size_t size = 0;
    require(EVP_MAC_final(context_.get(), out.data(), &size, out.size()) == 1 && size == out.size(), "EVP_MAC_final");
    require(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1, "EVP_MAC_init");
  }

 private:
  MacContext context_;
};

class GcmState final : public AeadState {
 public:
  GcmState(ByteView key, bool sealing) : context_(EVP_CIPHER_CTX_new()) {
    require(context_ != nullptr, "EVP_CIPHER_CTX_new");
    require(EVP_CipherInit_ex2(context_.get(), gcm_algorithm(), key.data(), nullptr, sealing ? 1 : 0, nullptr) == 1,
            "EVP_CipherInit_ex2");
  }

  bool seal(ByteView nonce, ByteView aad, std::span<const ByteView> parts, MutableByteView ciphertext,
            MutableByteView tag) override {
    if (!begin(nonce, aad)) return false;
    std::size_t done = 0;
    int size = 0;
    for (ByteView part : parts) {
      if (part.empty()) continue;
      if (EVP_CipherUpdate(context_.get(), ciphertext.data() + done, &size, part.data(),
                           static_cast<int>(part.size())) != 1) {
        return false;
      }
      done += part.size();
    }
    return EVP_CipherFinal_ex(context_.get(), nullptr, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag.size()), tag.data()) == 1;
  }

  bool open(ByteView nonce, ByteView aad, ByteView ciphertext, ByteView tag, MutableByteView plaintext) override {
    if (!begin(nonce, aad)) return false;
    int size = 0;
    if (!ciphertext.empty() && EVP_CipherUpdate(context_.get(), plaintext.data(), &size, ciphertext.data(),
                                                static_cast<int>(ciphertext.size())) != 1) {
      return false;
    }
    // OpenSSL's interface takes the expected tag without const; it only reads it.
    auto* expected = const_cast<std::uint8_t*>(tag.data());
    return EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()), expected) == 1 &&
           EVP_CipherFinal_ex(context_.get(), nullptr, &size) == 1;
  }

 private:
  bool begin(ByteView nonce, ByteView aad) {
    int size = 0;
    return EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), -1, nullptr) == 1 &&
           (aad.empty() ||
            EVP_CipherUpdate(context_.get(), nullptr, &size, aad.data(), static_cast<int>(aad.size())) == 1);
  }
  CipherContext context_;
};

class Suite1 final : public Suite {
 public:
  SuiteId id() const override { return SuiteId::kAes256GcmSha256; }
  std::string_view name() const override { return "AES-256-GCM/SHA-256/Ed25519/X25519"; }
  const SuiteSizes& sizes() const override {
    static constexpr SuiteSizes kSizes{.key = 32,
                                       .nonce = 12,
                                       .tag = 16,
                                       .hash = 32,
                                       .signature = crypto_sign_BYTES,
                                       .verify_key = crypto_sign_PUBLICKEYBYTES,
                                       .signing_secret = crypto_sign_SECRETKEYBYTES,
                                       .seal_public = crypto_box_PUBLICKEYBYTES,
                                       .seal_secret = crypto_box_SECRETKEYBYTES,
                                       .seal_overhead = crypto_box_SEALBYTES,
                                       .seed = 32};
    static_assert(crypto_sign_SEEDBYTES == 32 && crypto_box_SEEDBYTES == 32);
    return kSizes;
  }

  std::unique_ptr<HashState> new_hash() const override { return std::make_unique<Sha256State>(); }
  std::unique_ptr<HashState> new_keyed_hash(ByteView key) const override { return std::make_unique<HmacState>(key); }
  std::unique_ptr<AeadState> new_sealing(ByteView key) const override { return std::make_unique<GcmState>(key, true); }
  std::unique_ptr<AeadState> new_opening(ByteView key) const override { return std::make_unique<GcmState>(key, false); }

  void make_signing_pair(ByteView seed, MutableByteView secret, MutableByteView verify_key) const override {
    require(crypto_sign_seed_keypair(verify_key.data(), secret.data(), seed.data()) == 0, "crypto_sign_seed_keypair");
  }
  void sign(ByteView secret, ByteView message, MutableByteView signature) const override {
    require(crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data()) == 0,
            "crypto_sign_detached");
  }
  bool verify(ByteView verify_key, ByteView message, ByteView signature) const override {
    return crypto_sign_verify_detached(signature.data(), message.data(), message.size(), verify_key.data()) == 0;
  }

  void make_seal_pair(ByteView seed, MutableByteView secret, MutableByteView seal_public) const override {
    require(crypto_box_seed_keypair(seal_public.data(), secret.data(), seed.data()) == 0, "crypto_box_seed_keypair");
  }
  // The layout of crypto_box_seal (ephemeral public key, box, nonce = BLAKE2b of both public keys), with the ephemeral
  // key from our random source, so that simulated runs are repeatable; crypto_box_seal_open reads it.
  bool seal_box(ByteView ephemeral_seed, ByteView seal_public, ByteView content,
                MutableByteView sealed) const override {
    std::array<std::uint8_t, crypto_box_SECRETKEYBYTES> secret;
    std::array<std::uint8_t, crypto_box_NONCEBYTES> nonce;
    make_seal_pair(ephemeral_seed, secret, sealed.first(crypto_box_PUBLICKEYBYTES));
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, nonce.size());
    crypto_generichash_update(&state, sealed.data(), crypto_box_PUBLICKEYBYTES);
    crypto_generichash_update(&state, seal_public.data(), seal_public.size());
    crypto_generichash_final(&state, nonce.data(), nonce.size());
    const int result = crypto_box_easy(sealed.data() + crypto_box_PUBLICKEYBYTES, content.data(), content.size(),
                                       nonce.data(), seal_public.data(), secret.data());
    sodium_memzero(secret.data(), secret.size());
    return result == 0;
  }
  bool open_box(ByteView secret, ByteView seal_public, ByteView sealed, MutableByteView content) const override {
    return crypto_box_seal_open(content.data(), sealed.data(), sealed.size(), seal_public.data(), secret.data()) == 0;
  }
};

}  // namespace

const Suite& suite1() {
  static const Suite1 suite;
  return suite;
}

}  // namespace stele::crypto
