#include "agent/postgres/reconnect.h"

#include <gtest/gtest.h>

namespace stele::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ReconnectPolicy, StreamsAgainWithinTwoSecondsOfAKill) {
  ReconnectPolicy policy;
  Instant now{};
  policy.streaming(now);
  now += seconds(60);
  EXPECT_EQ(policy.failed(ReconnectReason::kLost, now), Duration(0));
  // The server comes back at any moment: the next attempt after it is at most half a second away.
  for (int i = 0; i < 50; ++i) {
    const Duration wait = policy.failed(i < 10 ? ReconnectReason::kRefused : ReconnectReason::kStartingUp, now);
    EXPECT_GE(wait, milliseconds(100));
    EXPECT_LE(wait, milliseconds(500));
    now += wait;
  }
}

TEST(ReconnectPolicy, DoesNotHammerAServerThatShutsDown) {
  ReconnectPolicy policy;
  Instant now{};
  policy.streaming(now);
  now += seconds(60);
  Duration last{};
  for (int i = 0; i < 10; ++i) {
    last = policy.failed(ReconnectReason::kShuttingDown, now);
    EXPECT_GE(last, seconds(2));
    EXPECT_LE(last, seconds(5));
    now += last;
  }
  EXPECT_EQ(last, seconds(5));
}

TEST(ReconnectPolicy, BacksOffFromAStreamThatBreaksAtItsStart) {
  ReconnectPolicy policy;
  Instant now{};
  policy.streaming(now);
  EXPECT_EQ(policy.failed(ReconnectReason::kLost, now), Duration(0));
  for (int i = 0; i < 5; ++i) {
    policy.streaming(now);
    EXPECT_GE(policy.failed(ReconnectReason::kLost, now += milliseconds(10)), milliseconds(100));
  }
  policy.streaming(now);
  EXPECT_EQ(policy.failed(ReconnectReason::kLost, now + seconds(11)), Duration(0));
}

TEST(ReconnectPolicy, WaitsLongWhereAPersonMustAct) {
  ReconnectPolicy policy;
  Instant now{};
  EXPECT_EQ(policy.failed(ReconnectReason::kUnauthorised, now), seconds(5));
  Duration last{};
  for (int i = 0; i < 100; ++i) last = policy.failed(ReconnectReason::kUnauthorised, now);
  EXPECT_EQ(last, seconds(60));
  EXPECT_EQ(policy.failed(ReconnectReason::kTimelineEnd, now), Duration(0));
}

TEST(ShutdownDetector, SuspectsAServerThatAsksAgainAtOnce) {
  ShutdownDetector detector;
  Timestamp server{1'000'000'000};
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(detector.suspected());
    detector.keepalive(true, server);
    server = server + milliseconds(200);
  }
  EXPECT_TRUE(detector.suspected());
  detector.data();
  EXPECT_FALSE(detector.suspected());
}

TEST(ShutdownDetector, LeavesOrdinaryKeepalivesAlone) {
  ShutdownDetector detector;
  Timestamp server{1'000'000'000};
  for (int i = 0; i < 100; ++i) {
    detector.keepalive(true, server);
    detector.keepalive(false, server + milliseconds(1));
    server = server + seconds(2);
    EXPECT_FALSE(detector.suspected());
  }
}

}  // namespace
}  // namespace stele::agent
