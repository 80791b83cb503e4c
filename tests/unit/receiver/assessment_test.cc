#include "receiver/status/assessment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/agent/scripted_agent.h"

namespace stele::receiver {
namespace {

using test::must;
using ::testing::HasSubstr;
using ::testing::Not;
using nlohmann::json;

const DatabaseName kName{"440000", "registry"};
constexpr std::int64_t kBegin = 1'700'006'400;  // 2023-11-15T00:00:00Z

Timestamp at(std::int64_t seconds) { return {(kBegin + seconds) * 1'000'000}; }

json database(const DatabaseName& name = kName) {
  return {{"site", name.site}, {"database", name.database}, {"title", "广东"}, {"targets", {{"snapshot_interval_seconds", 86400}}}, {"snapshots", json::array()},
          {"gaps", json::array()}, {"facts", json::array()}, {"drills", json::array()}};
}
json status_of(json d) { return {{"receiver", "shaoguan"}, {"databases", {std::move(d)}}}; }
json snapshot(std::int64_t finished, bool usable = true, int damaged = 0) {
  return {{"finished", to_iso8601(at(finished))}, {"usable", usable}, {"damaged_pages", damaged}};
}
HourRow hour(std::int64_t begin, std::uint32_t observed, std::uint32_t within, double most, double window) {
  HourRow r;
  r.hour = at(begin);
  r.database = kName;
  r.observed_seconds = observed;
  r.within_seconds = within;
  r.rpo_max_seconds = most;
  r.rpo_target_seconds = 30;
  r.window_min_seconds = window;
  r.window_target_seconds = 1000;
  return r;
}

TEST(Assessment, CountsWhatWasSeenAndLeavesTheRestUnknown) {
  const auto a = must(assess(status_of(database()), {hour(0, 3600, 3600, 5, 2000), hour(3600, 1800, 900, 60, 500), hour(-3600, 3600, 0, 900, 0), hour(86400, 3600, 0, 900, 0)}, {}, at(0), at(86400), at(90000)));
  ASSERT_EQ(a.databases.size(), 1u);
  const DatabaseAssessment& d = a.databases[0];
  EXPECT_EQ(d.observed_seconds, 5400u) << "rows outside the period do not count";
  EXPECT_NEAR(d.seen(), 5400.0 / 86400, 1e-9);
  EXPECT_NEAR(*d.rpo_kept(), 4500.0 / 5400, 1e-9);
  EXPECT_EQ(*d.rpo_max_seconds, 60);
  EXPECT_EQ(*d.window_kept(), 0.5);
  EXPECT_FALSE(d.snapshots_on_time) << "there is no snapshot to judge by";
}

TEST(Assessment, WithoutHistoryNothingIsInvented) {
  const auto a = must(assess(status_of(database()), {}, {}, at(0), at(86400), at(90000)));
  const DatabaseAssessment& d = a.databases[0];
  EXPECT_FALSE(d.rpo_kept());
  EXPECT_FALSE(d.window_kept());
  EXPECT_FALSE(d.rpo_max_seconds);
  const std::string html = assessment_html(a);
  EXPECT_THAT(html, HasSubstr("not known"));
  EXPECT_THAT(html, Not(HasSubstr("100.00%")));
  EXPECT_THAT(assessment_csv(a), HasSubstr("\"440000\",\"registry\",\"广东\",2023-11-15T00:00:00Z,2023-11-16T00:00:00Z,0.0000,,,,"));
}

TEST(Assessment, TimeWithoutATargetIsNotJudged) {
  HourRow r = hour(0, 3600, 0, 5, 10);
  r.rpo_target_seconds = r.window_target_seconds = 0;
  const auto a = must(assess(status_of(database()), {r}, {}, at(0), at(3600), at(7200)));
  EXPECT_FALSE(a.databases[0].rpo_kept());
  EXPECT_FALSE(a.databases[0].window_kept());
  EXPECT_EQ(a.databases[0].observed_seconds, 3600u);
}

TEST(Assessment, JudgesSnapshotsByTheLongestTimeBetweenThem) {
  const std::int64_t day = 86400;
  json d = database();
  for (int i = -1; i < 10; ++i) d["snapshots"].push_back(snapshot(i * day + 3600));
  d["snapshots"].push_back(snapshot(5 * day + 7200, false));
  auto a = must(assess(status_of(d), {}, {}, at(0), at(10 * day), at(20 * day)));
  EXPECT_EQ(a.databases[0].snapshots, 11u);
  EXPECT_EQ(a.databases[0].snapshots_bad, 1u);
  EXPECT_EQ(a.databases[0].snapshots_on_time, true);
  EXPECT_EQ(*a.databases[0].snapshot_longest_seconds, day);
  d["snapshots"].erase(5);
  a = must(assess(status_of(d), {}, {}, at(0), at(10 * day), at(20 * day)));
  EXPECT_EQ(a.databases[0].snapshots_on_time, false);
  // None since the third day: the time up to the end counts.
  d["snapshots"] = json::array({snapshot(2 * day)});
  a = must(assess(status_of(d), {}, {}, at(0), at(10 * day), at(20 * day)));
  EXPECT_EQ(*a.databases[0].snapshot_longest_seconds, 8 * day);
  EXPECT_EQ(a.databases[0].snapshots_on_time, false);
}

TEST(Assessment, PairsIncidentsAndKeepsThoseThatReachIn) {
  auto row = [](std::int64_t t, const char* code, bool began) { return IncidentRow{at(t), kName, code, Level::kCritical, began}; };
  const std::vector<IncidentRow> rows = {row(-500, "rpo", true),   row(-400, "rpo", false),        // over before
                                         row(-100, "spool", true), row(50, "spool", false),        // reaches in
                                         row(100, "rpo", true),    row(160, "rpo", false),         //
                                         row(200, "rpo", true),    row(300, "rpo", true),          // the receiver was started again
                                         row(5000, "gap", true)};                                  // after
  const auto a = must(assess(status_of(database()), {}, rows, at(0), at(3600), at(7200)));
  const auto& i = a.databases[0].incidents;
  ASSERT_EQ(i.size(), 4u);
  EXPECT_EQ(i[0].code, "spool");
  EXPECT_EQ(i[1].ended, at(160));
  EXPECT_FALSE(i[2].ended);
  EXPECT_FALSE(i[3].ended);
}

TEST(Assessment, ForeignTextIsNeitherMarkupNorFormula) {
  json d = database();
  d["title"] = "=HYPERLINK(\"x\")<script>alert(1)</script>";
  d["facts"] = {{{"kind", "gap"}, {"time", to_iso8601(at(10))}, {"note", "<img src=x>&\"'"}}};
  const auto a = must(assess(status_of(d), {}, {}, at(0), at(3600), at(7200)));
  const std::string html = assessment_html(a);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, HasSubstr("&lt;img src=x&gt;&amp;&quot;&#39;"));
  EXPECT_THAT(assessment_csv(a), HasSubstr("\"'=HYPERLINK(\"\"x\"\")"));
}

TEST(Assessment, AStrangeStatusIsAnError) {
  EXPECT_EQ(assess(json::object(), {}, {}, at(0), at(1), at(2)).error().code, ErrorCode::kProtocol);
  EXPECT_EQ(assess({{"receiver", 1}, {"databases", "x"}}, {}, {}, at(0), at(1), at(2)).error().code, ErrorCode::kProtocol);
}

}  // namespace
}  // namespace stele::receiver
