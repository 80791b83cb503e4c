#include "tests/unit/recovery/facts_builder.h"

namespace stele::recovery::test {
namespace {

Cover cover(const Facts& facts, std::uint8_t head, Position from, Position to = kEndOfTime) {
  const LogMap log(facts);
  return cover_path(log, *path_to(facts, stream(head)), from, to);
}

TEST(Coverage, JoinsObjectsThatMeet) {
  const FactsBuilder b = simple();
  const Cover c = cover(b.facts, 1, at(16));
  EXPECT_EQ(c.end, at(80));
  EXPECT_EQ(c.pieces.size(), 4u);
  EXPECT_FALSE(c.resumes);
}

TEST(Coverage, EndsAtAGapAndSaysWhereTheLogGoesOn) {
  FactsBuilder b = simple();
  b.facts.runs.erase(b.facts.runs.begin() + 1);
  const Cover c = cover(b.facts, 1, at(16));
  EXPECT_EQ(c.end, at(32));
  EXPECT_EQ(c.resumes, at(48));
  const auto gaps = gaps_of(LogMap(b.facts), stream(1));
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].range, (PositionRange{at(32), at(48)}));
  EXPECT_EQ(gaps[0].before, sec(32));
}

TEST(Coverage, TakesOverlappingObjectsAndCountsBytesOnce) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(30));
  b.run(1, at(24), at(40));
  b.run(1, at(16), at(20));
  const Cover c = cover(b.facts, 1, at(16));
  ASSERT_EQ(c.pieces.size(), 2u);
  EXPECT_EQ(c.pieces[0].range, (PositionRange{at(16), at(30)}));
  EXPECT_EQ(c.pieces[1].range, (PositionRange{at(30), at(40)}));
  EXPECT_EQ(c.pieces[1].object_begin, at(24));
}

TEST(Coverage, PrefersTheObjectThatReachesFarther) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(20));
  b.run(1, at(16), at(40));
  EXPECT_EQ(cover(b.facts, 1, at(16)).pieces.size(), 1u);
}

TEST(Coverage, BreaksWhereJoinTagsDiffer) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(32), {{}, {}, 0, 9, 1, 2});
  b.run(1, at(32), at(48), {{}, {}, 0, 9, 3, 4});
  const Cover c = cover(b.facts, 1, at(16));
  EXPECT_EQ(c.end, at(32));
  ASSERT_EQ(c.mismatches.size(), 1u);
  EXPECT_EQ(c.mismatches[0].position, at(32));
}

TEST(Coverage, FindsTheObjectWhoseTagFitsBesideOneThatDoesNot) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(32), {{}, {}, 0, 9, 1, 2});
  b.run(1, at(32), at(64), {{}, {}, 0, 9, 3, 4});
  b.run(1, at(32), at(48), {{}, {}, 0, 9, 2, 5});
  EXPECT_EQ(cover(b.facts, 1, at(16)).end, at(48));
}

TEST(Coverage, ARunBehindAMissingOneOfItsObjectCannotBeDecoded) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(20), {{}, {}, 0, 3}, 50);
  b.run(1, at(24), at(30), {{}, {}, 8, 11}, 50);
  EXPECT_EQ(cover(b.facts, 1, at(16)).end, at(20));
  const auto gaps = gaps_of(LogMap(b.facts), stream(1));
  ASSERT_EQ(gaps.size(), 1u);
  EXPECT_EQ(gaps[0].reason, "the beginning of an object is missing");
}

TEST(Coverage, RunsOfOneObjectMayOverlapInFrames) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(24), {{}, {}, 0, 5}, 50);
  b.run(1, at(16), at(20), {{}, {}, 0, 3}, 50);
  b.run(1, at(20), at(30), {{}, {}, 4, 9}, 50);
  const Cover c = cover(b.facts, 1, at(16));
  EXPECT_EQ(c.end, at(30));
  EXPECT_EQ(c.pieces.at(0).runs.size(), 2u);
}

