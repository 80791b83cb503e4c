#include "agent/snapshot/scheduler.h"

#include <gtest/gtest.h>

namespace stele::agent {
namespace {

using namespace std::chrono_literals;

Timestamp at(std::string_view text) {
  return parse_timestamp(text).value();
}
Error error(ErrorCode code) {
  return {code, "x", ""};
}

SnapshotScheduler::Options nightly(Duration jitter = {}) {
  SnapshotScheduler::Options o;
  o.schedule = config::CronSchedule::parse("30 1 * * *").value();
  o.jitter = jitter;
  return o;
}

TEST(SnapshotScheduler, BeginsAtTheScheduledMomentPlusTheDatabasesDelay) {
  SnapshotScheduler s(nightly(10min), at("2026-11-23T12:00:00Z"), at("2026-11-23T01:45:00Z"));
  EXPECT_EQ(s.next(), at("2026-11-24T01:40:00Z"));
  EXPECT_FALSE(s.due(at("2026-11-24T01:39:59Z")));
  auto due = s.due(at("2026-11-24T01:40:00Z"));
  ASSERT_TRUE(due);
  EXPECT_EQ(due->reason, SnapshotReason::kSchedule);
  s.begun(at("2026-11-24T01:40:00Z"));
  EXPECT_FALSE(s.due(at("2026-11-24T01:41:00Z")));
  EXPECT_FALSE(s.next());
  s.succeeded(at("2026-11-24T02:00:00Z"));
  EXPECT_EQ(s.next(), at("2026-11-25T01:40:00Z"));
}

TEST(SnapshotScheduler, MakesUpOnceForMomentsThatPassedWhileTheAgentWasDown) {
  SnapshotScheduler s(nightly(), at("2026-11-23T12:00:00Z"), at("2026-11-19T01:45:00Z"));
  ASSERT_TRUE(s.due(at("2026-11-23T12:00:00Z")));
  s.begun(at("2026-11-23T12:00:00Z"));
  s.succeeded(at("2026-11-23T12:10:00Z"));
  EXPECT_FALSE(s.due(at("2026-11-23T12:11:00Z")));
  EXPECT_EQ(s.next(), at("2026-11-24T01:30:00Z"));
}

TEST(SnapshotScheduler, SkipsMomentsThatPassWhileOneRuns) {
  SnapshotScheduler s(nightly(), at("2026-11-23T00:00:00Z"), at("2026-11-22T01:45:00Z"));
  s.begun(at("2026-11-23T01:30:00Z"));
  s.succeeded(at("2026-11-24T05:00:00Z"));
  // The moment on the 24th passed during the run: it is made up for.
  EXPECT_TRUE(s.due(at("2026-11-24T05:00:00Z")));
}

TEST(SnapshotScheduler, WithoutAScheduleOnlyRequestsCount) {
  SnapshotScheduler s({}, at("2026-11-23T00:00:00Z"), std::nullopt);
  EXPECT_FALSE(s.next());
  EXPECT_FALSE(s.due(at("2036-11-23T00:00:00Z")));
  s.request(SnapshotReason::kCommand, true, at("2026-11-23T00:00:00Z"));
  auto due = s.due(at("2026-11-23T00:00:00Z"));
  ASSERT_TRUE(due);
  EXPECT_TRUE(due->full);
  EXPECT_EQ(due->reason, SnapshotReason::kCommand);
  s.begun(at("2026-11-23T00:00:00Z"));
  s.succeeded(at("2026-11-23T00:10:00Z"));
  EXPECT_FALSE(s.due(at("2026-11-23T00:10:00Z")));
}

TEST(SnapshotScheduler, RetriesWithGrowingPausesThatEndWithSuccess) {
  SnapshotScheduler s({}, at("2026-11-23T00:00:00Z"), std::nullopt);
  Timestamp now = at("2026-11-23T00:00:00Z");
  s.request(SnapshotReason::kNewBranch, false, now);
  std::vector<Duration> pauses;
  for (int i = 0; i < 10; ++i) {
    auto due = s.due(now);
    ASSERT_TRUE(due) << i;
    EXPECT_EQ(due->attempt, static_cast<std::uint32_t>(i + 1));
    EXPECT_EQ(due->reason, SnapshotReason::kNewBranch);
    s.begun(now);
    s.failed(error(ErrorCode::kTemporary), now);
    pauses.push_back(*s.next() - now);
    EXPECT_FALSE(s.due(now));
    now = *s.next();
  }
  EXPECT_EQ(pauses[0], 30s);
  EXPECT_EQ(pauses[1], 60s);
  EXPECT_EQ(pauses[9], 30min);
  EXPECT_EQ(s.failures(), 10u);
  s.begun(now);
  s.succeeded(now);
  EXPECT_EQ(s.failures(), 0u);
  EXPECT_FALSE(s.next());
}

TEST(SnapshotScheduler, WaitsLongForWhatAPersonMustMend) {
  for (ErrorCode code : {ErrorCode::kUnauthorised, ErrorCode::kSuperseded, ErrorCode::kDiskFull}) {
    SnapshotScheduler s(nightly(), at("2026-11-23T00:00:00Z"), std::nullopt);
    s.begun(at("2026-11-23T01:30:00Z"));
    s.failed(error(code), at("2026-11-23T01:31:00Z"));
    EXPECT_EQ(s.next(), at("2026-11-23T02:01:00Z"));
  }
}

TEST(SnapshotScheduler, WhatIsAskedForCutsAPauseShort) {
  for (SnapshotReason reason : {SnapshotReason::kCommand, SnapshotReason::kNewBranch, SnapshotReason::kReceiverLost}) {
    SnapshotScheduler s(nightly(), at("2026-11-23T00:00:00Z"), std::nullopt);
    Timestamp now = at("2026-11-23T01:30:00Z");
    s.begun(now);
    s.failed(error(ErrorCode::kUnauthorised), now);
    ASSERT_FALSE(s.due(now));
    s.request(reason, true, now);
    auto due = s.due(now);
    ASSERT_TRUE(due) << to_string(reason);
    EXPECT_TRUE(due->full);
    EXPECT_EQ(due->reason, reason);
    EXPECT_EQ(due->attempt, 2u);
    // Also when it is asked for while the failing one still runs.
    s.begun(now);
    s.request(SnapshotReason::kNewBranch, false, now);
    s.failed(error(ErrorCode::kTemporary), now);
    EXPECT_TRUE(s.due(now)) << to_string(reason);
  }
}

TEST(SnapshotScheduler, AReceiverThatSaysAgainAndAgainWhatItLacksDoesNotHurryItsFailingSnapshot) {
  SnapshotScheduler s({}, at("2026-11-23T00:00:00Z"), std::nullopt);
  const Timestamp now = at("2026-11-23T00:00:00Z");
  s.request(SnapshotReason::kReceiverLost, false, now);
  s.begun(now);
  s.request(SnapshotReason::kReceiverLost, false, now);
  s.failed(error(ErrorCode::kTemporary), now);
  EXPECT_FALSE(s.due(now));
  s.request(SnapshotReason::kReceiverLost, false, now);
  EXPECT_FALSE(s.due(now));
  EXPECT_EQ(*s.next() - now, 30s);
}

TEST(SnapshotScheduler, KeepsWhatWasAskedForWhileOneRan) {
  SnapshotScheduler s({}, at("2026-11-23T00:00:00Z"), std::nullopt);
  const Timestamp now = at("2026-11-23T00:00:00Z");
  s.request(SnapshotReason::kCommand, false, now);
  s.begun(now);
  s.request(SnapshotReason::kNewBranch, false, now);
  s.request(SnapshotReason::kCommand, true, now);
  EXPECT_FALSE(s.due(now));
  s.succeeded(now);
  auto due = s.due(now);
  ASSERT_TRUE(due);
  EXPECT_TRUE(due->full);
  EXPECT_EQ(due->reason, SnapshotReason::kCommand);
}

TEST(SnapshotScheduler, AClockSetForwardAndBackDoesNotPutTheNextOneOff) {
  SnapshotScheduler s(nightly(), at("2026-11-23T12:00:00Z"), at("2026-11-23T01:45:00Z"));
  s.clock_is(at("2031-05-05T01:30:00Z"));  // five years ahead, a snapshot is made by it
  s.begun(at("2031-05-05T01:30:00Z"));
  s.succeeded(at("2031-05-05T01:40:00Z"));
  ASSERT_EQ(s.next(), at("2031-05-06T01:30:00Z"));
  s.clock_is(at("2031-05-05T01:29:59Z"));
  EXPECT_EQ(s.next(), at("2031-05-06T01:30:00Z")) << "a correction does not bring a moment back";
  s.clock_is(at("2026-11-23T12:30:00Z"));
  EXPECT_EQ(s.next(), at("2026-11-24T01:30:00Z"));
  EXPECT_EQ(s.last_success(), at("2026-11-23T12:30:00Z"));
}

TEST(SnapshotScheduler, APauseIsAsLongAsItWasWhenTheClockIsSetBack) {
  SnapshotScheduler s({}, at("2026-11-23T00:00:00Z"), std::nullopt);
  s.clock_is(at("2027-11-23T00:00:00Z"));
  s.request(SnapshotReason::kNewBranch, false, at("2027-11-23T00:00:00Z"));
  s.begun(at("2027-11-23T00:00:00Z"));
  s.failed(error(ErrorCode::kTemporary), at("2027-11-23T00:00:00Z"));
  s.clock_is(at("2027-11-23T00:00:10Z"));
  s.clock_is(at("2026-11-23T00:00:00Z"));
  EXPECT_EQ(s.next(), at("2026-11-23T00:00:20Z"));
}

TEST(SnapshotScheduler, SurvivesAClockThatWasSetBack) {
  SnapshotScheduler s(nightly(), at("2026-11-23T12:00:00Z"), at("2030-01-01T00:00:00Z"));
  EXPECT_EQ(s.next(), at("2026-11-24T01:30:00Z"));
}

}  // namespace
}  // namespace stele::agent
