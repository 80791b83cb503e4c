#include "tests/unit/recovery/facts_builder.h"

namespace stele::recovery::test {
namespace {

Result<Plan> plan(const FactsBuilder& b, const Target& target, LogIndex* index = nullptr, PlanOptions options = {}) { return make_plan(b.facts, target, options, index); }
ErrorCode code(const Result<Plan>& p) { return p.ok() ? ErrorCode::kInternal : p.error().code; }

TEST(Plan, LatestIsTheEndOfTheLog) {
  const FactsBuilder b = simple();
  const auto p = plan(b, {});
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->end, at(80));
  EXPECT_EQ(p->log_begin, at(16));
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kEndOfLog);
  EXPECT_EQ(p->reaches, (Moment{at(80), sec(80)}));
  EXPECT_EQ(p->runs.size(), 4u);
  EXPECT_EQ(p->log_raw_bytes, 4 * kSegment);
  EXPECT_EQ(p->log_stored_bytes, 400u);
  EXPECT_EQ(p->segments, (std::vector<std::string>{"000000010000000000000001", "000000010000000000000002", "000000010000000000000003", "000000010000000000000004"}));
}

TEST(Plan, LatestWithAnIndexNamesTheLastRecordSoThatAShortLogFails) {
  const FactsBuilder b = simple();
  TableIndex index;
  index.commit(1, at(70), at(71), sec(70));
  const auto p = plan(b, {}, &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kLsn);
  EXPECT_EQ(p->recovery.value, at(70).to_string());
  EXPECT_TRUE(p->recovery.inclusive);
  EXPECT_EQ(p->reaches.position, at(71));
}

TEST(Plan, TheNewestSnapshotBeforeTheTargetIsTaken) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(50), at(52), sec(52));
  EXPECT_EQ(plan(b, {})->snapshot.id, id<SnapshotId>(2));
  EXPECT_EQ(plan(b, lsn_target(at(52)))->snapshot.id, id<SnapshotId>(2));
  EXPECT_EQ(plan(b, lsn_target({at(52).value - 1}))->snapshot.id, id<SnapshotId>(1));
}

TEST(Plan, ATimeIsTheFirstLaterCommitInLogOrder) {
  const FactsBuilder b = simple();
  const auto p = plan(b, time_target(sec(40)));
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kTime);
  EXPECT_EQ(p->recovery.value, "2023-11-14 22:14:00.000000+00");
  EXPECT_TRUE(p->recovery.inclusive);
  EXPECT_EQ(p->end, at(48)) << "the run that holds a later commit must be there whole";
  EXPECT_FALSE(p->exact);
}

TEST(Plan, AnIndexGivesTheExactRecord) {
  const FactsBuilder b = simple();
  TableIndex index;
  index.commit(1, at(39), at(40), sec(39));
  index.commit(1, at(42), at(43), sec(41));
  const auto p = plan(b, time_target(sec(40)), &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_TRUE(p->exact);
  EXPECT_EQ(p->end, at(43));
  EXPECT_EQ(p->reaches.position, at(42));
}

TEST(Plan, ACommitExactlyAtTheTargetIsKeptUnlessExclusive) {
  const FactsBuilder b = simple();
  TableIndex index;
  index.commit(1, at(39), at(40), sec(40));
  index.commit(1, at(45), at(46), sec(45));
  EXPECT_EQ(plan(b, time_target(sec(40)), &index)->reaches.position, at(45));
  const auto exclusive = plan(b, time_target(sec(40), true), &index);
  EXPECT_EQ(exclusive->reaches.position, at(39));
  EXPECT_FALSE(exclusive->recovery.inclusive);
}

TEST(Plan, TimesThatRunBackwardsStopAtTheFirstLaterCommit) {
  const FactsBuilder b = simple();
  TableIndex index;
  index.commit(1, at(30), at(31), sec(50));
  index.commit(1, at(40), at(41), sec(35));
  index.commit(1, at(60), at(61), sec(60));
  EXPECT_EQ(plan(b, time_target(sec(40)), &index)->reaches.position, at(30));
}

TEST(Plan, ATimeAfterTheLastCommitButBeforeTheLastAsOfIsTheEndOfTheLog) {
  FactsBuilder b = simple();
  b.run(1, at(80), at(80), {{}, {}, 0, 3, 0, 0, sec(500)});
  const auto p = plan(b, time_target(sec(300)));
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kEndOfLog);
  EXPECT_EQ(p->end, at(80));
  EXPECT_EQ(p->reaches.time, sec(300));
  EXPECT_TRUE(plan(b, time_target(sec(500))).ok());
}

