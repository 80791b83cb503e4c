#include "core/crypto/key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/crypto/hash.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_suite.h"

namespace stele::crypto {
namespace {

SecretBytes secret(std::string_view text) {
  return SecretBytes::copy_of(as_bytes(text));
}

class KeyFileTest : public testing::TestWithParam<const Suite*> {
 protected:
  const Suite& suite() const { return *GetParam(); }
  Protection protection() { return {passphrase_, random_, PassphraseCost::minimal()}; }
  RecoveryKey recovery_key(KeyKind kind = KeyKind::kRecovery) {
    return {kind, "440000 safe 2", RecipientKeyPair::generate(suite(), random_), authority_.verify_key()};
  }

  test::SeededRandom random_{7};
  SecretBytes passphrase_ = secret("correct horse");
  SigningKey authority_ = SigningKey::generate(*GetParam(), random_);
};

/// Changes bytes of the body and makes the checksum right again, as someone with a text editor and KEYFILE.md could.
Bytes with_body(ByteView file, const std::function<void(Bytes&)>& change) {
  const std::string_view text = as_text(file);
  const std::size_t start = text.find(":1:") + 3;
  Bytes body = from_hex(text.substr(start, text.size() - start - 1)).value();
  body.resize(body.size() - 8);
  change(body);
  const Digest sum = Hasher(default_suite()).update(as_bytes(text.substr(0, start))).update(body).finish();
  body.insert(body.end(), sum.data.begin(), sum.data.begin() + 8);
  return to_bytes(as_bytes(std::string(text.substr(0, start)) + to_hex(body) + "\n"));
}

TEST_P(KeyFileTest, RecoveryKeyComesBackWithItsPassphrase) {
  for (KeyKind kind : {KeyKind::kRecovery, KeyKind::kDrill}) {
    const RecoveryKey key = recovery_key(kind);
    const SecretBytes file = encode_recovery_key(key, protection()).value();
    const RecoveryKey back = decode_recovery_key(file.view(), passphrase_).value();
    EXPECT_EQ(back.kind, kind);
    EXPECT_EQ(back.label, key.label);
    EXPECT_EQ(back.authority, authority_.verify_key());
    EXPECT_EQ(back.pair.public_key(), key.pair.public_key());
    const Bytes sealed = seal_to(key.pair.public_key(), as_bytes("data key"), random_).value();
    EXPECT_EQ(as_text(back.pair.open_sealed(sealed).value().view()), "data key");

    EXPECT_EQ(decode_recovery_key(file.view(), secret("correct horsf")).error().code, ErrorCode::kKeyWrong);
    EXPECT_EQ(decode_recovery_key(file.view(), {}).error().code, ErrorCode::kKeyMissing);
    EXPECT_EQ(decode_authority_key(file.view(), passphrase_).error().code, ErrorCode::kConfig);
    EXPECT_EQ(decode_agent_key(file.view()).error().code, ErrorCode::kConfig);
    EXPECT_EQ(std::string(as_text(file.view())).find(to_hex(key.pair.seed().view())), std::string::npos);
  }
}

TEST_P(KeyFileTest, OnlyADrillKeyMayBeUnprotected) {
  const RecoveryKey drill = recovery_key(KeyKind::kDrill);
  const SecretBytes file = encode_drill_key_unprotected(drill).value();
  EXPECT_EQ(decode_recovery_key(file.view(), {}).value().pair.public_key(), drill.pair.public_key());
  EXPECT_EQ(encode_drill_key_unprotected(recovery_key()).error().code, ErrorCode::kConfig);
  EXPECT_EQ(encode_recovery_key(drill, {SecretBytes(), random_, PassphraseCost::minimal()}).error().code,
            ErrorCode::kConfig);
}

TEST_P(KeyFileTest, AuthorityKeyComesBack) {
  const AuthorityKey key{"office", SigningKey::generate(suite(), random_)};
  const SecretBytes file = encode_authority_key(key, protection()).value();
  const AuthorityKey back = decode_authority_key(file.view(), passphrase_).value();
  EXPECT_EQ(back.label, "office");
  EXPECT_TRUE(key.key.verify_key().verify("d", as_bytes("m"), back.key.sign("d", as_bytes("m"))).ok());
  EXPECT_EQ(decode_authority_key(file.view(), secret("x")).error().code, ErrorCode::kKeyWrong);
}

TEST_P(KeyFileTest, AgentKeyComesBackWithoutPassphrase) {
  const AgentKey key = AgentKey::generate(suite(), "440000/registry", random_);
  const SecretBytes file = encode_agent_key(key).value();
  const AgentKey back = decode_agent_key(file.view()).value();
  EXPECT_EQ(back.label, key.label);
  EXPECT_EQ(back.signing.verify_key(), key.signing.verify_key());
  EXPECT_TRUE(equal_constant_time(back.chunk_name_key.view(), key.chunk_name_key.view()));
  EXPECT_TRUE(equal_constant_time(back.join_tag_key.view(), key.join_tag_key.view()));
  EXPECT_FALSE(equal_constant_time(back.join_tag_key.view(), key.chunk_name_key.view()));
}

TEST_P(KeyFileTest, TellsWhatItIsWithoutPassphrase) {
  const RecoveryKey key = recovery_key();
  const auto info = inspect_key_file(encode_recovery_key(key, protection()).value().view()).value();
  EXPECT_EQ(info.kind, KeyKind::kRecovery);
  EXPECT_TRUE(info.is_protected);
  EXPECT_EQ(info.cost.memory_bytes, 8192u);
  EXPECT_EQ(info.suite, &suite());
  EXPECT_EQ(info.label, "440000 safe 2");
  EXPECT_EQ(info.public_key, to_bytes(key.pair.public_key().bytes()));
  EXPECT_EQ(info.authority, authority_.verify_key());
}

TEST_P(KeyFileTest, EveryFlippedOrMissingByteIsAnError) {
  const SecretBytes files[] = {encode_recovery_key(recovery_key(), protection()).value(),
                               encode_agent_key(AgentKey::generate(suite(), "a", random_)).value()};
  for (const SecretBytes& file : files) {
    Bytes bytes = to_bytes(file.view());
    auto fails = [&](ByteView view) {
      const auto a = decode_recovery_key(view, passphrase_);
      return !a.ok() && a.error().code != ErrorCode::kKeyWrong && !decode_agent_key(view).ok() &&
             !inspect_key_file(view).ok();
    };
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        bytes[i] ^= static_cast<std::uint8_t>(1 << bit);
        EXPECT_TRUE(fails(bytes)) << "byte " << i << " bit " << bit;
        bytes[i] ^= static_cast<std::uint8_t>(1 << bit);
      }
    }
    for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_TRUE(fails(ByteView(bytes).first(size))) << size;
    bytes.push_back('\n');
    EXPECT_TRUE(fails(bytes));
  }
}

