#include "restore/wal/wal_plan.h"

#include <gtest/gtest.h>

#include "core/pg/timeline_history.h"

namespace stele::restore {
namespace {

WalPlan sample() {
  WalPlan plan;
  plan.segment_size = 16u << 20;
  plan.begin = {2ull * plan.segment_size};
  plan.end = {5ull * plan.segment_size + 100};
  plan.timelines = {{1, {}}, {2, {4ull * plan.segment_size + 8}}};
  plan.segments = {"000000010000000000000002", "000000010000000000000003", "000000020000000000000004", "000000020000000000000005"};
  plan.histories = {"00000002.history"};
  return plan;
}

TEST(WalPlan, ComesBackAsItWasWritten) {
  const auto read = WalPlan::decode(sample().encode());
  ASSERT_TRUE(read.ok()) << read.error().to_string();
  EXPECT_EQ(read->encode(), sample().encode());
}

TEST(WalPlan, OnlyAProofGivesPastTheEnd) {
  const WalPlan plan = sample();
  using Answer = WalPlan::Answer;
  EXPECT_EQ(plan.answer("000000010000000000000003"), Answer::kDeliver);
  EXPECT_EQ(plan.answer("00000002.history"), Answer::kDeliver);
  EXPECT_EQ(plan.answer("000000020000000000000006"), Answer::kPastEnd);
  EXPECT_EQ(plan.answer("000000010000000000000006"), Answer::kPastEnd);
  EXPECT_EQ(plan.answer("000000010000000000000004"), Answer::kPastEnd) << "timeline 2 begins in this segment";
  EXPECT_EQ(plan.answer("000000010000000000000005"), Answer::kPastEnd);
  EXPECT_EQ(plan.answer("00000003.history"), Answer::kPastEnd);
  EXPECT_EQ(plan.answer("000000010000000000000001"), Answer::kUnknown);
  EXPECT_EQ(plan.answer("000000020000000000000003"), Answer::kUnknown);
  EXPECT_EQ(plan.answer("000000030000000000000004"), Answer::kUnknown);
  EXPECT_EQ(plan.answer("000000010000000000000002.00000028.backup"), Answer::kUnknown);
  EXPECT_EQ(plan.answer("plan"), Answer::kUnknown);
}

TEST(WalPlan, AStandbysLogGoesOnAndItsOwnHistoriesAreAllHere) {
  WalPlan plan = sample();
  plan.following.data[0] = 7;
  using Answer = WalPlan::Answer;
  EXPECT_EQ(plan.answer("000000010000000000000003"), Answer::kDeliver);
  EXPECT_EQ(plan.answer("000000020000000000000006"), Answer::kNotYet) << "behind the end, but the end moves";
  EXPECT_EQ(plan.answer("00000003.history"), Answer::kNotYet);
  EXPECT_EQ(plan.answer("00000002.history"), Answer::kDeliver);
  EXPECT_EQ(plan.answer("00000001.history"), Answer::kPastEnd) << "the first timeline has none; a promotion asks for its parent's";
  EXPECT_EQ(plan.answer("plan"), Answer::kUnknown);
  auto again = WalPlan::decode(plan.encode());
  ASSERT_TRUE(again.ok()) << again.error().to_string();
  EXPECT_EQ(again->following, plan.following);
}

TEST(WalPlan, EveryCutIsRefused) {
  const std::string text = sample().encode();
  for (std::size_t n = 0; n < text.size(); ++n) {
    const auto read = WalPlan::decode(text.substr(0, n));
    // A cut after a whole line gives a shorter plan: it can only know less, and so say "unknown" more often.
    if (read.ok()) {
      EXPECT_EQ(text[n - 1], '\n');
      EXPECT_EQ(read->end, sample().end);
    }
  }
  EXPECT_FALSE(WalPlan::decode("stele-wal-plan 2\n").ok());
  EXPECT_FALSE(WalPlan::decode(text + "more\n").ok());
}

TEST(WalPlan, HistoriesAreWhatPostgresReads) {
  const auto parsed = pg::parse_timeline_history(3, history_text(3, {{1, {100}}, {2, {200}}}));
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  ASSERT_EQ(parsed->ancestors.size(), 2u);
  EXPECT_EQ(parsed->ancestors[1].begin, Position{100});
  EXPECT_EQ(parsed->ancestors[1].end, Position{200});
}

}  // namespace
}  // namespace stele::restore
