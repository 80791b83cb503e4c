#include <gtest/gtest.h>
#include <sodium.h>

#include "core/crypto/aead.h"
#include "core/crypto/hash.h"
#include "core/crypto/kdf.h"
#include "core/crypto/seal.h"
#include "core/crypto/sign.h"
#include "tests/support/seeded_random.h"

namespace stele::crypto {
namespace {

Bytes hex(std::string_view text) {
  return from_hex(text).value();
}
const Suite& suite = default_suite();

// FIPS 180-4 examples.
TEST(Sha256, GivesThePublishedValues) {
  EXPECT_EQ(hash(suite, {}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash(suite, as_bytes("abc")).hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string_view two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  EXPECT_EQ(hash(suite, as_bytes(two_blocks)).hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Hasher hasher(suite);
  const std::string thousand(1000, 'a');
  for (int i = 0; i < 1000; ++i) hasher.update(as_bytes(thousand));
  EXPECT_EQ(hasher.finish().hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(hasher.update(as_bytes("abc")).finish(), sha256(as_bytes("abc"))) << "starts again after finish";
}

// RFC 4231, test cases 1, 2, 3 and 6.
TEST(HmacSha256, GivesTheValuesOfRfc4231) {
  struct Case {
    Bytes key, data;
    std::string mac;
  };
  const Case cases[] = {
      {Bytes(20, 0x0b), to_bytes(as_bytes("Hi There")),
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {to_bytes(as_bytes("Jefe")), to_bytes(as_bytes("what do ya want for nothing?")),
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {Bytes(20, 0xaa), Bytes(50, 0xdd), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {Bytes(131, 0xaa), to_bytes(as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")),
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
  };
  for (const Case& c : cases) {
    KeyedHasher hasher(suite, ByteView(c.key));
    for (auto byte : c.data) hasher.update({&byte, 1});
    EXPECT_EQ(hasher.finish().hex(), c.mac);
    EXPECT_EQ(hasher.update(c.data).finish().hex(), c.mac) << "the key is kept";
  }
}

// RFC 5869, appendix A.1, A.2 and A.3.
TEST(Hkdf, GivesTheValuesOfRfc5869) {
  auto okm = [](ByteView ikm, ByteView salt, ByteView info, std::size_t size) {
    return to_hex(hkdf(suite, ikm, salt, info, size).value().view());
  };
  EXPECT_EQ(okm(Bytes(22, 0x0b), hex("000102030405060708090a0b0c"), hex("f0f1f2f3f4f5f6f7f8f9"), 42),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  Bytes ikm, salt, info;
  for (int i = 0; i < 80; ++i) {
    ikm.push_back(static_cast<std::uint8_t>(i));
    salt.push_back(static_cast<std::uint8_t>(0x60 + i));
    info.push_back(static_cast<std::uint8_t>(0xb0 + i));
  }
  EXPECT_EQ(
      okm(ikm, salt, info, 82),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
      "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(okm(Bytes(22, 0x0b), {}, {}, 42),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  EXPECT_FALSE(hkdf(suite, ikm, salt, info, 255 * 32 + 1).ok());
}

// NIST GCM test vectors for AES-256 (McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 14 and 16).
TEST(Aes256Gcm, GivesThePublishedValues) {
  auto seal = [](ByteView key, ByteView nonce, ByteView aad, ByteView plain) {
    Bytes cipher(plain.size()), tag(16);
    EXPECT_TRUE(suite.new_sealing(key)->seal(nonce, aad, {&plain, 1}, cipher, tag));
    Bytes back(plain.size());
    EXPECT_TRUE(suite.new_opening(key)->open(nonce, aad, cipher, tag, back));
    EXPECT_EQ(back, to_bytes(plain));
    return to_hex(cipher) + " " + to_hex(tag);
  };
  EXPECT_EQ(seal(Bytes(32, 0), Bytes(12, 0), {}, Bytes(16, 0)),
            "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919");
  EXPECT_EQ(seal(hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
                 hex("cafebabefacedbaddecaf888"), hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
                 hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b"
                     "16aedf5aa0de"
                     "657ba637b39")),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393"
            "ba7a0abcc9"
            "f662 76fc6ece0f4e1768cddf8853bb2d551b");
}

TEST(Sealer, UsesTheCounterLittleEndianAsNonce) {
  const Bytes key(32, 7);
  auto sealer = Sealer::create(suite, SecretBytes::copy_of(key)).value();
  Bytes out;
  for (int i = 0; i < 300; ++i) {
    out.clear();
    ASSERT_TRUE(sealer.seal(as_bytes("header"), as_bytes("text"), out).ok());
  }
  Bytes cipher(4), tag(16);
  const ByteView plain = as_bytes("text");
  ASSERT_TRUE(
      suite.new_sealing(key)->seal(hex("2b0100000000000000000000"), as_bytes("header"), {&plain, 1}, cipher, tag));
  EXPECT_EQ(to_hex(out), to_hex(cipher) + to_hex(tag));
}

// RFC 8032 section 7.1, tests 1 and 3.
TEST(Ed25519, GivesTheValuesOfRfc8032) {
  struct Case {
    std::string_view seed, key, message, signature;
  };
  const Case cases[] = {
      {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
       "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
       "465514143"
       "8e7a100b"},
      {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
       "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28"
       "dc027bece"
       "ea1ec40a"},
  };
  for (const Case& c : cases) {
    auto key = SigningKey::from_seed(suite, SecretBytes::copy_of(hex(c.seed))).value();
    EXPECT_EQ(to_hex(key.verify_key().bytes()), c.key);
    Bytes secret(64), verify_key(32), signature(64);
    suite.make_signing_pair(hex(c.seed), secret, verify_key);
    suite.sign(secret, hex(c.message), signature);
    EXPECT_EQ(to_hex(signature), c.signature);
    EXPECT_TRUE(suite.verify(verify_key, hex(c.message), signature));
  }
}

TEST(SigningKey, PrefixesSizeAndDomain) {
  test::SeededRandom random(1);
  auto key = SigningKey::generate(suite, random);
  const Bytes signature = key.sign("head", as_bytes("message"));
  EXPECT_TRUE(suite.verify(key.verify_key().bytes(), as_bytes("\x04headmessage"), signature));
}

TEST(SealedBox, IsTheBoxOfLibsodium) {
  test::SeededRandom random(2);
  auto pair = RecipientKeyPair::generate(suite, random);
  const Bytes ours = seal_to(pair.public_key(), as_bytes("data key"), random).value();
  std::uint8_t public_key[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];
  ASSERT_EQ(crypto_box_seed_keypair(public_key, secret, pair.seed().view().data()), 0);
  Bytes content(8);
  EXPECT_EQ(crypto_box_seal_open(content.data(), ours.data(), ours.size(), public_key, secret), 0);
  EXPECT_EQ(as_text(content), "data key");
  Bytes theirs(8 + crypto_box_SEALBYTES);
  ASSERT_EQ(crypto_box_seal(theirs.data(), content.data(), content.size(), public_key), 0);
  EXPECT_EQ(as_text(pair.open_sealed(theirs).value().view()), "data key");
}

}  // namespace
}  // namespace stele::crypto