TEST_P(KeyFileTest, EveryChangeWithARightChecksumIsAnErrorToo) {
  const SecretBytes file = encode_recovery_key(recovery_key(), protection()).value();
  std::size_t size = 0;
  with_body(file.view(), [&](Bytes& body) { size = body.size(); });
  for (std::size_t i = 0; i < size; ++i) {
    const Bytes changed = with_body(file.view(), [&](Bytes& body) { body[i] ^= 1; });
    EXPECT_FALSE(decode_recovery_key(changed, passphrase_).ok()) << i;
    const Bytes cut = with_body(file.view(), [&](Bytes& body) { body.resize(i); });
    const auto result = decode_recovery_key(cut, passphrase_);
    ASSERT_FALSE(result.ok()) << i;
    EXPECT_TRUE(result.error().code == ErrorCode::kDamaged || i < 2) << i << " " << result.error().what;
  }
}

TEST_P(KeyFileTest, AbsurdArgon2ParametersAreRefusedBeforeAnyWork) {
  const SecretBytes file = encode_recovery_key(recovery_key(), protection()).value();
  // suite, protection, label, two public keys
  const std::size_t cost = 2 + 1 + 1 + 13 + 2 + suite().sizes().seal_public + 2 + suite().sizes().verify_key;
  auto code = [&](std::size_t at, Bytes value) {
    const Bytes changed =
        with_body(file.view(), [&](Bytes& body) { std::copy(value.begin(), value.end(), body.begin() + at); });
    return decode_recovery_key(changed, passphrase_).error().code;
  };
  EXPECT_EQ(code(cost, {17, 0, 0, 0}), ErrorCode::kDamaged);
  EXPECT_EQ(code(cost, {255, 255, 255, 255}), ErrorCode::kDamaged);
  EXPECT_EQ(code(cost, {0, 0, 0, 0}), ErrorCode::kDamaged);
  EXPECT_EQ(code(cost + 4, {1, 0, 0, 0x40, 0, 0, 0, 0}), ErrorCode::kDamaged);
  EXPECT_EQ(code(cost + 4, {0, 0, 0, 0, 0, 0, 0, 0x80}), ErrorCode::kDamaged);
  EXPECT_EQ(code(cost + 4, {0, 1, 0, 0, 0, 0, 0, 0}), ErrorCode::kDamaged);
  // Within the limits, but not what the secret was sealed with.
  EXPECT_EQ(code(cost, {2, 0, 0, 0}), ErrorCode::kKeyWrong);
  EXPECT_EQ(encode_recovery_key(recovery_key(), {passphrase_, random_, {100, 8192}}).error().code, ErrorCode::kConfig);
}

