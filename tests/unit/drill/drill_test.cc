#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "restore/drill/assertion.h"
#include "restore/drill/isolation.h"
#include "restore/drill/metrics.h"
#include "restore/drill/moment.h"
#include "restore/drill/place.h"
#include "restore/drill/publish.h"
#include "tests/support/seeded_random.h"
#include "tests/unit/drill/sample_result.h"

namespace stele::restore {
namespace {

using testing::HasSubstr;
using testing::Not;

recovery::Window window(std::uint8_t head, std::int64_t from, std::int64_t to) {
  recovery::Window w;
  w.head.data[0] = head;
  w.from.time = {from};
  w.to.time = {to};
  return w;
}

TEST(RandomMoment, LiesInAWindowOfTheCurrentBranchAndIsReproducible) {
  recovery::Survey survey;
  survey.windows = {window(1, 1000, 1999), window(2, 1, 900'000), window(1, 5000, 5999)};
  survey.current = survey.windows[0].head;
  int first = 0, second = 0;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    auto moment = random_moment(survey, seed);
    ASSERT_TRUE(moment.ok());
    const std::int64_t at = moment->micros;
    ASSERT_TRUE((at >= 1000 && at <= 1999) || (at >= 5000 && at <= 5999)) << "seed " << seed << ": " << at;
    (at < 3000 ? first : second) += 1;
    EXPECT_EQ(random_moment(survey, seed)->micros, at);
  }
  // Two windows of one length: about half each.
  EXPECT_GT(first, 400);
  EXPECT_GT(second, 400);
}

TEST(RandomMoment, IsRefusedWhereNothingCanBeRestored) {
  recovery::Survey survey;
  survey.windows = {window(2, 1, 900'000)};
  survey.current = window(1, 0, 0).head;
  EXPECT_EQ(random_moment(survey, 1).error().code, ErrorCode::kUnreachable);
}

TEST(Assertions, AreReadWithTheirHeaders) {
  auto a = parse_assertion("x.sql", "--! title: 会员数\n--! title.en: Members\n--! database: registry\n--! expect: 3\n-- a note\nSELECT count(*) FROM m;\n\n");
  ASSERT_TRUE(a.ok()) << a.error().what;
  EXPECT_EQ(a->title_zh, "会员数");
  EXPECT_EQ(a->title_en, "Members");
  EXPECT_EQ(a->database, "registry");
  EXPECT_EQ(a->expected, "3");
  EXPECT_EQ(a->statement(), "SELECT * FROM (\n\n\n\n-- a note\nSELECT count(*) FROM m\n) AS assertion");
}

TEST(Assertions, ExpectNoRowByDefaultAndCountInTheServer) {
  auto a = parse_assertion("x.sql", "SELECT 1 -- trailing comment");
  ASSERT_TRUE(a.ok());
  EXPECT_FALSE(a->expected);
  EXPECT_EQ(a->statement(), "SELECT count(*) FROM (SELECT 1 -- trailing comment\n) AS assertion");
  EXPECT_EQ(a->title_en, "x.sql");
}

TEST(Assertions, ThatCannotBeReadSayWhere) {
  EXPECT_THAT(parse_assertion("x.sql", "SELECT 1\n--! owner: me").error().what, HasSubstr("x.sql:2"));
  EXPECT_THAT(parse_assertion("x.sql", "--! title\nSELECT 1").error().what, HasSubstr("x.sql:1"));
  EXPECT_THAT(parse_assertion("x.sql", "--! title: nothing else\n ;\n").error().what, HasSubstr("no query"));
  EXPECT_FALSE(parse_assertion("x.sql", "").ok());
}

TEST(Assertions, ShowNothingThatCouldBePersonal) {
  EXPECT_TRUE(may_show("42"));
  EXPECT_FALSE(may_show("440101199003077758"));
  EXPECT_FALSE(may_show("13800138000"));
  EXPECT_FALSE(may_show("张三"));
  EXPECT_FALSE(may_show(""));
}

TEST(Isolation, CountsInterfacesAndRoutes) {
  EXPECT_EQ(interfaces_in("Inter-|   Receive\n face |bytes\n    lo:       0       0\n  eth0:  1 2\n"), "lo, eth0");
  EXPECT_EQ(routes_in("Iface\tDestination\n", ""), 0);
  EXPECT_EQ(routes_in("Iface\tDestination\neth0\t00000000\n", "0000 80 lo\n0000 80     eth0\n"), 2);
}

TEST(Isolation, FallbackDevicesOfTunnelModulesAreInEveryNamespace) {
  EXPECT_TRUE(only_what_every_namespace_has("lo"));
  EXPECT_TRUE(only_what_every_namespace_has("lo, tunl0, sit0, ip6tnl0, erspan0"));
  EXPECT_FALSE(only_what_every_namespace_has("lo, eth0"));
  EXPECT_FALSE(only_what_every_namespace_has("lo, tunl1"));
  EXPECT_FALSE(only_what_every_namespace_has("")) << "nothing was seen";
}

TEST(Place, AFileWithTwoNamesTakesItsRoomOnce) {
  std::string name = (std::filesystem::temp_directory_path() / "stele-drill-XXXXXX").string();
  const std::string directory = mkdtemp(name.data());
  std::filesystem::create_directory(directory + "/staging");
  std::ofstream(directory + "/staging/segment") << std::string(1 << 20, 'x');
  const std::uint64_t once = disk_usage(directory);
  EXPECT_GE(once, 1u << 20);
  std::filesystem::create_hard_link(directory + "/staging/segment", directory + "/segment");
  EXPECT_LT(disk_usage(directory), once + (1u << 19));
  std::filesystem::remove_all(directory);
}

TEST(Metrics, OfADrillThatPassed) {
  const std::string text = metrics_text(test::sample_drill(), test::sample_history());
  for (const char* line : {"stele_drill_success{site=\"440000\",database=\"registry\"} 1\n", "stele_drill_last_run_timestamp_seconds{site=\"440000\",database=\"registry\"} 1790000095\n",
                           "stele_drill_last_success_timestamp_seconds{site=\"440000\",database=\"registry\"} 1790000095\n", "stele_drill_rto_seconds{site=\"440000\",database=\"registry\"} 85\n",
                           "stele_drill_rpo_seconds{site=\"440000\",database=\"registry\"} 2\n", "stele_drill_phase_seconds{site=\"440000\",database=\"registry\",phase=\"replay\"} 31\n",
                           "stele_drill_rto_target_seconds{site=\"440000\",database=\"registry\"} 14400\n", "stele_drill_rpo_target_seconds{site=\"440000\",database=\"registry\"} 900\n",
                           "stele_drill_interval_seconds{site=\"440000\",database=\"registry\"} 604800\n", "stele_drill_checks{site=\"440000\",database=\"registry\",result=\"passed\"} 8\n",
                           "stele_drill_checks{site=\"440000\",database=\"registry\",result=\"failed\"} 0\n",
                           "stele_recovery_key_proven_timestamp_seconds{site=\"440000\",database=\"registry\",key=\"440000 drill host\"} 1790000095\n",
                           "stele_recovery_key_newest_epoch_timestamp_seconds{site=\"440000\",database=\"registry\",key=\"440000 drill host\"} 1789999960\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, OfADrillThatDidNotRunSayFailedAndKeepWhatWasProven) {
  DrillResult r = test::sample_drill();
  r.ran = false;
  r.problem = "no receiver answers";
  r.rto.reset();
  r.rpo.reset();
  r.keys.clear();
  r.checks.clear();
  const History earlier = test::sample_history();
  const std::string text = metrics_text(r, earlier);
  EXPECT_THAT(text, HasSubstr("stele_drill_success{site=\"440000\",database=\"registry\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(fmt::format("stele_drill_last_success_timestamp_seconds{{site=\"440000\",database=\"registry\"}} {}\n", earlier.last_success().micros / 1'000'000)));
  EXPECT_THAT(text, Not(HasSubstr("stele_drill_rto_seconds{")));
  EXPECT_THAT(text, HasSubstr("stele_recovery_key_proven_timestamp_seconds{"));
}

TEST(DrillResult, IsNoPassWithoutChecksOrWithSomethingLeft) {
  EXPECT_TRUE(test::sample_drill().passed());
  DrillResult r = test::sample_drill();
  r.checks.clear();
  EXPECT_FALSE(r.passed());
  r = test::sample_drill();
  for (Check& c : r.checks) c.result = CheckResult::kSkipped;
  EXPECT_FALSE(r.passed());
  r = test::sample_drill();
  r.checks[2].result = CheckResult::kFailed;
  EXPECT_FALSE(r.passed());
  r = test::sample_drill();
  r.wipe.nothing_left = false;
  EXPECT_FALSE(r.passed());
  r = test::sample_drill();
  r.ran = false;
  EXPECT_FALSE(r.passed());
}

TEST(DrillRecord, TellsWhatTheReportTells) {
  test::SeededRandom random(5);
  const crypto::SigningKey key = crypto::SigningKey::generate(crypto::default_suite(), random);
  DrillResult r = test::sample_drill();
  r.checks[2].result = r.checks[4].result = CheckResult::kFailed;
  r.checks[2].detail = "heap table registry.member, block 7: ...";
  Digest hash;
  hash.data[5] = 1;
  auto record = drill_record(r, hash).sign(key);
  ASSERT_TRUE(record.ok()) << record.error().what;
  EXPECT_LE(record->bytes.size(), format::kMaxDrillRecordBytes);
  EXPECT_TRUE(format::verify_own_signature(*record).ok());
  auto read = format::DrillRecord::read(*record);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->outcome, format::DrillOutcomeKind::kFailed);
  EXPECT_EQ(read->rto, 85'000'000u);
  EXPECT_EQ(read->failed, 2u);
  EXPECT_EQ(read->report, hash);
  // Receivers must not learn a table's name from it.
  EXPECT_EQ(read->note, "failed: amcheck, assertion:02_member_has_organisation.sql");
  EXPECT_EQ(to_hex(read->drill.view()), r.id);
}

TEST(DrillRecord, OfADrillThatDidNotRunHoldsNoWordsOfPrograms) {
  DrillResult r = test::sample_drill();
  r.ran = false;
  r.checks.clear();
  r.problem = "could not open file \"base/16384/16385\"";
  r.problem_code = "database";
  const format::DrillRecord record = drill_record(r, {});
  EXPECT_EQ(record.outcome, format::DrillOutcomeKind::kDidNotRun);
  EXPECT_EQ(record.note, "did not run: database");
}

}  // namespace
}  // namespace stele::restore
