#include "agent/stream/receiver_claims.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

struct ReceiverClaimsTest : testing::Test {
  test::SeededRandom random{12};
  StreamId stream = random.draw<StreamId>(), other = random.draw<StreamId>();
  ReceiverClaims claims;
  HeldLog held(Position end) { return {stream, end, random.draw<JoinTag>()}; }
};

TEST_F(ReceiverClaimsTest, WhatIsKnownFromBeforeCountsAtOnce) {
  claims.tell("a", held({90}));
  EXPECT_FALSE(claims.counted("a")) << "no stream yet";
  claims.continue_stream(stream, {100});
  EXPECT_EQ(claims.counted("a"), Position{90});
  EXPECT_TRUE(claims.open().empty());
  EXPECT_FALSE(claims.counted("b"));
}

TEST_F(ReceiverClaimsTest, MoreThanThatCountsOnlyAfterTheComparison) {
  claims.tell("a", held({150}));
  claims.continue_stream(stream, {100});
  EXPECT_EQ(claims.counted("a"), Position{100});
  ASSERT_EQ(claims.open().size(), 1u);
  claims.confirm(claims.open()[0]);
  EXPECT_TRUE(claims.open().empty());
  EXPECT_EQ(claims.counted("a"), Position{150});
}

TEST_F(ReceiverClaimsTest, StreamingOnDoesNotMakeAStrangersClaimKnown) {
  claims.continue_stream(stream, {100});
  claims.continue_stream(stream, {400});  // the next connection
  claims.tell("a", held({150}));
  EXPECT_EQ(claims.counted("a"), Position{100});
  EXPECT_EQ(claims.open().size(), 1u);
}

TEST_F(ReceiverClaimsTest, SayingTheSameAgainAsksNothingAgainAndAnotherClaimDoes) {
  claims.continue_stream(stream, {100});
  const HeldLog first = held({150});
  claims.tell("a", first);
  claims.confirm(claims.open()[0]);
  claims.tell("a", first);
  EXPECT_TRUE(claims.open().empty());
  claims.tell("a", held({150}));  // another log up to the same position
  EXPECT_EQ(claims.open().size(), 1u);
  EXPECT_EQ(claims.counted("a"), Position{100});
}

TEST_F(ReceiverClaimsTest, WhatIsSetAsideNeverCountsAndIsNotAskedAgain) {
  claims.continue_stream(stream, {100});
  claims.tell("a", held({150}));
  claims.set_aside(claims.open()[0]);
  EXPECT_TRUE(claims.open().empty());
  EXPECT_EQ(claims.counted("a"), Position{100});
}

TEST_F(ReceiverClaimsTest, OfABranchThatThisProcessBeganNothingBeyondWhatItSentCanBeTrue) {
  claims.begin_stream(stream);
  claims.continue_stream(stream, {100});  // the next connection
  claims.tell("a", held({150}));
  EXPECT_FALSE(claims.inherited());
  EXPECT_TRUE(claims.open().empty());
  EXPECT_EQ(claims.counted("a"), Position{});
}

TEST_F(ReceiverClaimsTest, AnAcknowledgementTakesTheClaimsPlace) {
  claims.continue_stream(stream, {100});
  const HeldLog first = held({150});
  claims.tell("a", first);
  claims.confirm(claims.open()[0]);
  claims.supersede("a", stream);
  EXPECT_TRUE(claims.open().empty());
  EXPECT_TRUE(claims.receivers().empty());
  EXPECT_FALSE(claims.counted("a"));
  claims.tell("a", first);
  EXPECT_TRUE(claims.open().empty()) << "compared already";
  EXPECT_EQ(claims.counted("a"), Position{150});
}

}  // namespace
}  // namespace stele::agent
