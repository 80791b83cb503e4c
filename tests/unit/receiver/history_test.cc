#include <gtest/gtest.h>

#include "receiver/status/kept_history.h"
#include "receiver/status/rpo_history.h"

namespace stele::receiver {
namespace {

const DatabaseName kName{"440000", "registry"};
constexpr Timestamp kNoon{1'700'049'600'000'000};  // 2023-11-15T12:00:00Z

Timestamp at(std::int64_t seconds) { return {kNoon.micros + seconds * 1'000'000}; }

TEST(RpoHistory, KeepsTheLargestOfEachPartAndKnowsWhatNobodySaw) {
  RpoHistory h;
  h.add(kName, at(0), 1);
  h.add(kName, at(10), 5);
  h.add(kName, at(20), 2);
  h.add(kName, at(90), 7);
  const auto points = h.series(kName, at(0), at(90), 4);
  ASSERT_EQ(points.size(), 4u);
  EXPECT_EQ(points[0].seconds, 5);
  EXPECT_LT(points[1].seconds, 0) << "unknown, not zero";
  EXPECT_EQ(points[3].seconds, 7);
  EXPECT_TRUE(h.series({"110000", "registry"}, at(0), at(90), 4).empty());
}

TEST(RpoHistory, IsBoundedAndForgetsTheOldest) {
  RpoHistory h;
  const std::int64_t step = RpoHistory::kStepSeconds, n = RpoHistory::kSamples;
  for (std::int64_t i = 0; i < n + 10; ++i) h.add(kName, at(i * step), static_cast<double>(i));
  const auto points = h.series(kName, at(0), at((n + 9) * step), static_cast<std::size_t>(n) + 10);
  ASSERT_EQ(points.size(), static_cast<std::size_t>(n) + 10);
  EXPECT_LT(points[9].seconds, 0);
  EXPECT_EQ(points[10].seconds, 10);
  EXPECT_EQ(points.back().seconds, static_cast<float>(n + 9));
}

TEST(RpoHistory, AJumpOfTheClockLeavesNothingOldBehind) {
  RpoHistory h;
  h.add(kName, at(0), 1);
  h.add(kName, at(10 * 86400), 2);
  for (const auto& p : h.series(kName, at(9 * 86400 + 60), at(10 * 86400 - 30), 100)) EXPECT_LT(p.seconds, 0);
  h.add(kName, at(100), 3);  // set back
  EXPECT_EQ(h.series(kName, at(90), at(119), 1).at(0).seconds, 3);
  EXPECT_TRUE(h.series(kName, at(86400 * 10), at(86400 * 10 + 30), 1).at(0).seconds < 0);
}

TEST(RpoHistory, SurvivesAFileAndRefusesAnyOtherBytes) {
  RpoHistory h;
  for (int i = 0; i < 100; ++i) h.add(kName, at(i * 30), i);
  h.add({"110000", "registry"}, at(3000), 4);
  const Bytes bytes = h.encode();
  auto back = RpoHistory::decode(bytes, at(3000));
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  const auto a = h.series(kName, at(0), at(2970), 50), b = back->series(kName, at(0), at(2970), 50);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].seconds, b[i].seconds);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(RpoHistory::decode(ByteView(bytes).first(cut), at(3000)).ok()) << cut;
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(RpoHistory::decode(longer, at(3000)).ok());
  EXPECT_TRUE(RpoHistory::decode(bytes, at(3 * 86400))->series(kName, at(0), at(2970), 5).empty()) << "too old";
}

TEST(RpoHistory, OneThousandDatabasesTakeTwelveMegabytes) {
  EXPECT_LE(RpoHistory::kSamples * sizeof(float) * 1000, 12'000'000u);
}

TEST(KeptHistory, AddsUpAnHourAndGivesItOnce) {
  KeptHistory kept;
  KeptHistory::Sight sight;
  sight.rpo_target_seconds = 30;
  sight.window_target_seconds = 1000;
  for (int i = 1; i <= 100; ++i) {
    sight.rpo_seconds = i <= 90 ? 1.0 : 40.0;
    sight.window_seconds = 500 + i;
    kept.observe(kName, at(i * 30), 30, sight);
  }
  sight.rpo_seconds.reset();
  kept.observe(kName, at(101 * 30), 30, sight);
  EXPECT_TRUE(kept.take_hours(at(3599), false).empty()) << "the hour is not over";
  const auto rows = kept.take_hours(at(3600), false);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].hour, at(0));
  EXPECT_EQ(rows[0].observed_seconds, 3030u);
  EXPECT_EQ(rows[0].within_seconds, 2700u);
  EXPECT_EQ(rows[0].unrestorable_seconds, 30u);
  EXPECT_EQ(rows[0].rpo_max_seconds, 40);
  EXPECT_EQ(rows[0].window_min_seconds, 501);
  EXPECT_TRUE(kept.take_hours(at(9999), true).empty());
  const auto back = parse_hour_line(to_line(rows[0]).substr(0, to_line(rows[0]).size() - 1));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_line(*back), to_line(rows[0]));
}

TEST(KeptHistory, TellsWhenAReasonBeganAndEnded) {
  KeptHistory kept;
  std::vector<Reason> reasons = {{Level::kCritical, "rpo", "", ""}};
  KeptHistory::Sight sight;
  sight.reasons = &reasons;
  kept.observe(kName, at(0), 0, sight);
  kept.observe(kName, at(30), 30, sight);
  EXPECT_EQ(kept.open_reasons(kName).at("rpo"), at(0));
  reasons = {{Level::kWarning, "agent_away", "", ""}};
  kept.observe(kName, at(60), 30, sight);
  const auto rows = kept.take_incidents();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].code, "rpo");
  EXPECT_TRUE(rows[0].began);
  EXPECT_EQ(rows[1].code, "agent_away");
  EXPECT_EQ(rows[2].code, "rpo");
  EXPECT_FALSE(rows[2].began);
  const std::string line = to_line(rows[0]);
  EXPECT_TRUE(parse_incident_line(std::string_view(line).substr(0, line.size() - 1)));
}

TEST(KeptHistory, HalfALineIsNoRow) {
  const std::string line = to_line(HourRow{at(0), kName, 3600, 3600, 0, 1.5, 30, 10, 20});
  for (std::size_t cut = 0; cut + 6 < line.size(); ++cut) EXPECT_FALSE(parse_hour_line(std::string_view(line).substr(0, cut))) << cut;
  EXPECT_FALSE(parse_hour_line("x\ty"));
  EXPECT_FALSE(parse_incident_line("2026-11-25T10:00:00Z\t../etc\tx\tcritical\tbegan"));
}

}  // namespace
}  // namespace stele::receiver
