#include "core/crypto/suite.h"

#include <gtest/gtest.h>

#include "core/crypto/aead.h"
#include "core/crypto/hash.h"
#include "core/crypto/kdf.h"
#include "core/crypto/seal.h"
#include "core/crypto/sign.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_suite.h"

namespace stele::crypto {
namespace {

static_assert(!std::is_copy_constructible_v<Sealer> && !std::is_copy_assignable_v<Sealer>);
static_assert(!std::is_move_assignable_v<Sealer>, "a used sealer cannot be replaced in place by one that starts at 0");
static_assert(std::is_move_constructible_v<Sealer>);
static_assert(!std::is_copy_constructible_v<SecretBytes> && !std::is_copy_assignable_v<SecretBytes>);
static_assert(!std::is_copy_constructible_v<SigningKey> && !std::is_copy_constructible_v<RecipientKeyPair>);
static_assert(!std::is_convertible_v<SecretBytes, ByteView> && !std::is_convertible_v<SecretBytes, std::string>);

class SuiteTest : public testing::TestWithParam<const Suite*> {
 protected:
  const Suite& suite() const { return *GetParam(); }
  SecretBytes new_key() { return SecretBytes::random(suite().sizes().key, random_); }
  test::SeededRandom random_{20240601};
};

TEST_P(SuiteTest, IsFoundByItsNumber) {
  EXPECT_EQ(find_suite(suite().id()).value(), &suite());
  EXPECT_EQ(find_suite(std::uint16_t{0}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(find_suite(std::uint16_t{2}).error().code, ErrorCode::kUnsupported);
}

TEST_P(SuiteTest, HashesPiecesLikeTheWhole) {
  const Bytes data = random_.bytes(10000);
  Hasher hasher(suite());
  KeyedHasher keyed(suite(), as_bytes("key"));
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random_.below(700), data.size() - at);
    hasher.update(ByteView(data).subspan(at, size));
    keyed.update(ByteView(data).subspan(at, size));
    at += size;
  }
  EXPECT_EQ(hasher.finish(), hash(suite(), data));
  const SecretBytes key = SecretBytes::copy_of(as_bytes("key"));
  const auto name = keyed.finish<ChunkName>();
  EXPECT_EQ(name, keyed_hash<ChunkName>(suite(), key, data));
  EXPECT_NE(name, keyed_hash<ChunkName>(suite(), SecretBytes::copy_of(as_bytes("kez")), data));
}

TEST_P(SuiteTest, DerivesOtherKeysForOtherLabelsAndContexts) {
  const SecretBytes key = new_key();
  auto derived = [&](std::string_view label, std::string_view context) {
    return to_hex(derive_key(suite(), key, label, as_bytes(context)).value().view());
  };
  EXPECT_EQ(derived("a", "bc").size(), 2 * suite().sizes().key);
  EXPECT_EQ(derived("a", "bc"), derived("a", "bc"));
  EXPECT_NE(derived("a", "bc"), derived("ab", "c")) << "label and context cannot be confused";
  EXPECT_NE(derived("a", "bc"), derived("a", "bd"));
  EXPECT_FALSE(derive_key(suite(), key, "", {}).ok());
  EXPECT_FALSE(derive_key(suite(), key, std::string(256, 'x'), {}).ok());
}

TEST_P(SuiteTest, TellsAWrongEpochKeyByItsCommitment) {
  const SecretBytes key = new_key(), other = new_key();
  const Digest commitment = key_commitment(suite(), key).value();
  EXPECT_TRUE(check_key_commitment(suite(), key, commitment).ok());
  EXPECT_EQ(check_key_commitment(suite(), other, commitment).error().code, ErrorCode::kKeyWrong);
}

TEST_P(SuiteTest, OpensWhatItSealed) {
  const SecretBytes key = new_key();
  auto sealer = Sealer::create(suite(), key.clone()).value();
  auto opener = Opener::create(suite(), key).value();
  std::vector<std::pair<Bytes, Bytes>> sealed;
  for (std::size_t size : {0u, 1u, 15u, 16u, 17u, 4096u, 300000u}) {
    const Bytes plain = random_.bytes(size);
    Bytes out{1, 2, 3};
    EXPECT_EQ(sealer.next_counter(), sealed.size());
    ASSERT_EQ(sealer.seal(as_bytes("header"), plain, out).value(), sealed.size());
    ASSERT_EQ(out.size(), 3 + size + suite().sizes().tag);
    EXPECT_EQ(out[2], 3) << "what was there stays";
    out.erase(out.begin(), out.begin() + 3);
    sealed.emplace_back(plain, out);
  }
  for (std::size_t i = sealed.size(); i-- > 0;) {
    EXPECT_EQ(opener.open(i, as_bytes("header"), sealed[i].second).value(), sealed[i].first);
    EXPECT_EQ(opener.open(i + 1, as_bytes("header"), sealed[i].second).error().code, ErrorCode::kDamaged);
  }
}

TEST_P(SuiteTest, SealsPartsLikeTheWholeAndInPlace) {
  const SecretBytes key = new_key();
  auto opener = Opener::create(suite(), key).value();
  const Bytes data = random_.bytes(1000), padding(24, 0);
  Bytes whole = data;
  whole.insert(whole.end(), padding.begin(), padding.end());
  Bytes cipher(whole.size()), sealed;
  Bytes tag(suite().sizes().tag);
  const ByteView parts[] = {data, {}, padding};
  ASSERT_TRUE(Sealer::create(suite(), key.clone()).value().seal(as_bytes("h"), parts, cipher, tag).ok());
  ASSERT_TRUE(Sealer::create(suite(), key.clone()).value().seal(as_bytes("h"), whole, sealed).ok());
  Bytes joined = cipher;
  joined.insert(joined.end(), tag.begin(), tag.end());
  EXPECT_EQ(joined, sealed);
  Bytes in_place = whole;
  const ByteView part = in_place;
  ASSERT_TRUE(Sealer::create(suite(), key.clone()).value().seal(as_bytes("h"), {&part, 1}, in_place, tag).ok());
  EXPECT_EQ(in_place, cipher);
  EXPECT_EQ(opener.open(0, as_bytes("h"), joined).value(), whole);
}

TEST_P(SuiteTest, FindsEveryFlippedByteOfASealedFrame) {
  const SecretBytes key = new_key();
  auto sealer = Sealer::create(suite(), key.clone()).value();
  auto opener = Opener::create(suite(), key).value();
  const Bytes plain = random_.bytes(100);
  Bytes header = random_.bytes(40), sealed;
  ASSERT_TRUE(sealer.seal(header, plain, sealed).ok());
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    sealed[i] ^= 0x10;
    Bytes out(plain.size(), 0xff);
    EXPECT_EQ(opener.open_into(0, header, sealed, out).error().code, ErrorCode::kDamaged);
    EXPECT_EQ(out, Bytes(plain.size(), 0)) << "nothing unverified is left behind";
    sealed[i] ^= 0x10;
  }
  for (auto& byte : header) {
    byte ^= 1;
    EXPECT_EQ(opener.open(0, header, sealed).error().code, ErrorCode::kDamaged);
    byte ^= 1;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(opener.open(0, header, ByteView(sealed).first(size)).error().code, ErrorCode::kDamaged);
  }
  EXPECT_EQ(Opener::create(suite(), new_key()).value().open(0, header, sealed).error().code, ErrorCode::kDamaged);
  EXPECT_EQ(opener.open(kMaxSealsPerKey, header, sealed).error().code, ErrorCode::kDamaged);
  EXPECT_TRUE(opener.open(0, header, sealed).ok()) << "a failure does not spoil the opener";
}

TEST_P(SuiteTest, NeverSealsAgainAfterAnError) {
  auto sealer = Sealer::create(suite(), new_key()).value();
  Bytes out, small(1), tag(suite().sizes().tag);
  ASSERT_TRUE(sealer.seal({}, as_bytes("a"), out).ok());
  const ByteView two = as_bytes("ab");
  EXPECT_FALSE(sealer.seal({}, {&two, 1}, small, tag).ok());
  EXPECT_FALSE(sealer.seal({}, as_bytes("a"), out).ok());
  EXPECT_EQ(out.size(), 1 + suite().sizes().tag);
  auto first = Sealer::create(suite(), new_key()).value();
  auto moved = std::move(first);
  EXPECT_FALSE(first.seal({}, as_bytes("a"), out).ok()) << "a moved-from sealer seals nothing";
  EXPECT_TRUE(moved.seal({}, as_bytes("a"), out).ok());
  EXPECT_FALSE(Sealer::create(suite(), SecretBytes(suite().sizes().key - 1)).ok());
  EXPECT_FALSE(Opener::create(suite(), SecretBytes(suite().sizes().key + 1)).ok());
}

TEST_P(SuiteTest, RefusesEveryForgedSignature) {
  auto key = SigningKey::generate(suite(), random_);
  auto other = SigningKey::generate(suite(), random_);
  const ByteView message = as_bytes("end position 16/B374D848");
  Bytes signature = key.sign("stele head", message);
  ASSERT_EQ(signature.size(), suite().sizes().signature);
  EXPECT_TRUE(key.verify_key().verify("stele head", message, signature).ok());
  auto forged = [&](const Status& status) { return !status.ok() && status.error().code == ErrorCode::kForged; };
  EXPECT_TRUE(forged(other.verify_key().verify("stele head", message, signature)));
  EXPECT_TRUE(forged(key.verify_key().verify("stele hea", message, signature)));
  EXPECT_TRUE(forged(key.verify_key().verify("stele hea", as_bytes("dend position 16/B374D848"), signature)));
  EXPECT_TRUE(forged(key.verify_key().verify("stele head", as_bytes("end position 16/B374D849"), signature)));
  EXPECT_TRUE(forged(key.verify_key().verify("stele head", message, ByteView(signature).first(signature.size() - 1))));
  for (auto& byte : signature) {
    byte ^= 0x40;
    EXPECT_TRUE(forged(key.verify_key().verify("stele head", message, signature)));
    byte ^= 0x40;
  }
  EXPECT_EQ(SigningKey::from_seed(suite(), key.seed().clone()).value().verify_key(), key.verify_key());
  EXPECT_EQ(VerifyKey::from(suite(), Bytes(31)).error().code, ErrorCode::kDamaged);
}

TEST_P(SuiteTest, OpensSealedBoxesOnlyWithTheRightKey) {
  auto pair = RecipientKeyPair::generate(suite(), random_);
  auto other = RecipientKeyPair::generate(suite(), random_);
  const Bytes content = random_.bytes(suite().sizes().key);
  Bytes sealed = seal_to(pair.public_key(), content, random_).value();
  ASSERT_EQ(sealed.size(), content.size() + suite().sizes().seal_overhead);
  EXPECT_EQ(to_bytes(pair.open_sealed(sealed).value().view()), content);
  EXPECT_NE(seal_to(pair.public_key(), content, random_).value(), sealed);
  EXPECT_EQ(other.open_sealed(sealed).error().code, ErrorCode::kKeyWrong);
  for (auto& byte : sealed) {
    byte ^= 1;
    EXPECT_EQ(pair.open_sealed(sealed).error().code, ErrorCode::kKeyWrong);
    byte ^= 1;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_EQ(pair.open_sealed(ByteView(sealed).first(size)).error().code, ErrorCode::kKeyWrong);
  }
  EXPECT_FALSE(seal_to(pair.public_key(), Bytes(64 * 1024 + 1), random_).ok());
  const auto zero = RecipientKey::from(suite(), Bytes(suite().sizes().seal_public)).value();
  EXPECT_EQ(seal_to(zero, content, random_).error().code, ErrorCode::kKeyWrong) << "the all-zero point is no key";
}

INSTANTIATE_TEST_SUITE_P(Suites, SuiteTest, testing::ValuesIn(test::both_suites()), test::suite_test_name);

TEST(TestSuite, HasOtherSizesEverywhere) {
  const SuiteSizes &a = default_suite().sizes(), &b = test::test_suite().sizes();
  EXPECT_NE(a.key, b.key);
  EXPECT_NE(a.nonce, b.nonce);
  EXPECT_NE(a.tag, b.tag);
  EXPECT_NE(a.hash, b.hash);
  EXPECT_NE(a.signature, b.signature);
  EXPECT_NE(a.verify_key, b.verify_key);
  EXPECT_NE(a.seal_public, b.seal_public);
  EXPECT_NE(a.seal_overhead, b.seal_overhead);
  EXPECT_NE(a.seed, b.seed);
}

}  // namespace
}  // namespace stele::crypto
