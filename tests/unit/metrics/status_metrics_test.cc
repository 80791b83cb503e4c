#include "core/metrics/status_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace stele::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const DatabaseName kDatabase{"440000", "registry"};

TEST(StatusSeries, EveryDefinitionIsAccepted) {
  MetricRegistry registry;
  StatusSeries series(registry);
  EXPECT_TRUE(registry.check().ok()) << registry.check().error().to_string();
}

TEST(StatusSeries, FieldNamesAreTheirOwnAndFitTheMessage) {
  std::set<std::string> fields;
  for (const StatusMetric& m : status_metrics()) {
    EXPECT_TRUE(fields.insert(m.field).second) << m.field << " is there twice";
    EXPECT_LE(std::string_view(m.field).size(), 64u) << m.field;
  }
  EXPECT_LE(fields.size(), 256u);
}

TEST(StatusSeries, ShowsFieldsAsGaugesAndCounters) {
  MetricRegistry registry;
  StatusRow row = StatusSeries(registry).of(kDatabase);
  row.show({{"spool_bytes", 42}, {"forks_total", 2}, {"reconnects_lost", 3}, {"reconnects_busy", 1}}, false);
  const std::string page = registry.render();
  EXPECT_THAT(page, HasSubstr("# TYPE stele_spool_bytes gauge\nstele_spool_bytes{site=\"440000\",database=\"registry\"} 42\n"));
  EXPECT_THAT(page, HasSubstr("# TYPE stele_forks_total counter\nstele_forks_total{site=\"440000\",database=\"registry\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("stele_source_reconnects_total{site=\"440000\",database=\"registry\",reason=\"busy\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("stele_source_reconnects_total{site=\"440000\",database=\"registry\",reason=\"lost\"} 3\n"));
}

TEST(StatusSeries, AFieldThatTheMessageLacksVanishes) {
  MetricRegistry registry;
  StatusRow row = StatusSeries(registry).of(kDatabase);
  row.show({{"slot_safe_bytes", 42}}, false);
  EXPECT_THAT(registry.render(), HasSubstr("stele_slot_safe_bytes{"));
  row.show({}, false);
  EXPECT_THAT(registry.render(), Not(HasSubstr("stele_slot_safe_bytes{")));
  row.show({{"slot_safe_bytes", 7}}, false);
  EXPECT_THAT(registry.render(), HasSubstr("stele_slot_safe_bytes{site=\"440000\",database=\"registry\"} 7\n"));
}

TEST(StatusSeries, OnlyWhatIsLastingStaysOfAStaleMessage) {
  MetricRegistry registry;
  StatusRow row = StatusSeries(registry).of(kDatabase);
  row.show({{"streaming", 1}, {"rpo_target_seconds", 60}, {"recovery_point_seconds", 0}}, true);
  EXPECT_THAT(registry.render(), Not(HasSubstr("stele_streaming{")));
  EXPECT_THAT(registry.render(), HasSubstr("stele_rpo_target_seconds{site=\"440000\",database=\"registry\"} 60\n"));
  row.show_one("recovery_point_seconds", 77);
  EXPECT_THAT(registry.render(), HasSubstr("stele_recovery_point_seconds{site=\"440000\",database=\"registry\"} 77\n"));
}

TEST(StatusSeries, ASiteCannotInventSeries) {
  MetricRegistry registry;
  StatusRow row = StatusSeries(registry).of(kDatabase);
  row.show({{"invented", 1}, {"receiver_store_free_bytes", 1}}, false);
  EXPECT_THAT(registry.render(), Not(HasSubstr("440000")));
}

TEST(StatusSeries, HasRoomForAThousandDatabases) {
  MetricRegistry registry;
  StatusSeries series(registry);
  std::map<std::string, double> fields;
  for (const StatusMetric& m : status_metrics()) fields[m.field] = 1;
  for (int i = 0; i < 1000; ++i) series.of({std::to_string(100000 + i), "registry"}).show(fields, false);
  const std::string page = registry.render();
  EXPECT_THAT(page, Not(HasSubstr("stele_metrics_overflow_total{")));
  EXPECT_EQ(std::count(page.begin(), page.end(), '\n') / 1000, static_cast<std::ptrdiff_t>(fields.size())) << "one series a field and database";
}

}  // namespace
}  // namespace stele::metrics