TEST(Plan, ATimeAfterTheLastAsOfIsRefusedAndTheNearestIsNamed) {
  const FactsBuilder b = simple();
  const auto p = plan(b, time_target({sec(80).micros + 1}));
  EXPECT_EQ(code(p), ErrorCode::kUnreachable);
  EXPECT_NE(p.error().hint.find(at(80).to_string()), std::string::npos) << p.error().hint;
  EXPECT_NE(p.error().hint.find(to_iso8601(sec(80))), std::string::npos) << p.error().hint;
}

TEST(Plan, ATimeBeforeTheFirstSnapshotIsRefusedAndTheFirstMomentIsNamed) {
  const auto p = plan(simple(), time_target(sec(19)));
  EXPECT_EQ(code(p), ErrorCode::kUnreachable);
  EXPECT_NE(p.error().hint.find("after, " + at(20).to_string()), std::string::npos) << p.error().hint;
}

TEST(Plan, ATimeBeforeASnapshotTakenInIdlenessDoesNotUseIt) {
  // No commit lies between target and snapshot, and none inside it: only its time tells that it is too new.
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(32), {sec(16), sec(30), 0, 9, 0, 0, sec(100)});
  b.run(1, at(32), at(60), {sec(200), sec(300), 0, 9, 0, 0, sec(300)});
  b.snapshot(1, 1, at(18), at(20), sec(20));
  b.snapshot(2, 1, at(30), at(32), sec(150));
  EXPECT_EQ(plan(b, time_target(sec(100)))->snapshot.id, id<SnapshotId>(1));
  EXPECT_EQ(plan(b, time_target(sec(150)))->snapshot.id, id<SnapshotId>(2));
}

TEST(Plan, ALaterCommitInsideTheSnapshotMakesItUnusableForTheTime) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(34), at(44), sec(38));  // the agent's clock said 38; a commit of 40 lies before its stop
  TableIndex index;
  index.commit(1, at(40), at(41), sec(40));
  const auto p = plan(b, time_target(sec(39)), &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->snapshot.id, id<SnapshotId>(1));
}

TEST(Plan, HeadersAloneSayThatTheyDoNotKnow) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(48), {sec(16), sec(47), 0, 9, 0, 0, sec(48)});
  b.snapshot(1, 1, at(18), at(20), sec(20));
  // The one run straddles the snapshot's stop: its later commit may lie on either side.
  EXPECT_EQ(code(plan(b, time_target(sec(30)))), ErrorCode::kKeyMissing);
  TableIndex index;
  index.commit(1, at(31), at(32), sec(31));
  EXPECT_TRUE(plan(b, time_target(sec(30)), &index).ok());
}

TEST(Plan, ATargetInAGapIsRefusedWithBothSides) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(65), at(70), sec(70));
  b.facts.runs.erase(b.facts.runs.begin() + 1);
  for (const Target& target : {time_target(sec(40)), lsn_target(at(40))}) {
    const auto p = plan(b, target);
    EXPECT_EQ(code(p), ErrorCode::kUnreachable);
    EXPECT_NE(p.error().hint.find("before, " + at(32).to_string()), std::string::npos) << p.error().hint;
    EXPECT_NE(p.error().hint.find("after, " + at(70).to_string()), std::string::npos) << p.error().hint;
  }
  EXPECT_TRUE(plan(b, lsn_target(at(32))).ok());
  EXPECT_EQ(code(plan(b, lsn_target({at(32).value + 1}))), ErrorCode::kUnreachable);
  EXPECT_TRUE(plan(b, {}).ok()) << "behind the gap a snapshot begins a new window";
}

TEST(Plan, LatestRefusesToEndAtAGapSilently) {
  FactsBuilder b = simple();
  b.facts.runs.erase(b.facts.runs.begin() + 1);
  const auto p = plan(b, {});
  EXPECT_EQ(code(p), ErrorCode::kUnreachable);
  EXPECT_NE(p.error().what.find("hole"), std::string::npos);
}

TEST(Plan, LatestRefusesWhereTwoHistoriesMeet) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(32), {sec(16), sec(31), 0, 9, 1, 2});
  b.run(1, at(32), at(48), {sec(32), sec(47), 0, 9, 3, 4});
  b.snapshot(1, 1, at(18), at(20), sec(20));
  EXPECT_EQ(code(plan(b, {})), ErrorCode::kUnreachable);
  EXPECT_TRUE(plan(b, lsn_target(at(32))).ok());
}

