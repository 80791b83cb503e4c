#include <gtest/gtest.h>

#include "core/config/bandwidth.h"
#include "core/config/cron.h"

using namespace stele;
using namespace stele::config;

namespace {

TimeZone zone(std::string_view name) {
  return TimeZone::find(name).value();
}
Timestamp at(std::string_view text) {
  return parse_timestamp(text).value();
}

/// The next `count` times after `after`, in UTC.
std::vector<std::string> times(std::string_view expression, std::string_view zone_name, std::string_view after,
                               int count) {
  auto schedule = CronSchedule::parse(expression);
  EXPECT_TRUE(schedule.ok()) << (schedule.ok() ? "" : schedule.error().what);
  std::vector<std::string> out;
  Timestamp now = at(after);
  for (int i = 0; i < count; ++i) {
    now = schedule->next(now, zone(zone_name));
    out.push_back(to_iso8601(now));
  }
  return out;
}

using Times = std::vector<std::string>;

}  // namespace

TEST(Cron, FiresEveryNightInTheZoneOfTheSchedule) {
  EXPECT_EQ(times("30 1 * * *", "Asia/Shanghai", "2026-11-23T00:00:00Z", 2),
            (Times{"2026-11-23T17:30:00Z", "2026-11-24T17:30:00Z"}));
  EXPECT_EQ(times("@daily", "UTC", "2026-02-28T00:00:00Z", 1), (Times{"2026-03-01T00:00:00Z"}));
}

TEST(Cron, NextIsStrictlyLater) {
  EXPECT_EQ(times("* * * * *", "UTC", "2026-01-01T00:00:00Z", 1), (Times{"2026-01-01T00:01:00Z"}));
  EXPECT_EQ(times("* * * * *", "UTC", "2026-01-01T00:00:59.999999Z", 1), (Times{"2026-01-01T00:01:00Z"}));
  EXPECT_EQ(times("0 0 * * *", "UTC", "2025-12-31T23:59:59.999999Z", 1), (Times{"2026-01-01T00:00:00Z"}));
}

TEST(Cron, UnderstandsListsRangesStepsAndNames) {
  EXPECT_EQ(times("*/20 8-9 * * *", "UTC", "2026-01-01T08:30:00Z", 4),
            (Times{"2026-01-01T08:40:00Z", "2026-01-01T09:00:00Z", "2026-01-01T09:20:00Z", "2026-01-01T09:40:00Z"}));
  EXPECT_EQ(times("0 3 * JAN,dec SUN", "UTC", "2026-01-20T00:00:00Z", 2),
            (Times{"2026-01-25T03:00:00Z", "2026-12-06T03:00:00Z"}));
  EXPECT_EQ(times("0 3 * * 7", "UTC", "2026-01-20T00:00:00Z", 1), (Times{"2026-01-25T03:00:00Z"}));
  EXPECT_EQ(times("0 3 * * MON-FRI", "UTC", "2026-01-23T04:00:00Z", 1), (Times{"2026-01-26T03:00:00Z"}));
  EXPECT_EQ(times("0 10/8 1 1 *", "UTC", "2026-01-01T00:00:00Z", 3),
            (Times{"2026-01-01T10:00:00Z", "2026-01-01T18:00:00Z", "2027-01-01T10:00:00Z"}));
}

TEST(Cron, TwoDayFieldsAreAlternatives) {
  EXPECT_EQ(times("0 0 13 * FRI", "UTC", "2026-02-07T00:00:00Z", 3),
            (Times{"2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z"}));
  EXPECT_EQ(times("0 0 1 * MON", "UTC", "2026-03-30T00:00:00Z", 2),
            (Times{"2026-04-01T00:00:00Z", "2026-04-06T00:00:00Z"}));
}

TEST(Cron, FindsTheLeapDayAcrossACenturyWithoutOne) {
  EXPECT_EQ(times("0 0 29 2 *", "UTC", "2096-02-29T00:00:00Z", 1), (Times{"2104-02-29T00:00:00Z"}));
}

TEST(Cron, AFixedTimeInsideAGapFiresOnceWhenTheGapEnds) {
  // New York, 2026-03-08: 02:00 EST becomes 03:00 EDT (07:00 UTC).
  EXPECT_EQ(times("15,45 2 * * *", "America/New_York", "2026-03-08T00:00:00-05", 2),
            (Times{"2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"}));
}

TEST(Cron, AnHourlyTimeInsideAGapDoesNotExist) {
  EXPECT_EQ(times("30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", 3),
            (Times{"2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z", "2026-03-08T08:30:00Z"}));
}

