#include "agent/spool/ack_policy.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

using std::chrono::seconds;

struct AckPolicyTest : testing::Test {
  test::SeededRandom random{1};
  StreamId stream = random.draw<StreamId>(), other = random.draw<StreamId>();
  Instant now{seconds(1000)};
  static AckPolicy::Options receivers(int k) { return {.spool_only = false, .quorum = k, .may_degrade = false, .degrade_after = {}}; }
  static AckPolicy::Options degrading(int k) { return {.spool_only = false, .quorum = k, .may_degrade = true, .degrade_after = seconds(30)}; }
};

TEST_F(AckPolicyTest, SpoolAloneConfirmsWhatItSynced) {
  AckPolicy policy({.spool_only = true, .quorum = 2, .may_degrade = false, .degrade_after = {}});
  policy.begin_stream(stream);
  EXPECT_EQ(policy.confirmed(), Position{});
  policy.spool_durable({100}, now);
  EXPECT_EQ(policy.confirmed(), Position{100});
}

TEST_F(AckPolicyTest, ConfirmsWhatTheKthReceiverHoldsAndNeverPastTheSpool) {
  AckPolicy policy(receivers(2));
  policy.begin_stream(stream);
  policy.receiver_durable("a", stream, {300}, now);
  policy.receiver_durable("b", stream, {200}, now);
  policy.receiver_durable("c", stream, {50}, now);
  EXPECT_EQ(policy.quorum_end(), Position{200});
  EXPECT_EQ(policy.confirmed(), Position{}) << "the spool has synced nothing";
  policy.spool_durable({150}, now);
  EXPECT_EQ(policy.confirmed(), Position{150});
  policy.spool_durable({500}, now);
  EXPECT_EQ(policy.confirmed(), Position{200});
  policy.receiver_durable("c", stream, {400}, now);
  EXPECT_EQ(policy.confirmed(), Position{300});
}

TEST_F(AckPolicyTest, FewerReceiversThanTheQuorumConfirmNothing) {
  AckPolicy policy(receivers(2));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.receiver_durable("a", stream, {100}, now);
  policy.receiver_durable("a", stream, {100}, now);
  EXPECT_EQ(policy.confirmed(), Position{});
}

