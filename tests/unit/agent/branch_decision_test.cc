#include "agent/log/branch_decision.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

using Kind = BranchDecision::Kind;
constexpr std::uint64_t kSystem = 7000000000000000001;
constexpr std::uint64_t kSegment = 16u << 20;

struct BranchDecisionTest : testing::Test {
  test::SeededRandom random{5};
  std::vector<KnownBranch> known;

  KnownBranch& add(std::uint32_t timeline, std::vector<format::TimelineSwitch> history, Position end) {
    KnownBranch b;
    b.record.lineage = kSystem;
    b.record.timeline = timeline;
    b.record.history = std::move(history);
    b.record.nonce = random.draw<BranchNonce>();
    b.record.fork = b.record.history.empty() ? Position{} : b.record.history.back().end;
    b.end = end;
    known.push_back(b);
    return known.back();
  }
  static ServerFacts server(std::uint32_t timeline, const std::vector<format::TimelineSwitch>& history, Position flush) {
    format::BranchRecord r;
    r.timeline = timeline;
    r.history = history;
    ServerFacts out{kSystem, history_of(r), flush, kSegment};
    for (auto& range : out.history.ancestors) range.reason = "no recovery target specified";
    return out;
  }
  BranchDecision decide(const ServerFacts& facts) { return decide_branch(known, known.empty() ? nullptr : &known.back(), facts).value(); }
};

TEST_F(BranchDecisionTest, NothingStreamedIsAFirstStart) { EXPECT_EQ(decide(server(1, {}, {500})).kind, Kind::kFirst); }

TEST_F(BranchDecisionTest, TheSameHistoryContinuesAtTheEnd) {
  add(1, {}, {500});
  for (const Position flush : {Position{500}, Position{501}, Position{1u << 30}}) {
    const auto d = decide(server(1, {}, flush));
    EXPECT_EQ(d.kind, Kind::kContinue);
    EXPECT_EQ(d.begin, Position{500});
    EXPECT_EQ(d.timeline, 1u);
  }
}

TEST_F(BranchDecisionTest, AServerBehindWhatWasStreamedIsAFork) {
  add(1, {}, {500});
  const auto d = decide(server(1, {}, {499}));
  EXPECT_EQ(d.kind, Kind::kFork);
  EXPECT_FALSE(d.parent) << "nothing of the old branch is relied on";
  EXPECT_NE(d.why.find("behind"), std::string::npos);
}

TEST_F(BranchDecisionTest, APromotionAheadOfUsFinishesTheOldTimelineFirst) {
  add(1, {}, {500});
  const auto d = decide(server(2, {{1, {600}}}, {700}));
  EXPECT_EQ(d.kind, Kind::kFinishOld);
  EXPECT_EQ(d.timeline, 1u);
  EXPECT_EQ(d.begin, Position{500});
  EXPECT_EQ(d.switch_point, Position{600});
}

TEST_F(BranchDecisionTest, APromotionAtOurEndBeginsThereAndAbandonsNothing) {
  add(1, {}, {600});
  const auto d = decide(server(2, {{1, {600}}}, {700}));
  EXPECT_EQ(d.kind, Kind::kNewTimeline);
  EXPECT_EQ(d.timeline, 2u);
  EXPECT_EQ(d.begin, Position{600});
  EXPECT_EQ(d.parent, known[0].record.stream());
  EXPECT_FALSE(d.abandoned);
}

TEST_F(BranchDecisionTest, APromotionBehindUsBeginsAtTheSwitchPointAndNamesTheAbandonedTail) {
  add(1, {}, {650});
  for (const Position flush : {Position{600}, Position{640}, Position{9000}}) {
    const auto d = decide(server(2, {{1, {600}}}, flush));
    EXPECT_EQ(d.kind, Kind::kNewTimeline);
    EXPECT_EQ(d.begin, Position{600}) << "never at the agent's own position";
    ASSERT_TRUE(d.abandoned);
    EXPECT_EQ(d.abandoned->begin, Position{600});
    EXPECT_EQ(d.abandoned->end, Position{650});
  }
}

TEST_F(BranchDecisionTest, TwoPromotionsInARowAreFollowedOneByOne) {
  add(1, {}, {500});
  const auto facts = server(3, {{1, {600}}, {2, {800}}}, {900});
  EXPECT_EQ(decide(facts).kind, Kind::kFinishOld);
  known[0].end = {600};
  const auto d = decide(facts);
  EXPECT_EQ(d.kind, Kind::kFork) << "the log of timeline 2 was never streamed: its past cannot be joined";
  EXPECT_FALSE(d.parent);
  EXPECT_NE(d.why.find("never streamed"), std::string::npos);
}

TEST_F(BranchDecisionTest, TwoPromotionsAtOnePositionLeaveNothingBetween) {
  add(1, {}, {600});
  const auto d = decide(server(3, {{1, {600}}, {2, {600}}}, {900}));
  EXPECT_EQ(d.kind, Kind::kNewTimeline);
  EXPECT_EQ(d.begin, Position{600});
  EXPECT_EQ(d.parent, known[0].record.stream());
}

TEST_F(BranchDecisionTest, TheNearestStreamedAncestorIsTheParent) {
  add(1, {}, {600});
  add(2, {{1, {600}}}, {800});
  const auto d = decide(server(3, {{1, {600}}, {2, {800}}}, {900}));
  EXPECT_EQ(d.kind, Kind::kNewTimeline);
  EXPECT_EQ(d.begin, Position{800});
  EXPECT_EQ(d.parent, known[1].record.stream());
}

