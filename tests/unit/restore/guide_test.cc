#include "restore/main/guide.h"

#include <gtest/gtest.h>

namespace stele::restore {
namespace {

const DatabaseName kOne{"440000", "registry"}, kTwo{"510000", "registry"};

std::vector<Guide::Database> two() { return {{kOne, "windows of one"}, {kTwo, "windows of two"}}; }

TEST(Guide, AsksForDatabaseMomentPlaceAndStartAndRunsOnlyAfterYes) {
  Guide guide(two(), {});
  EXPECT_NE(guide.take_text().find("2  510000/registry"), std::string::npos);
  guide.answer("2");
  const std::string shown = guide.take_text();
  EXPECT_NE(shown.find("windows of two"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("windows of one"), std::string::npos) << shown;
  ASSERT_EQ(guide.step(), Guide::Step::kTarget);
  guide.answer("2026-11-23 15:33:45+08");
  ASSERT_EQ(guide.step(), Guide::Step::kPlace);
  guide.answer("srv/pg");
  EXPECT_EQ(guide.step(), Guide::Step::kPlace) << "not absolute";
  guide.answer("/srv/pg");
  ASSERT_EQ(guide.step(), Guide::Step::kStart);
  guide.answer("");
  ASSERT_EQ(guide.step(), Guide::Step::kPlan);
  guide.take_text();
  guide.planned("THE PLAN\n");
  const std::string plan = guide.take_text();
  EXPECT_NE(plan.find("THE PLAN"), std::string::npos);
  EXPECT_NE(plan.find("/srv/pg, and started"), std::string::npos) << plan;
  for (const char* hesitation : {"", "y", "maybe"}) {
    guide.answer(hesitation);
    EXPECT_EQ(guide.step(), Guide::Step::kConfirm) << hesitation;
  }
  guide.answer(" yes ");
  ASSERT_EQ(guide.step(), Guide::Step::kRun);
  EXPECT_EQ(guide.options().store.database, "510000/registry");
  EXPECT_EQ(guide.options().target.time, "2026-11-23 15:33:45+08");
  EXPECT_EQ(guide.options().into, "/srv/pg");
  EXPECT_TRUE(guide.options().start);
}

TEST(Guide, WhatTheCommandLineSaidIsNotAsked) {
  RunOptions given;
  given.into = "/srv/pg";
  given.start = true;
  Guide guide({{kOne, "windows"}}, given);
  ASSERT_EQ(guide.step(), Guide::Step::kTarget) << "one database needs no choice";
  guide.answer("");
  EXPECT_EQ(guide.step(), Guide::Step::kPlan);
  EXPECT_EQ(guide.options().store.database, "440000/registry");
  EXPECT_TRUE(guide.options().target.time.empty());
}

TEST(Guide, EveryKindOfMomentCanBeTypedAndNonsenseIsAskedAgain) {
  struct Case {
    const char* typed;
    std::string TargetOptions::*field;
    const char* value;
  };
  for (const Case& c : {Case{"16/B374D848", &TargetOptions::lsn, "16/B374D848"}, Case{"xid 742", &TargetOptions::xid, "742"},
                        Case{"name before the merger", &TargetOptions::name, "before the merger"}, Case{"2026-11-23T15:33:45Z", &TargetOptions::time, "2026-11-23T15:33:45Z"}}) {
    Guide guide({{kOne, ""}}, {});
    guide.answer(c.typed);
    EXPECT_EQ(guide.step(), Guide::Step::kPlace) << c.typed;
    EXPECT_EQ(guide.options().target.*c.field, c.value);
  }
  Guide immediate({{kOne, ""}}, {});
  immediate.answer("immediate");
  EXPECT_TRUE(immediate.options().target.immediate);
  for (const char* nonsense : {"yesterday", "xid none", "12:00", "FF/GG"}) {
    Guide guide({{kOne, ""}}, {});
    guide.answer(nonsense);
    EXPECT_EQ(guide.step(), Guide::Step::kTarget) << nonsense;
    EXPECT_TRUE(guide.options().target.time.empty() && guide.options().target.xid.empty()) << nonsense;
  }
}

TEST(Guide, ARefusalGoesBackToTheQuestionThatHelps) {
  auto at_plan = [] {
    Guide guide({{kOne, ""}}, {});
    for (const char* line : {"", "/srv/pg", "n"}) guide.answer(line);
    EXPECT_EQ(guide.step(), Guide::Step::kPlan);
    guide.take_text();
    return guide;
  };
  Guide guide = at_plan();
  guide.refused({ErrorCode::kUnreachable, "not there", "nearest reachable: 0/5000000"});
  EXPECT_EQ(guide.step(), Guide::Step::kTarget);
  EXPECT_NE(guide.take_text().find("nearest reachable: 0/5000000"), std::string::npos);
  guide.answer("0/5000000");
  EXPECT_EQ(guide.step(), Guide::Step::kPlace) << "the place may be changed too";
  guide.answer("/srv/other");
  ASSERT_EQ(guide.step(), Guide::Step::kPlan) << "the start was decided";
  guide.refused({ErrorCode::kAmbiguous, "two histories", ""});
  EXPECT_EQ(guide.step(), Guide::Step::kTimeline);
  guide.answer("");
  EXPECT_EQ(guide.step(), Guide::Step::kTimeline) << "it must be chosen";
  guide.answer("latest");
  EXPECT_EQ(guide.options().target.timeline, "latest");
  guide.refused({ErrorCode::kExists, "not empty", ""});
  EXPECT_EQ(guide.step(), Guide::Step::kPlace);
  guide.answer("/srv/third");
  guide.refused({ErrorCode::kUsage, "no place was given for tablespace 16400 (was /srv/a)", ""});
  EXPECT_EQ(guide.step(), Guide::Step::kTablespaces);
  guide.answer("/srv/ts");
  EXPECT_EQ(guide.options().places.root, "/srv/ts");
  EXPECT_EQ(guide.step(), Guide::Step::kPlan);

  Guide wrong = at_plan();
  wrong.refused({ErrorCode::kKeyWrong, "wrong passphrase", ""});
  wrong.refused({ErrorCode::kKeyWrong, "wrong passphrase", ""});
  EXPECT_EQ(wrong.step(), Guide::Step::kPlan) << "a passphrase may be mistyped";
  wrong.refused({ErrorCode::kKeyWrong, "wrong passphrase", ""});
  ASSERT_EQ(wrong.step(), Guide::Step::kGivenUp);
  EXPECT_EQ(wrong.error().code, ErrorCode::kKeyWrong);

  Guide damaged = at_plan();
  damaged.refused({ErrorCode::kDamaged, "rot", ""});
  ASSERT_EQ(damaged.step(), Guide::Step::kGivenUp);
  EXPECT_EQ(damaged.error().code, ErrorCode::kDamaged);
}

TEST(Guide, ItEndsAtAnyQuestion) {
  for (int questions = 0; questions < 4; ++questions) {
    Guide guide(two(), {});
    const char* lines[] = {"1", "", "/srv/pg", "y"};
    for (int i = 0; i < questions; ++i) guide.answer(lines[i]);
    guide.answer("q");
    EXPECT_EQ(guide.step(), Guide::Step::kGivenUp);
    EXPECT_EQ(guide.error().code, ErrorCode::kCancelled);
  }
  EXPECT_EQ(Guide({}, {}).step(), Guide::Step::kGivenUp);
}

}  // namespace
}  // namespace stele::restore
