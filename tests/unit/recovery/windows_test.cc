#include "tests/unit/recovery/facts_builder.h"

namespace stele::recovery::test {
namespace {

TEST(Windows, ReachFromASnapshotsStopToTheLastAsOf) {
  const Survey s = survey(simple().facts);
  ASSERT_EQ(s.windows.size(), 1u);
  EXPECT_EQ(s.windows[0].from, (Moment{at(20), sec(20)}));
  EXPECT_EQ(s.windows[0].to, (Moment{at(80), sec(80)}));
  EXPECT_EQ(s.current, stream(1));
  EXPECT_TRUE(s.gaps.empty());
  EXPECT_TRUE(s.tails.empty());
}

TEST(Windows, ASnapshotWithoutItsLogIsShownAndNotUsed) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(90), at(95), sec(95));
  const Survey s = survey(b.facts);
  ASSERT_EQ(s.snapshots.size(), 2u);
  EXPECT_FALSE(s.snapshots[1].usable);
  EXPECT_NE(s.snapshots[1].why_not.find("not complete"), std::string::npos);
  EXPECT_EQ(s.windows.size(), 1u);
}

TEST(Windows, ASnapshotNeedsItsLogFromTheStartOfItsSegment) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(17), at(40));
  b.snapshot(1, 1, at(18), at(20), sec(20));
  EXPECT_FALSE(survey(b.facts).snapshots[0].usable);
}

TEST(Windows, ASnapshotBehindAGapNeedsASegmentThatBeganBehindItToo) {
  // PostgreSQL reads a segment from its first page on. A snapshot of a primary begins with a new segment (pg_backup_start switches), so the
  // first one behind a gap is whole; one that a standby began in the gap's own segment is not.
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(50));
  b.run(1, at(52), at(80));
  b.snapshot(1, 1, at(54), at(56), sec(56));
  b.snapshot(2, 1, at(64), at(66), sec(66));
  const Survey s = survey(b.facts);
  ASSERT_EQ(s.snapshots.size(), 2u);
  EXPECT_FALSE(s.snapshots[0].usable);
  EXPECT_NE(s.snapshots[0].why_not.find("it ends at"), std::string::npos) << s.snapshots[0].why_not;
  EXPECT_TRUE(s.snapshots[1].usable) << s.snapshots[1].why_not;
  ASSERT_EQ(s.windows.size(), 1u);
  EXPECT_EQ(s.windows[0].from.position, at(66));
  EXPECT_EQ(s.windows[0].to.position, at(80));
}

TEST(Windows, AGapMakesTwoWindows) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(65), at(70), sec(70));
  b.facts.runs.erase(b.facts.runs.begin() + 1);
  const Survey s = survey(b.facts);
  ASSERT_EQ(s.windows.size(), 2u);
  EXPECT_EQ(s.windows[0].to.position, at(32));
  EXPECT_EQ(s.windows[1].from.position, at(70));
  EXPECT_EQ(s.gaps.size(), 1u);
}

TEST(Windows, TheBranchOfTheHighestGenerationIsCurrent) {
  FactsBuilder b;
  b.branch(1, 1, 0, {}, 5);
  b.branch(2, 1, 0, {}, 4);
  EXPECT_EQ(current_branch(b.facts), stream(1));
}

TEST(Windows, ADescendantIsCurrentBeforeItsAncestorWhateverTheirClocks) {
  FactsBuilder b;
  b.branch(1, 1);
  b.branch(2, 2, 1, at(40));
  b.facts.branches[0].created = sec(1000);
  EXPECT_EQ(current_branch(b.facts), stream(2));
}

TEST(Windows, AnAgentAheadOfThePromotedStandbyLeavesAnAbandonedTail) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(48), {sec(16), sec(47), 0, 9, 0, 0, sec(48)});
  b.branch(2, 2, 1, at(40));
  b.run(2, at(40), at(60), {sec(50), sec(60), 0, 9, 0, 0, sec(60)});
  b.snapshot(1, 1, at(18), at(20), sec(20));
  const Survey s = survey(b.facts);
  ASSERT_EQ(s.tails.size(), 1u);
  EXPECT_EQ(s.tails[0].stream, stream(1));
  EXPECT_EQ(s.tails[0].left_by, stream(2));
  EXPECT_EQ(s.tails[0].range, (PositionRange{at(40), at(48)}));
  EXPECT_EQ(s.tails[0].last_commit, sec(47));
  // Both ends can be restored, and both have a window.
  ASSERT_EQ(s.windows.size(), 2u);
}

TEST(Windows, LogThatEndsAtTheForkIsNoTail) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(40), {sec(16), sec(39)});
  b.branch(2, 2, 1, at(40));
  EXPECT_TRUE(survey(b.facts).tails.empty());
}

TEST(Windows, AnotherLineageIsNoTail) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(40), {sec(16), sec(39)});
  b.branch(2, 1, 0, {}, 9).lineage = 8;
  EXPECT_EQ(current_branch(b.facts), stream(2));
  EXPECT_TRUE(survey(b.facts).tails.empty());
}

TEST(Windows, ATwinOfOneTimelineNumberIsATail) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(40), {sec(16), sec(39)});
  b.branch(2, 2, 1, at(40));
  b.run(2, at(40), at(44), {sec(41), sec(43)});
  b.branch(3, 2, 1, at(38), 2);
  b.run(3, at(38), at(60), {sec(50), sec(60)});
  const Survey s = survey(b.facts);
  EXPECT_EQ(s.current, stream(3));
  EXPECT_EQ(s.tails.size(), 2u);  // the rest of branch 1, and all of branch 2
}

TEST(Windows, AForkDoesNotContinueItsParent) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(60), {sec(16), sec(59)});
  b.branch(2, 1, 0, at(32)).reason = BranchReason::kFork;
  b.run(2, at(32), at(48), {sec(80), sec(90)});
  b.facts.branches[1].parent = stream(1);
  b.facts.branches[1].generation = {2};
  EXPECT_EQ(path_to(b.facts, stream(2))->parts.size(), 1u);
  const Survey s = survey(b.facts);
  ASSERT_EQ(s.tails.size(), 1u);
  EXPECT_EQ(s.tails[0].range, (PositionRange{at(32), at(60)}));
  EXPECT_FALSE(s.tails[0].chosen);
}

TEST(Windows, ARebuiltServerEnrolledAnewHasChosenAboutTheOldTail) {
  // Restored to 40 on timeline 2, then enrolled: its first branch has no parent, but its history says where it left timeline 1.
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(60), {sec(16), sec(59)});
  BranchFact& fresh = b.branch(2, 2, 0, at(32), 2);
  fresh.history = {{1, at(40)}};
  b.run(2, at(32), at(48), {sec(80), sec(90)});
  const Survey s = survey(b.facts);
  EXPECT_EQ(s.current, stream(2));
  ASSERT_EQ(s.tails.size(), 1u);
  EXPECT_EQ(s.tails[0].range, (PositionRange{at(40), at(60)}));
  EXPECT_TRUE(s.tails[0].chosen);
  b.snapshot(1, 2, at(42), at(44), sec(85));
  const auto p = make_plan(b.facts, {}, {}, nullptr);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_FALSE(p->notes.empty());
}

TEST(Windows, NothingIsNothing) {
  const Survey s = survey(Facts{});
  EXPECT_TRUE(s.windows.empty());
  EXPECT_FALSE(s.current);
}

}  // namespace
}  // namespace stele::recovery::test
