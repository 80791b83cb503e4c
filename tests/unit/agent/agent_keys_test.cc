#include "agent/log/agent_keys.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/crypto/seal.h"
#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

struct AgentKeysTest : testing::Test {
  test::SeededRandom random{21};
  const DatabaseName database{"440000", "registry"};
  const crypto::Suite& suite = crypto::default_suite();
  crypto::SigningKey authority = crypto::SigningKey::generate(suite, random), other_authority = crypto::SigningKey::generate(suite, random);
  crypto::AgentKey key = crypto::AgentKey::generate(suite, "440000/registry", random);
  format::Enrolment enrolment;
  format::RecipientList recipients;
  std::filesystem::path directory;

  void SetUp() override {
    char made[] = "/tmp/stele-keys-XXXXXX";
    ASSERT_NE(::mkdtemp(made), nullptr);
    directory = made;
    enrolment.database = recipients.database = database;
    enrolment.agent_key = to_bytes(key.signing.verify_key().bytes());
    for (int i = 0; i < 2; ++i) {
      const auto pair = crypto::RecipientKeyPair::generate(suite, random);
      recipients.recipients.push_back({format::RecipientKind::kRecovery, to_bytes(pair.public_key().bytes()), "safe"});
    }
    put("key", to_bytes(crypto::encode_agent_key(key)->view()));
    put("enrolment", enrolment.sign(authority)->bytes);
    put("recipients", recipients.sign(authority)->bytes);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  void put(const std::string& name, const Bytes& bytes) {
    std::ofstream(directory / name, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::filesystem::permissions(directory / name, std::filesystem::perms(0600));
  }
  Result<AgentKeys> load() { return AgentKeys::load(database, directory / "key", directory / "enrolment", directory / "recipients"); }
  void expect(ErrorCode code) {
    auto loaded = load();
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, code) << loaded.error().to_string();
  }
};

TEST_F(AgentKeysTest, FilesThatBelongTogetherAreTaken) {
  auto loaded = load();
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  EXPECT_EQ(loaded->recipients.recipients.size(), 2u);
  EXPECT_EQ(loaded->enrolment_id, loaded->enrolment_record.id());
}

TEST_F(AgentKeysTest, AMissingKeyIsNamedWithWhatToDo) {
  std::filesystem::remove(directory / "key");
  auto loaded = load();
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ErrorCode::kKeyMissing);
  EXPECT_NE(loaded.error().hint.find("enroll"), std::string::npos);
}

TEST_F(AgentKeysTest, AnotherDatabasesEnrolmentIsRefused) {
  enrolment.database = {"440000", "payroll"};
  put("enrolment", enrolment.sign(authority)->bytes);
  expect(ErrorCode::kUnauthorised);
}

TEST_F(AgentKeysTest, AnotherDatabasesRecipientsAreRefused) {
  recipients.database = {"110000", "registry"};
  put("recipients", recipients.sign(authority)->bytes);
  expect(ErrorCode::kUnauthorised);
}

TEST_F(AgentKeysTest, AnotherAgentsKeyIsRefused) {
  put("key", to_bytes(crypto::encode_agent_key(crypto::AgentKey::generate(suite, "x", random))->view()));
  expect(ErrorCode::kUnauthorised);
}

TEST_F(AgentKeysTest, RecordsOfTwoAuthoritiesAreRefused) {
  put("recipients", recipients.sign(other_authority)->bytes);
  auto loaded = load();
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(exit_code(loaded.error().code), 4) << loaded.error().to_string();
}

TEST_F(AgentKeysTest, SwappedFilesAreRefused) {
  put("enrolment", recipients.sign(authority)->bytes);
  EXPECT_FALSE(load().ok());
}

TEST_F(AgentKeysTest, EveryFlippedByteOfARecordIsNoticed) {
  const Bytes good = recipients.sign(authority)->bytes;
  for (std::size_t i = 0; i < good.size(); i += 7) {
    Bytes bad = good;
    bad[i] ^= 1;
    put("recipients", bad);
    EXPECT_FALSE(load().ok()) << i;
  }
}

TEST_F(AgentKeysTest, AnEpochIsSealedToTheListAndSignedByTheAgent) {
  auto keys = load();
  ASSERT_TRUE(keys.ok());
  auto epoch = make_epoch(*keys, database, random.draw<StreamId>(), {5}, {1}, random);
  ASSERT_TRUE(epoch.ok());
  EXPECT_TRUE(format::verify_record(epoch->record, key.signing.verify_key()).ok());
  EXPECT_EQ(epoch->id, format::epoch_id(epoch->record));
  auto record = format::EpochRecord::read(epoch->record);
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->recipient_list, keys->recipients_id);
  EXPECT_EQ(record->generation, Generation{5});
}

}  // namespace
}  // namespace stele::agent
