#include <gtest/gtest.h>

#include "core/format/resealed.h"
#include "receiver/ingest/trust_book.h"
#include "tests/support/agent/scripted_agent.h"

namespace stele::receiver {
namespace {

using namespace format;
using test::must;

/// A book that holds an agent's records, and an authority that seals its epoch again.
class Resealed : public testing::Test {
 protected:
  void SetUp() override {
    for (const Bytes* record : {&agent_.enrolment, &agent_.recipients, &agent_.branch, &agent_.epoch}) must(book_.add(must(parse_record(*record))));
    epoch_ = must(EpochRecord::read(must(parse_record(agent_.epoch))));
    list_ = must(RecipientList::read(must(parse_record(agent_.recipients))));
    list_.serial = 2;
    list_.recipients.push_back({RecipientKind::kRecovery, to_bytes(third_.public_key().bytes()), "safe 3"});
  }

  SignedRecord sealed_to(const RecipientList& list, const crypto::SigningKey& signer, EpochId epoch) {
    const EpochSecrets secrets = must(open_epoch(epoch_, agent_.recovery));
    ResealedKeys keys = must(reseal_epoch(epoch, epoch_, must(list.sign(agent_.authority)).id(), list, secrets, agent_.random));
    EXPECT_EQ(keys.keys.size(), 1u) << "only those who have none yet";
    return must(keys.sign(signer));
  }

  test::ScriptedAgent agent_;
  crypto::RecipientKeyPair third_ = crypto::RecipientKeyPair::generate(crypto::default_suite(), agent_.random);
  TrustBook book_{agent_.database, {agent_.authority.verify_key()}};
  EpochRecord epoch_;
  RecipientList list_;
};

TEST_F(Resealed, KeysAreKeptOnlyForRecipientsOfTheNewestList) {
  const SignedRecord record = sealed_to(list_, agent_.authority, agent_.epoch_id);
  auto early = book_.judge(record);
  ASSERT_FALSE(early.ok()) << "the list is not here yet";
  EXPECT_EQ(early.error().code, ErrorCode::kUnauthorised);
  must(book_.add(must(list_.sign(agent_.authority))));
  auto verdict = book_.judge(record);
  ASSERT_TRUE(verdict.ok()) << verdict.error().to_string();
  EXPECT_FALSE(verdict->known);
  EXPECT_NE(verdict->object_name.find("/resealed/"), std::string::npos) << verdict->object_name;
  must(book_.add(record));
  EXPECT_TRUE(must(book_.judge(record)).known);
  // A newer list without that key: nothing more is sealed to it.
  RecipientList shorter = list_;
  shorter.serial = 3;
  shorter.recipients.pop_back();
  must(book_.add(must(shorter.sign(agent_.authority))));
  EXPECT_EQ(book_.judge(sealed_to(list_, agent_.authority, agent_.epoch_id)).error().code, ErrorCode::kUnauthorised);
}

TEST_F(Resealed, NobodyButTheAuthorityAndOnlyForEpochsThatAreHere) {
  must(book_.add(must(list_.sign(agent_.authority))));
  EXPECT_EQ(book_.judge(sealed_to(list_, agent_.key, agent_.epoch_id)).error().code, ErrorCode::kForged);
  EpochId other = agent_.epoch_id;
  other.data[0] ^= 1;
  EXPECT_EQ(book_.judge(sealed_to(list_, agent_.authority, other)).error().code, ErrorCode::kNotFound);
}

TEST_F(Resealed, TheNewRecipientOpensWhatTheOldOneOpens) {
  const ResealedKeys keys = must(ResealedKeys::read(sealed_to(list_, agent_.authority, agent_.epoch_id)));
  EpochRecord both = epoch_;
  both.keys.insert(both.keys.end(), keys.keys.begin(), keys.keys.end());
  const EpochSecrets by_old = must(open_epoch(epoch_, agent_.recovery)), by_new = must(open_epoch(both, third_));
  EXPECT_TRUE(equal(by_old.data.view(), by_new.data.view()));
  EXPECT_TRUE(equal(by_old.chunk_name.view(), by_new.chunk_name.view()));
  EXPECT_TRUE(equal(by_old.join.view(), by_new.join.view()));
  // Another epoch's secrets are no keys of this one.
  EpochSecrets wrong = must(open_epoch(epoch_, agent_.recovery));
  wrong.data = crypto::SecretBytes::random(32, agent_.random);
  EXPECT_FALSE(reseal_epoch(agent_.epoch_id, epoch_, {}, list_, wrong, agent_.random).ok());
}

}  // namespace
}  // namespace stele::receiver