TEST(Plan, LsnBoundaries) {
  const FactsBuilder b = simple();
  EXPECT_EQ(code(plan(b, lsn_target({at(20).value - 1}))), ErrorCode::kUnreachable);
  EXPECT_TRUE(plan(b, lsn_target(at(20))).ok());
  EXPECT_TRUE(plan(b, lsn_target(at(80))).ok());
  EXPECT_EQ(code(plan(b, lsn_target({at(80).value + 1}))), ErrorCode::kUnreachable);
}

TEST(Plan, AnLsnStopsAtTheFirstRecordAtOrBehindIt) {
  const FactsBuilder b = simple();
  TableIndex index;
  index.commit(1, at(40), at(41), sec(40));
  index.commit(1, at(44), at(45), sec(44));
  const auto p = plan(b, lsn_target(at(42)), &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kLsn);
  EXPECT_EQ(p->recovery.value, at(42).to_string());
  EXPECT_EQ(p->end, at(45));
  EXPECT_EQ(p->reaches.position, at(45));
  EXPECT_EQ(plan(b, lsn_target(at(42), true), &index)->reaches.position, at(44));
}

TEST(Plan, AnLsnBehindTheLastRecordIsTheEndOfTheLog) {
  // PostgreSQL would wait for a record that starts there, and call it an error that none comes.
  const FactsBuilder b = simple();
  TableIndex index;
  index.commit(1, at(79), at(80), sec(79));
  const auto p = plan(b, lsn_target(at(80)), &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.value, at(79).to_string());
}

TEST(Plan, ImmediateNeedsOnlyTheSnapshotsOwnLog) {
  FactsBuilder b = simple();
  Target target;
  target.kind = TargetKind::kImmediate;
  const auto p = plan(b, target);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kImmediate);
  EXPECT_EQ(p->end, at(20));
  EXPECT_EQ(p->runs.size(), 1u);
  EXPECT_EQ(p->segments.size(), 1u);
}

TEST(Plan, ImmediateWithAKeyNamesTheLastRecordBeforeTheStop) {
  // PostgreSQL notices "immediate" at the next record only, and there is none when nothing was written since.
  FactsBuilder b = simple();
  TableIndex index;
  index.commit(1, at(19), at(20), sec(19));
  index.commit(1, at(20), at(21), sec(20));
  Target target;
  target.kind = TargetKind::kImmediate;
  const auto p = plan(b, target, &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kLsn);
  EXPECT_EQ(p->recovery.value, at(19).to_string());
  EXPECT_EQ(p->end, at(20));
}

TEST(Plan, ATransactionNeedsAKeyAndTakesASnapshotBeforeIt) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(50), at(52), sec(52));
  Target target;
  target.kind = TargetKind::kXid;
  target.xid = 742;
  EXPECT_EQ(code(plan(b, target)), ErrorCode::kKeyMissing);
  TableIndex index;
  index.commit(1, at(40), at(41), sec(40), 742);
  auto p = plan(b, target, &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->snapshot.id, id<SnapshotId>(1));
  EXPECT_EQ(p->recovery.value, "742");
  EXPECT_EQ(p->reaches.position, at(41));
  target.exclusive = true;
  EXPECT_EQ(plan(b, target, &index)->reaches.position, at(40));
  target.xid = 743;
  EXPECT_EQ(code(plan(b, target, &index)), ErrorCode::kUnreachable);
}

TEST(Plan, ARestorePointIsFoundByName) {
  const FactsBuilder b = simple();
  TableIndex index;
  index.point(1, at(60), at(61), "before upgrade");
  Target target;
  target.kind = TargetKind::kName;
  target.name = "before upgrade";
  const auto p = plan(b, target, &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->recovery.kind, RecoveryKind::kName);
  EXPECT_EQ(p->end, at(61));
  target.name = "other";
  EXPECT_EQ(code(plan(b, target, &index)), ErrorCode::kUnreachable);
}

TEST(Plan, DamagedSnapshotsAreUsedOnlyWhenAccepted) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(50), at(52), sec(52)).damaged_pages = 3;
  EXPECT_EQ(plan(b, {})->snapshot.id, id<SnapshotId>(1)) << "an older whole one is better";
  b.facts.snapshots.erase(b.facts.snapshots.begin());
  EXPECT_EQ(code(plan(b, {})), ErrorCode::kDamaged);
  PlanOptions accept;
  accept.accept_damaged = true;
  const auto p = plan(b, {}, nullptr, accept);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_NE(p->notes.back().find("3 damaged pages"), std::string::npos);
}