TEST_P(KeyFileTest, AnotherAuthorityCannotBePutIntoAProtectedFile) {
  const SecretBytes file = encode_recovery_key(recovery_key(), protection()).value();
  const auto other = SigningKey::generate(suite(), random_);
  const Bytes changed = with_body(file.view(), [&](Bytes& body) {
    const std::size_t at = 2 + 1 + 1 + 13 + 2 + suite().sizes().seal_public + 2;
    std::copy(other.verify_key().bytes().begin(), other.verify_key().bytes().end(), body.begin() + at);
  });
  EXPECT_EQ(decode_recovery_key(changed, passphrase_).error().code, ErrorCode::kKeyWrong);
}

TEST_P(KeyFileTest, PublicLinesComeBackAndNoticeSlips) {
  const RecoveryKey recovery = recovery_key();
  const AgentKey agent = AgentKey::generate(suite(), "440000/registry", random_);
  const std::string line = encode_public_key(public_line_of(recovery)).value();
  EXPECT_TRUE(line.starts_with("stele-recovery-public:1:"));
  const PublicKeyLine back = decode_public_key("  " + line + "\r\n").value();
  EXPECT_EQ(back.kind, KeyKind::kRecovery);
  EXPECT_EQ(back.label, "440000 safe 2");
  EXPECT_EQ(as_recipient(back).value(), recovery.pair.public_key());
  EXPECT_EQ(as_verify_key(back).error().code, ErrorCode::kConfig);
  const PublicKeyLine of_agent = decode_public_key(encode_public_key(public_line_of(agent)).value()).value();
  EXPECT_EQ(as_verify_key(of_agent).value(), agent.signing.verify_key());
  EXPECT_EQ(as_recipient(of_agent).error().code, ErrorCode::kConfig);
  for (std::size_t i = 0; i < line.size(); ++i) {
    std::string changed = line;
    changed[i] = changed[i] == '1' ? '2' : '1';
    EXPECT_FALSE(decode_public_key(changed).ok()) << i;
    EXPECT_FALSE(decode_public_key(line.substr(0, i)).ok()) << i;
  }
  // A secret file where a public line belongs.
  EXPECT_EQ(decode_public_key(as_text(encode_agent_key(agent).value().view())).error().code, ErrorCode::kDamaged);
}

TEST_P(KeyFileTest, LabelsArePrintable) {
  AuthorityKey key{"bad\nlabel", SigningKey::generate(suite(), random_)};
  EXPECT_EQ(encode_authority_key(key, protection()).error().code, ErrorCode::kConfig);
  key.label = std::string(65, 'x');
  EXPECT_EQ(encode_authority_key(key, protection()).error().code, ErrorCode::kConfig);
  key.label = std::string(64, 'x');
  EXPECT_TRUE(encode_authority_key(key, protection()).ok());
}