TEST_F(AckPolicyTest, AReceiverThatRolledBackTakesNothingBackAndHoldsTheNextUntilItIsThereAgain) {
  AckPolicy policy(receivers(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.receiver_durable("a", stream, {100}, now);
  policy.receiver_durable("a", stream, {10}, now);
  policy.spool_durable({200}, now);
  EXPECT_EQ(policy.confirmed(), Position{100});
  policy.receiver_durable("a", stream, {200}, now);
  EXPECT_EQ(policy.confirmed(), Position{200});
}

TEST_F(AckPolicyTest, AReceiverThatLacksAnEarlierPartDoesNotCountUntilItIsWhole) {
  AckPolicy policy(receivers(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.receiver_durable("a", stream, {100}, now);
  policy.receiver_lacks("a", true, now);
  policy.spool_durable({200}, now);
  policy.receiver_durable("a", stream, {200}, now);
  EXPECT_EQ(policy.confirmed(), Position{100}) << "behind the hole it restores nothing";
  EXPECT_EQ(policy.stored_end(), Position{200});
  policy.receiver_durable("b", stream, {150}, now);
  EXPECT_EQ(policy.confirmed(), Position{150}) << "another one counts";
  policy.receiver_lacks("a", false, now);
  EXPECT_EQ(policy.confirmed(), Position{200});
}

TEST_F(AckPolicyTest, WithTooFewWholeReceiversThePolicyDegradesAsForOnesThatAreAway) {
  AckPolicy policy(degrading(1));
  policy.begin_stream(stream);
  policy.receiver_lacks("a", true, now);
  policy.spool_durable({100}, now);
  policy.receiver_durable("a", stream, {100}, now);
  policy.tick(now + seconds(29));
  EXPECT_EQ(policy.confirmed(), Position{});
  policy.tick(now + seconds(30));
  EXPECT_TRUE(policy.degraded());
  EXPECT_EQ(policy.confirmed(), Position{100});
  policy.receiver_lacks("a", false, now + seconds(31));
  EXPECT_FALSE(policy.degraded());
}

TEST_F(AckPolicyTest, AnotherStreamsPositionsDoNotCount) {
  AckPolicy policy(receivers(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.receiver_durable("a", other, {100}, now);
  EXPECT_EQ(policy.confirmed(), Position{});
  policy.receiver_durable("a", stream, {60}, now);
  EXPECT_EQ(policy.confirmed(), Position{60});
  policy.begin_stream(other);
  EXPECT_EQ(policy.confirmed(), Position{}) << "nothing of the new branch is in the spool";
  policy.spool_durable({70}, now);
  EXPECT_EQ(policy.confirmed(), Position{70});
}

TEST_F(AckPolicyTest, WhatAReceiverSaidBeforeTheStreamBeganHereCounts) {
  AckPolicy policy(receivers(1));
  policy.receiver_durable("a", stream, {80}, now);
  policy.receiver_durable("a", other, {500}, now);
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  EXPECT_EQ(policy.confirmed(), Position{80});
}

TEST_F(AckPolicyTest, HoldsForEverWhereDegradingIsNotAllowed) {
  AckPolicy policy(receivers(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.tick(now + std::chrono::hours(1000));
  EXPECT_EQ(policy.confirmed(), Position{});
  EXPECT_FALSE(policy.degraded());
}

TEST_F(AckPolicyTest, DegradesAfterItsTimeAndSaysSoOnce) {
  AckPolicy policy(degrading(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.tick(now + seconds(29));
  EXPECT_FALSE(policy.degraded());
  policy.tick(now + seconds(30));
  EXPECT_TRUE(policy.degraded());
  EXPECT_EQ(policy.take_transition(), true);
  EXPECT_EQ(policy.take_transition(), std::nullopt);
  EXPECT_EQ(policy.confirmed(), Position{100});
}

TEST_F(AckPolicyTest, AQuorumThatMovesIsSlowNotLost) {
  AckPolicy policy(degrading(1));
  policy.begin_stream(stream);
  for (std::uint64_t i = 1; i <= 10; ++i) {
    policy.spool_durable({i * 1000}, now);
    policy.receiver_durable("a", stream, {i * 100}, now);
    now += seconds(20);
    policy.tick(now);
  }
  EXPECT_FALSE(policy.degraded());
  EXPECT_EQ(policy.confirmed(), Position{1000});
}

TEST_F(AckPolicyTest, ComesBackByItselfWhenTheQuorumHasCaughtUp) {
  AckPolicy policy(degrading(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.tick(now += seconds(30));
  policy.spool_durable({500}, now);
  EXPECT_EQ(policy.confirmed(), Position{500});
  policy.take_transition();
  policy.receiver_durable("a", stream, {500}, now += seconds(100));
  EXPECT_FALSE(policy.degraded());
  EXPECT_EQ(policy.take_transition(), false);
  policy.spool_durable({600}, now);
  EXPECT_EQ(policy.confirmed(), Position{500}) << "the quorum counts again";
}

TEST_F(AckPolicyTest, ComesBackUnderLoadThoughTheQuorumIsAlwaysALittleBehind) {
  AckPolicy policy(degrading(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.tick(now += seconds(30));
  ASSERT_TRUE(policy.degraded());
  Position end{100};
  for (int i = 0; i < 200 && policy.degraded(); ++i) {
    now += seconds(1);
    policy.spool_durable(end = end + 10, now);
    policy.receiver_durable("a", stream, {end.value - 10}, now);  // one second behind, never at the end
  }
  EXPECT_FALSE(policy.degraded());
  EXPECT_EQ(policy.confirmed().value, end.value) << "never back";
  policy.tick(now + seconds(1));
  EXPECT_FALSE(policy.degraded()) << "the time counts anew";
}

TEST_F(AckPolicyTest, AQuorumThatFallsFurtherAndFurtherBehindStaysDegraded) {
  AckPolicy policy(degrading(1));
  policy.begin_stream(stream);
  policy.spool_durable({100}, now);
  policy.tick(now += seconds(30));
  std::uint64_t held = 0;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    now += seconds(1);
    policy.spool_durable({100 + i * 100}, now);
    policy.receiver_durable("a", stream, {++held}, now);
    ASSERT_TRUE(policy.degraded()) << i;
  }
}

TEST_F(AckPolicyTest, RandomEventsNeverTakeBackAndNeverPassTheSpoolOrTheQuorum) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  test::SeededRandom r(seed);
  for (int round = 0; round < 200; ++round) {
    const int k = 1 + static_cast<int>(r.below(3));
    AckPolicy policy(receivers(k));
    policy.begin_stream(stream);
    std::map<std::string, Position> held;
    Position spool, before;
    for (int step = 0; step < 50; ++step) {
      if (r.below(2) == 0) {
        spool = spool + r.below(10);
        policy.spool_durable(spool, now);
      } else {
        const std::string name(1, static_cast<char>('a' + r.below(3)));
        held[name] = held[name] + r.below(12);
        policy.receiver_durable(name, stream, held[name], now);
      }
      const Position confirmed = policy.confirmed();
      int enough = 0;
      for (const auto& [name, end] : held) enough += end >= confirmed ? 1 : 0;
      ASSERT_GE(confirmed, before);
      ASSERT_LE(confirmed, spool);
      if (confirmed.value != 0) ASSERT_GE(enough, k);
      before = confirmed;
    }
  }
}

}  // namespace
}  // namespace stele::agent