TEST(Plan, WithoutASnapshotNothingIsReachable) {
  FactsBuilder b = simple();
  b.facts.snapshots.clear();
  EXPECT_EQ(code(plan(b, {})), ErrorCode::kUnreachable);
}

/// Timeline 1 streamed to 48, promoted at 40; timeline 2 from there to 60.
FactsBuilder promoted() {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(32), {sec(16), sec(31), 0, 9, 0, 0, sec(32)});
  b.run(1, at(32), at(40), {sec(32), sec(39), 0, 9, 0, 0, sec(40)});
  b.run(1, at(40), at(48), {sec(41), sec(47), 0, 9, 0, 0, sec(48)});
  b.branch(2, 2, 1, at(40));
  b.run(2, at(40), at(60), {sec(50), sec(59), 0, 9, 0, 0, sec(60)});
  b.snapshot(1, 1, at(18), at(20), sec(20));
  return b;
}

TEST(Plan, LatestRefusesUntilTheOperatorChoosesAboutAnAbandonedTail) {
  const FactsBuilder b = promoted();
  const auto p = plan(b, {});
  EXPECT_EQ(code(p), ErrorCode::kAmbiguous);
  EXPECT_NE(p.error().hint.find("--target-timeline"), std::string::npos);
  PlanOptions accept;
  accept.accept_abandoned = true;
  const auto accepted = plan(b, {}, nullptr, accept);
  ASSERT_TRUE(accepted.ok()) << accepted.error().to_string();
  EXPECT_EQ(accepted->timeline, 2u);
  EXPECT_FALSE(accepted->notes.empty());
  Target latest;
  latest.timeline = "latest";
  EXPECT_EQ(plan(b, latest)->end, at(60));
  Target old;
  old.timeline = "1";
  const auto tail = plan(b, old);
  ASSERT_TRUE(tail.ok()) << tail.error().to_string();
  EXPECT_EQ(tail->end, at(48));
  EXPECT_EQ(tail->timeline, 1u);
}

TEST(Plan, ATargetBeforeTheForkIsNotInDoubt) {
  const FactsBuilder b = promoted();
  const auto p = plan(b, lsn_target(at(36)));
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_TRUE(plan(b, time_target(sec(35))).ok());
  EXPECT_EQ(code(plan(b, time_target(sec(45)))), ErrorCode::kAmbiguous);
  EXPECT_EQ(code(plan(b, lsn_target(at(44)))), ErrorCode::kAmbiguous);
}

TEST(Plan, ATailWithoutACommitIsOnlyNoted) {
  FactsBuilder b = promoted();
  b.facts.runs[2].min_commit = b.facts.runs[2].max_commit = {};
  const auto p = plan(b, {});
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->timeline, 2u);
  EXPECT_FALSE(p->notes.empty());
}

TEST(Plan, AnIndexSeesThatTheCommitsLieBeforeTheFork) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(48), {sec(16), sec(39), 0, 9, 0, 0, sec(48)});
  b.branch(2, 2, 1, at(40));
  b.run(2, at(40), at(60), {sec(50), sec(59), 0, 9, 0, 0, sec(60)});
  b.snapshot(1, 1, at(18), at(20), sec(20));
  EXPECT_EQ(code(plan(b, {})), ErrorCode::kAmbiguous);
  TableIndex index;
  index.commit(1, at(39), at(40), sec(39));
  index.commit(2, at(50), at(51), sec(50));
  EXPECT_TRUE(plan(b, {}, &index).ok());
}

TEST(Plan, TheSegmentOfASwitchCarriesTheNewTimelinesNumber) {
  FactsBuilder b = promoted();
  Target latest;
  latest.timeline = "latest";
  const auto p = plan(b, latest);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->segments, (std::vector<std::string>{"000000010000000000000001", "000000020000000000000002", "000000020000000000000003"}));
  EXPECT_EQ(p->history, (std::vector<SwitchPoint>{{1, at(40)}}));
}

TEST(Plan, SegmentsBeforeASwitchCarryTheOldNumberWhicheverBranchHoldsThem) {
  EXPECT_EQ(wal_segments(3, {{1, at(40)}, {2, at(72)}}, at(16), at(81), kSegment),
            (std::vector<std::string>{"000000010000000000000001", "000000020000000000000002", "000000020000000000000003", "000000030000000000000004", "000000030000000000000005"}));
}