TEST_P(KeyFileTest, RandomBytesAreNeverAKey) {
  const std::uint64_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE(seed);
  test::SeededRandom random(seed);
  const Bytes model = to_bytes(encode_agent_key(AgentKey::generate(suite(), "x", random)).value().view());
  for (int round = 0; round < 500; ++round) {
    const Bytes rubbish = random.bytes(random.below(400));
    EXPECT_FALSE(inspect_key_file(rubbish).ok());
    const Bytes framed = with_body(model, [&](Bytes& body) { body = rubbish; });
    EXPECT_FALSE(decode_agent_key(framed).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Suites, KeyFileTest, testing::ValuesIn(test::both_suites()), test::suite_test_name);

TEST(KeyFile, AnAuthorityIsReadAsDigitsOrAsItsLine) {
  test::SeededRandom random(7);
  const AuthorityKey authority{"national", SigningKey::generate(default_suite(), random)};
  const VerifyKey& key = authority.key.verify_key();
  EXPECT_EQ(read_authority_key(to_hex(key.bytes())).value(), key);
  EXPECT_EQ(read_authority_key(encode_public_key(public_line_of(authority)).value()).value(), key);
  const AgentKey agent = AgentKey::generate(default_suite(), "a", random);
  for (const std::string& bad : {std::string(), std::string("00"), encode_public_key(public_line_of(agent)).value()}) {
    auto read = read_authority_key(bad);
    ASSERT_FALSE(read.ok()) << bad;
    EXPECT_EQ(read.error().code, ErrorCode::kConfig);
  }
}

TEST(KeyFile, ARestoreHostIsNoAuthority) {
  test::SeededRandom random(8);
  const RestoreHostKey host{"drill-1", SigningKey::generate(default_suite(), random)};
  const std::string line = encode_public_key(public_line_of(host)).value();
  EXPECT_EQ(read_restore_host_key(line).value(), host.key.verify_key());
  EXPECT_EQ(read_restore_host_key(to_hex(host.key.verify_key().bytes())).value(), host.key.verify_key());
  EXPECT_EQ(read_authority_key(line).error().code, ErrorCode::kConfig);
  EXPECT_EQ(read_restore_host_key(encode_public_key(public_line_of(AuthorityKey{"national", SigningKey::generate(default_suite(), random)})).value()).error().code, ErrorCode::kConfig);
}

TEST(KeyFile, IsReadOnlyWhereOthersMayNot) {
  const std::string path = testing::TempDir() + "/stele-key-file-" + std::to_string(getpid());
  EXPECT_EQ(read_key_file(path).error().code, ErrorCode::kNotFound);
  std::ofstream(path) << "a key";
  for (mode_t mode : {0640, 0604, 0620, 0666, 0601}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_EQ(read_key_file(path).error().code, ErrorCode::kConfig) << mode;
  }
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(as_text(read_key_file(path).value().view()), "a key");
  std::ofstream(path, std::ios::app) << std::string(kMaxKeyFileBytes, ' ');
  EXPECT_EQ(read_key_file(path).error().code, ErrorCode::kDamaged);
  std::filesystem::remove(path);
}

TEST(KeyFile, ModerateCostIsWhatLibsodiumSays) {
  // The whole of the default cost once: 256 MiB and 3 passes.
  test::SeededRandom random(3);
  const SecretBytes passphrase = secret("p");
  const AuthorityKey key{"", SigningKey::generate(default_suite(), random)};
  const SecretBytes file = encode_authority_key(key, {passphrase, random}).value();
  const auto info = inspect_key_file(file.view()).value();
  EXPECT_EQ(info.cost.operations, 3u);
  EXPECT_EQ(info.cost.memory_bytes, 268435456u);
  EXPECT_TRUE(decode_authority_key(file.view(), passphrase).ok());
}

}  // namespace
}  // namespace stele::crypto
