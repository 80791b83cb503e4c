#include "agent/stream/recovery_point.h"

#include <gtest/gtest.h>

namespace stele::agent {
namespace {

constexpr Timestamp at(int second) { return {1'000'000'000'000'000 + std::int64_t{second} * 1'000'000}; }

TEST(RecoveryPoint, IsTheServersClockWhereTheFrameReachedTheEndOfTheLog) {
  RecoveryPoint point(at(0));
  point.sealed({100}, at(7), {100}, at(10));
  EXPECT_EQ(point.reached({50}), at(0)) << "nothing of it is off-site";
  EXPECT_EQ(point.reached({100}), at(10));
}

TEST(RecoveryPoint, IsTheNewestCommitWhileTheAgentCatchesUp) {
  RecoveryPoint point(at(-9000));
  point.sealed({100}, at(-3600), {900}, at(10));  // read now, committed an hour ago
  EXPECT_EQ(point.reached({100}), at(-3600));
  point.sealed({200}, {}, {900}, at(11));  // no commit in it
  EXPECT_EQ(point.reached({200}), at(-3600));
}

TEST(RecoveryPoint, StandsStillWhileTheLineIsCutAndComesBackWithTheAcknowledgements) {
  RecoveryPoint point(at(0));
  point.sealed({100}, at(1), {100}, at(1));
  EXPECT_EQ(point.reached({100}), at(1));
  for (int i = 2; i <= 60; ++i) point.sealed({100u + static_cast<std::uint64_t>(i)}, at(i), {100u + static_cast<std::uint64_t>(i)}, at(i));
  EXPECT_EQ(point.reached({100}), at(1));
  EXPECT_EQ(point.reached({130}), at(30));
  EXPECT_EQ(point.reached({160}), at(60));
}

TEST(RecoveryPoint, MovesWithTheClockOfAnIdleSource) {
  RecoveryPoint point(at(0));
  point.sealed({100}, at(1), {100}, at(1));
  EXPECT_EQ(point.reached({100}), at(1));
  point.heard({100}, at(20));
  EXPECT_EQ(point.reached({100}), at(20));
  point.heard({120}, at(25));  // the server has more: nothing is known about it
  EXPECT_EQ(point.reached({100}), at(20));
}

TEST(RecoveryPoint, NeverSaysTooMuchWhenItHasThinnedItsMarks) {
  RecoveryPoint point(at(0));
  for (int i = 1; i <= 100'000; ++i) point.sealed({static_cast<std::uint64_t>(i)}, at(i), {static_cast<std::uint64_t>(i)}, at(i));
  for (int end : {10, 1'000, 50'000, 99'999}) EXPECT_LE(point.reached({static_cast<std::uint64_t>(end)}), at(end));
  EXPECT_EQ(point.reached({100'000}), at(100'000));
}

TEST(RecoveryPoint, PositionsOfAnotherStreamDoNotCount) {
  RecoveryPoint point(at(0));
  point.sealed({1000}, at(5), {1000}, at(5));
  point.begin_stream();
  EXPECT_EQ(point.reached({2000}), at(0));
  point.sealed({300}, at(9), {300}, at(9));
  EXPECT_EQ(point.reached({299}), at(0));
  EXPECT_EQ(point.reached({300}), at(9));
}

}  // namespace
}  // namespace stele::agent