TEST(Plan, RecoveryThatEndsAtTheSwitchStaysOnTheOldTimeline) {
  FactsBuilder b = promoted();
  Target target = lsn_target(at(36));
  TableIndex index;
  index.commit(1, at(36), at(37), sec(36));
  index.commit(1, at(39), at(40), sec(39));
  const auto p = plan(b, target, &index);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->timeline, 1u);
  EXPECT_EQ(p->segments.back(), "000000010000000000000002");
  EXPECT_TRUE(p->history.empty());
}

TEST(Plan, ASnapshotBehindTheForkOfAnAbandonedBranchIsNotUsed) {
  FactsBuilder b = promoted();
  b.snapshot(2, 1, at(41), at(44), sec(44));
  Target latest;
  latest.timeline = "latest";
  EXPECT_EQ(plan(b, latest)->snapshot.id, id<SnapshotId>(1));
  latest.timeline = "1";
  EXPECT_EQ(plan(b, latest)->snapshot.id, id<SnapshotId>(2));
}

TEST(Plan, ATimelineNumberOfTwoBranchesIsAmbiguousAndAnIdChooses) {
  FactsBuilder b = promoted();
  b.branch(3, 2, 1, at(38), 2);
  b.run(3, at(38), at(58), {sec(50), sec(57), 0, 9, 0, 0, sec(58)});
  Target target;
  target.timeline = "2";
  const auto p = plan(b, target);
  EXPECT_EQ(code(p), ErrorCode::kAmbiguous);
  EXPECT_NE(p.error().hint.find(stream(3).hex().substr(0, 12)), std::string::npos);
  target.timeline = stream(2).hex().substr(0, 8);
  EXPECT_EQ(plan(b, target)->end, at(60));
  target.timeline = stream(3).hex();
  EXPECT_EQ(plan(b, target)->end, at(58));
  target.timeline = "77";
  EXPECT_EQ(code(plan(b, target)), ErrorCode::kUnreachable);
}

TEST(Plan, ANewBranchWithoutLogEndsAtItsFork) {
  FactsBuilder b;
  b.branch(1, 1);
  b.run(1, at(16), at(40), {sec(16), sec(39), 0, 9, 0, 0, sec(40)});
  b.branch(2, 2, 1, at(40));
  b.snapshot(1, 1, at(18), at(20), sec(20));
  const auto p = plan(b, {});
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->end, at(40));
  EXPECT_EQ(p->timeline, 1u);
}

TEST(Plan, EveryPositionIsEitherReachableOrRefusedWithANearerOne) {
  FactsBuilder b = simple();
  b.snapshot(2, 1, at(65), at(70), sec(70));
  b.facts.runs.erase(b.facts.runs.begin() + 1);
  for (std::uint64_t n = 0; n < 100; ++n) {
    const auto p = plan(b, lsn_target(at(n)));
    const bool reachable = (n >= 20 && n <= 32) || (n >= 70 && n <= 80);
    EXPECT_EQ(p.ok(), reachable) << n;
    if (p.ok()) {
      EXPECT_LE(p->snapshot.stop, at(n));
      EXPECT_GE(p->end, at(n));
    } else {
      EXPECT_EQ(p.error().code, ErrorCode::kUnreachable);
      EXPECT_NE(p.error().hint.find("nearest reachable"), std::string::npos);
    }
  }
}

// PostgreSQL says that it replayed up to the page's first byte; the next record begins behind the page's header.
TEST(Plan, BehindAPagesHeaderTheRecordBeforeEndedAtThePage) {
  FactsBuilder b = simple();
  for (const auto& [page, header] : {std::pair(at(40).value, 24u), std::pair(at(48).value, 40u)}) {
    TableIndex index;
    index.commit(1, at(30), Position{page}, sec(30));
    index.commit(1, Position{page + header}, Position{page + header + 50}, sec(45));
    index.commit(1, at(70), at(71), sec(70));
    const auto p = plan(b, time_target(sec(40)), &index);
    ASSERT_TRUE(p.ok()) << p.error().to_string();
    EXPECT_EQ(p->reaches.position, Position{page});
    EXPECT_EQ(p->end, (Position{page + header + 50}));
  }
}

}  // namespace
}  // namespace stele::recovery::test