TEST(Cron, AFixedTimeThatComesTwiceFiresAtItsFirstComing) {
  // New York, 2026-11-01: 02:00 EDT becomes 01:00 EST (06:00 UTC).
  EXPECT_EQ(times("30 1 * * *", "America/New_York", "2026-11-01T04:00:00Z", 2),
            (Times{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"}));
}

TEST(Cron, AnHourlyTimeThatComesTwiceFiresTwice) {
  EXPECT_EQ(times("30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", 3),
            (Times{"2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"}));
}

TEST(Cron, ADayThatAZoneLeavesOutFiresAtItsEnd) {
  // Samoa had no 2011-12-30: 29 December ended at 2011-12-30T10:00Z, and 31 December began.
  EXPECT_EQ(times("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", 1), (Times{"2011-12-30T10:00:00Z"}));
}

TEST(Cron, RefusesWhatIsNotASchedule) {
  for (const char* text : {"",
                           "* * * *",
                           "* * * * * *",
                           "60 * * * *",
                           "* 24 * * *",
                           "* * 0 * *",
                           "* * 32 * *",
                           "* * * 13 *",
                           "* * * * 8",
                           "*/0 * * * *",
                           "5-1 * * * *",
                           "1, * * * *",
                           "a * * * *",
                           "* * * FOO *",
                           "-1 * * * *",
                           "1--2 * * * *",
                           "*/ * * * *",
                           "@often",
                           "0 0 30 2 *",
                           "0 0 31 4,6 *",
                           "*/99999999999 * * * *"}) {
    auto schedule = CronSchedule::parse(text);
    ASSERT_FALSE(schedule.ok()) << text;
    EXPECT_EQ(schedule.error().code, ErrorCode::kConfig);
  }
  EXPECT_FALSE(CronSchedule::parse(std::string(100'000, '*')).ok());
}

TEST(Jitter, IsFixedForADatabaseAndBounded) {
  const Duration most = std::chrono::minutes(30);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) {
    const DatabaseName name{std::to_string(110000 + i), "registry"};
    const Duration jitter = schedule_jitter(name, most);
    EXPECT_EQ(jitter, schedule_jitter(name, most));
    EXPECT_GE(jitter.count(), 0);
    EXPECT_LT(jitter, most);
    seen.insert(jitter.count() / 60'000'000);
  }
  EXPECT_GT(seen.size(), 25u) << "the databases are not spread over the half hour";
  EXPECT_EQ(schedule_jitter({"1", "a"}, Duration(0)).count(), 0);
}

TEST(TimeZone, KnowsNamesAndLocalTime) {
  EXPECT_EQ(zone("Asia/Shanghai").minute_of_day(at("2026-11-23T17:30:59Z")), 90);
  EXPECT_EQ(zone("Asia/Shanghai").format(at("2026-11-23T17:30:59.5Z")), "2026-11-24 01:30:59 CST");
  EXPECT_EQ(TimeZone().format(at("2026-11-23T17:30:59Z")), "2026-11-23 17:30:59 UTC");
  EXPECT_TRUE(TimeZone::find("local").ok());
  EXPECT_FALSE(TimeZone::find("Mars/Olympus").ok());
  EXPECT_FALSE(TimeZone::find("").ok());
}

TEST(Bandwidth, TheFirstWindowThatHoldsTheLocalTimeCounts) {
  auto day = parse_hours("08:00-20:00").value(), night = parse_hours("22:00-06:00").value(),
       late = parse_hours("00:00-24:00").value();
  day.bytes_per_second = 1;
  night.bytes_per_second = 2;
  const BandwidthPlan plan(zone("Asia/Shanghai"), 9, {day, night});
  EXPECT_EQ(plan.limit_at(at("2026-01-01T07:59:59+08")), 9u);
  EXPECT_EQ(plan.limit_at(at("2026-01-01T08:00:00+08")), 1u);
  EXPECT_EQ(plan.limit_at(at("2026-01-01T19:59:59+08")), 1u);
  EXPECT_EQ(plan.limit_at(at("2026-01-01T20:00:00+08")), 9u);
  EXPECT_EQ(plan.limit_at(at("2026-01-01T23:00:00+08")), 2u);
  EXPECT_EQ(plan.limit_at(at("2026-01-01T05:59:59+08")), 2u);
  EXPECT_EQ(plan.limit_at(at("2026-01-01T06:00:00+08")), 9u);
  EXPECT_EQ(BandwidthPlan(TimeZone(), 9, {late, day}).limit_at(at("2026-01-01T23:59:59Z")), 0u);
}

TEST(Bandwidth, RefusesWhatAreNotHours) {
  for (const char* text : {"", "8:00-20:00", "08:00-08:00", "08:00", "25:00-26:00", "08:60-09:00", "24:00-06:00",
                           "22:00-00:00", "08:00-20:00 ", "aa:bb-cc:dd"}) {
    EXPECT_FALSE(parse_hours(text).ok()) << text;
  }
}