TEST_F(BranchDecisionTest, TwoBranchesWithOneTimelineNumberAreKeptApart) {
  add(1, {}, {600});
  add(2, {{1, {600}}}, {800});
  // Another restore chose timeline 2 as well, and left timeline 1 elsewhere.
  const auto d = decide(server(2, {{1, {550}}}, {900}));
  EXPECT_EQ(d.kind, Kind::kNewTimeline);
  EXPECT_EQ(d.begin, Position{550});
  EXPECT_EQ(d.parent, known[0].record.stream());
  ASSERT_TRUE(d.abandoned);
  EXPECT_EQ(d.abandoned->end, Position{600});
}

TEST_F(BranchDecisionTest, AStrangersTwinOfOurTimelineIsNeverTheParent) {
  add(1, {}, {600});
  add(2, {{1, {550}}}, {560});       // an older twin with the same number, left behind
  add(2, {{1, {600}}}, {800});
  const auto d = decide(server(3, {{1, {600}}, {2, {800}}}, {900}));
  EXPECT_EQ(d.parent, known[2].record.stream());
}

TEST_F(BranchDecisionTest, AfterAForkTheBranchStreamedLastIsTheParentHoweverFarTheOldOneWent) {
  add(1, {}, {200});
  add(1, {}, {110}).record.fork = {50};  // the data directory was rolled back: another history under the same number
  const auto d = decide(server(2, {{1, {110}}}, {120}));
  EXPECT_EQ(d.kind, Kind::kNewTimeline);
  EXPECT_EQ(d.parent, known[1].record.stream());
  EXPECT_FALSE(d.abandoned);
}

TEST_F(BranchDecisionTest, ABranchThatBeginsBehindTheSwitchPointIsNoParent) {
  add(1, {}, {200});
  add(1, {}, {110}).record.fork = {50};
  const auto d = decide(server(2, {{1, {40}}}, {120}));
  EXPECT_EQ(d.kind, Kind::kNewTimeline);
  EXPECT_EQ(d.parent, known[0].record.stream());
}

TEST_F(BranchDecisionTest, TwoOldBranchesThatFitAlikeAreAForkAndNotAGuess) {
  add(1, {}, {200});
  add(1, {}, {160}).record.fork = {50};
  add(2, {{1, {110}}}, {150});
  const auto d = decide(server(2, {{1, {105}}}, {120}));
  EXPECT_EQ(d.kind, Kind::kFork);
  EXPECT_FALSE(d.parent);
  EXPECT_NE(d.why.find("several"), std::string::npos);
}

TEST_F(BranchDecisionTest, ABranchOfAnotherClusterIsNeverTheParent) {
  add(1, {}, {900}).record.lineage = kSystem + 1;  // enrolled again since
  add(1, {}, {100}).record.fork = {90};
  const auto d = decide(server(2, {{1, {80}}}, {120}));
  EXPECT_EQ(d.kind, Kind::kFork);
  EXPECT_FALSE(d.parent);
}

TEST_F(BranchDecisionTest, AServerRolledBackToAnOlderTimelineGoesOnFromItsOwnBranch) {
  add(1, {}, {600});
  add(2, {{1, {600}}}, {800});
  const auto d = decide(server(1, {}, {700}));
  // Timeline 1 beyond 600 is not what we streamed as timeline 2: it is another history and needs a snapshot.
  EXPECT_EQ(d.kind, Kind::kFork);
}

TEST_F(BranchDecisionTest, AForeignClusterIsRefused) {
  add(1, {}, {600});
  auto facts = server(1, {}, {700});
  facts.system_identifier = kSystem + 1;
  auto d = decide_branch(known, &known.back(), facts);
  ASSERT_FALSE(d.ok());
  EXPECT_EQ(d.error().code, ErrorCode::kFork);
  EXPECT_FALSE(d.error().hint.empty());
}

TEST_F(BranchDecisionTest, AfterANewEnrolmentNothingIsContinued) {
  auto d = decide_branch({}, nullptr, server(4, {{1, {600}}}, {700}));
  EXPECT_EQ(d->kind, Kind::kFirst);
  EXPECT_EQ(d->timeline, 4u);
}

TEST_F(BranchDecisionTest, TheOverlapIsTheSegmentThatHoldsThePositionOrTheOneBefore) {
  EXPECT_EQ(overlap_begin({3 * kSegment + 5}, kSegment), Position{3 * kSegment});
  EXPECT_EQ(overlap_begin({3 * kSegment}, kSegment), Position{2 * kSegment}) << "on a boundary nothing would be compared";
  EXPECT_EQ(overlap_begin({kSegment}, kSegment), Position{0});
  EXPECT_EQ(overlap_begin({0}, kSegment), Position{0});
  EXPECT_EQ(overlap_begin({kSegment - 1}, kSegment), Position{0});
}

TEST_F(BranchDecisionTest, HistoriesSurviveTheWayThroughABranchRecord) {
  format::BranchRecord r;
  r.timeline = 5;
  r.history = {{1, {100}}, {3, {100}}, {4, {700}}};
  EXPECT_EQ(switches_of(history_of(r)), r.history);
}

}  // namespace
}  // namespace stele::agent
