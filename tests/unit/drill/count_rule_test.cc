#include "restore/drill/count_rule.h"

#include <gtest/gtest.h>

namespace stele::restore {
namespace {

TEST(CountRule, AllowsWhatTheToleranceAllowsAndNoMore) {
  EXPECT_FALSE(too_few(1000, 800, 20));
  EXPECT_TRUE(too_few(1000, 799, 20));
  EXPECT_FALSE(too_few(1000, 5000, 20)) << "rows may be added";
  EXPECT_FALSE(too_few(1000, 950, 0)) << "an estimate is off by what makes autovacuum look again";
  EXPECT_TRUE(too_few(1000, 949, 0));
  EXPECT_FALSE(too_few(~std::uint64_t{0}, ~std::uint64_t{0} / 2, 51));
  EXPECT_TRUE(too_few(~std::uint64_t{0}, ~std::uint64_t{0} / 2, 49));
}

TEST(CountRule, AnEmptiedTableIsNoticedHoweverSmallItWas) {
  EXPECT_TRUE(too_few(3, 0, 20));
  EXPECT_FALSE(too_few(3, 1, 20));
  EXPECT_FALSE(too_few(0, 0, 20));
  EXPECT_FALSE(too_few(1'000'000, 0, 100)) << "100: existence only";
}

TEST(CountRule, IgnoresTablesAndWholeSchemas) {
  const std::vector<std::string> patterns = {"registry.session", "staging.*"};
  EXPECT_TRUE(is_ignored(patterns, {"registry", "session", {}}));
  EXPECT_FALSE(is_ignored(patterns, {"registry", "member", {}}));
  EXPECT_TRUE(is_ignored(patterns, {"staging", "anything", {}}));
}

TEST(CountJudge, TellsWhatDeviatesAndWhatCouldNotBeJudged) {
  CountComparison out;
  out.tolerance_percent = 20;
  format::DatabaseCounts sealed;
  sealed.database = "registry";
  sealed.relations = 100;
  sealed.tables = 3;
  sealed.largest = {{"registry", "member", 1000}, {"registry", "gone", 5}, {"registry", "new\n", {}}};
  CountJudge judge(out, sealed);
  judge.relations(120);
  judge.counted(sealed.largest[0], 400);
  judge.table_missing(sealed.largest[1]);
  judge.counted(sealed.largest[2], 0);
  const CountComparison::Database& database = out.databases.at(0);
  EXPECT_EQ(database.compared, 3u);
  EXPECT_EQ(database.rows_sealed, 1000u) << "only of tables whose number was known";
  EXPECT_EQ(database.rows_found, 400u);
  EXPECT_EQ(database.deviating, 2u);
  ASSERT_EQ(out.deviations.size(), 2u);
  EXPECT_EQ(count_problem_name(out.deviations[0].problem), "fewer_rows");
  EXPECT_EQ(out.deviations[0].table, "member");
  EXPECT_EQ(out.deviations[0].sealed, 1000u);
  EXPECT_EQ(out.deviations[0].found, 400u);
  EXPECT_EQ(count_problem_name(out.deviations[1].problem), "table_missing");
  CountJudge second(out, format::DatabaseCounts{"other", 10, 0, {}});
  second.database_missing();
  EXPECT_EQ(count_problem_name(out.deviations[2].problem), "database_missing");
  EXPECT_EQ(out.databases.at(1).deviating, 1u);
}

TEST(CountJudge, ShowsNamesAsOneLineAndNotWithoutEnd) {
  CountComparison out;
  out.tolerance_percent = 0;
  CountJudge judge(out, format::DatabaseCounts{"db", 0, 500, {}});
  for (int i = 0; i < 500; ++i) judge.table_missing({"s", "a\nb\x1b[2J\xff", {}});
  EXPECT_EQ(out.databases[0].deviating, 500u);
  ASSERT_EQ(out.deviations.size(), CountComparison::kMaxShown);
  EXPECT_EQ(out.deviations[0].table, "a b [2J?");
}

}  // namespace
}  // namespace stele::restore