TEST(Coverage, AnAsOfExtendsTimeWithoutBytes) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(20), {{}, {}, 0, 3, 0, 0, sec(20)}, 50);
  b.run(1, at(20), at(20), {{}, {}, 4, 7, 0, 0, sec(900)}, 50);
  EXPECT_EQ(LogMap(b.facts).as_of(stream(1), at(20)), sec(900));
  EXPECT_EQ(cover(b.facts, 1, at(16)).end, at(20));
}

TEST(Coverage, FollowsAPathOverItsForks) {
  FactsBuilder b;
  b.branch(1, 1);
  b.branch(2, 2, 1, at(40));
  b.run(1, at(16), at(60));
  b.run(2, at(40), at(80));
  const Cover c = cover(b.facts, 2, at(16));
  ASSERT_EQ(c.pieces.size(), 2u);
  EXPECT_EQ(c.pieces[0].range, (PositionRange{at(16), at(40)}));
  EXPECT_EQ(c.pieces[0].timeline, 1u);
  EXPECT_EQ(c.pieces[1].range, (PositionRange{at(40), at(80)}));
  EXPECT_EQ(c.pieces[1].timeline, 2u);
}

TEST(Coverage, AParentWithoutLogUpToTheForkIsAGap) {
  FactsBuilder b;
  b.branch(1, 1);
  b.branch(2, 2, 1, at(40));
  b.run(1, at(16), at(30));
  b.run(2, at(40), at(80));
  const Cover c = cover(b.facts, 2, at(16));
  EXPECT_EQ(c.end, at(30));
  EXPECT_EQ(c.resumes, at(40));
}

TEST(Coverage, AForkBeforeTheParentsOwnForkLeavesTheParentOut) {
  FactsBuilder b;
  b.branch(1, 1);
  b.branch(2, 2, 1, at(50));
  b.branch(3, 3, 2, at(40));
  const auto path = path_to(b.facts, stream(3));
  ASSERT_TRUE(path.ok());
  ASSERT_EQ(path->parts.size(), 2u);
  EXPECT_EQ(path->parts[0].stream, stream(1));
  EXPECT_EQ(path->parts[0].range.end, at(40));
}

TEST(Coverage, RefusesACircleOfParents) {
  FactsBuilder b;
  b.branch(1, 1);
  b.branch(2, 2, 1, at(40));
  b.facts.branches[0].parent = stream(2);
  b.facts.branches[0].reason = BranchReason::kTimelineSwitch;
  const auto path = path_to(b.facts, stream(2));
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, ErrorCode::kDamaged);
}

TEST(Coverage, HoldsWhatSaysTheTimeAtItsEnd) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(20), {{}, {}, 0, 3, 0, 0, sec(20)}, 50);
  b.run(1, at(20), at(20), {{}, {}, 4, 7, 0, 0, sec(300)}, 50);
  b.run(1, at(20), at(20), {{}, {}, 0, 0, 0, 0, sec(900)}, 51);
  const Cover c = cover(b.facts, 1, at(16));
  EXPECT_EQ(c.end, at(20));
  std::size_t runs = 0;
  for (const LogPiece& piece : c.pieces) runs += piece.runs.size();
  EXPECT_EQ(runs, 3u) << "who reads the cover reads what its time rests on";
  EXPECT_EQ(as_of(b.facts, c), sec(900));
  // Cut before the end, the as-ofs there say nothing.
  const Cover cut = cover_path(LogMap(b.facts), *path_to(b.facts, stream(1)), at(16), at(18));
  ASSERT_EQ(cut.pieces.size(), 1u);
  EXPECT_EQ(cut.pieces[0].runs.size(), 1u);
}

TEST(Coverage, OfObjectsThatReachEquallyFarTheOneWithTheLaterTimeIsTaken) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(40), {{}, {}, 0, 9, 0, 0, sec(40)});
  b.run(1, at(16), at(40), {{}, {}, 0, 9, 0, 0, sec(90)});
  const Cover c = cover(b.facts, 1, at(16));
  ASSERT_EQ(c.pieces.size(), 1u);
  EXPECT_EQ(as_of(b.facts, c), sec(90));
}

}  // namespace
}  // namespace stele::recovery::test
