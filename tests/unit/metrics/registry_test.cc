#include "core/metrics/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace stele::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MetricDefinition define(std::string name, std::vector<std::string> labels = {}, std::string unit = "") {
  MetricDefinition d;
  d.name = std::move(name);
  d.help = "Help.";
  d.labels = std::move(labels);
  d.unit = std::move(unit);
  return d;
}

TEST(MetricRegistry, RendersEachTypeAsPrometheusText) {
  MetricRegistry registry;
  registry.counter(define("stele_frames_total")).inc(3);
  registry.gauges(define("stele_lag_bytes", {"site", "receiver"}, "bytes")).with({"440000", "r1"}).set(17);
  MetricDefinition latency = define("stele_ack_seconds", {}, "seconds");
  latency.buckets = {0.1, 1};
  registry.histogram(latency).observe(0.5);
  ASSERT_TRUE(registry.check().ok());
  const std::string text = registry.render();
  EXPECT_THAT(text, HasSubstr("# HELP stele_frames_total Help.\n# TYPE stele_frames_total counter\nstele_frames_total 3\n"));
  EXPECT_THAT(text, HasSubstr("stele_lag_bytes{site=\"440000\",receiver=\"r1\"} 17\n"));
  EXPECT_THAT(text, HasSubstr("stele_ack_seconds_bucket{le=\"0.1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("stele_ack_seconds_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("stele_ack_seconds_sum 0.5\n"));
}

TEST(MetricRegistry, ShowsAMetricWithoutLabelsAsZeroFromTheStart) {
  MetricRegistry registry;
  (void)registry.counter(define("stele_gaps_total"));
  EXPECT_THAT(registry.render(), HasSubstr("\nstele_gaps_total 0\n"));
}

TEST(MetricRegistry, EscapesHostileLabelValues) {
  MetricRegistry registry;
  registry.gauges(define("stele_x", {"why"})).with({"a\"b\\c\nd"}).set(1);
  EXPECT_THAT(registry.render(), HasSubstr("stele_x{why=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST(MetricRegistry, CountsLabelSetsBeyondTheBoundInsteadOfGrowing) {
  MetricRegistry registry;
  MetricDefinition d = define("stele_conn_total", {"ip"});
  d.max_series = 2;
  Labelled<Counter> family = registry.counters(d);
  for (int i = 0; i < 5; ++i) family.with({std::to_string(i)}).inc();
  family.with({"0"}).inc();
  const std::string text = registry.render();
  EXPECT_THAT(text, HasSubstr("stele_conn_total{ip=\"0\"} 2\n"));
  EXPECT_THAT(text, Not(HasSubstr("ip=\"2\"")));
  EXPECT_THAT(text, HasSubstr("stele_metrics_overflow_total{metric=\"stele_conn_total\"} 3\n"));
}

TEST(MetricRegistry, AWrongNumberOfLabelValuesIsCountedAndHarmless) {
  MetricRegistry registry;
  Labelled<Gauge> family = registry.gauges(define("stele_x", {"a", "b"}));
  family.with({"only one"}).set(1);
  EXPECT_THAT(registry.render(), HasSubstr("stele_metrics_overflow_total{metric=\"stele_x\"} 1\n"));
}

TEST(MetricRegistry, RemovesALabelSet) {
  MetricRegistry registry;
  Labelled<Gauge> family = registry.gauges(define("stele_x", {"site"}));
  family.with({"440000"}).set(1);
  family.remove({"440000"});
  EXPECT_THAT(registry.render(), Not(HasSubstr("440000")));
}

TEST(MetricRegistry, TellsOfWrongDefinitionsAndStaysUsable) {
  const MetricDefinition wrong[] = {define("frames_total"), define("stele_Frames_total"), define("stele_frames"),
                                    define("stele_x_total", {"le"}), define("stele_x_total", {"a", "a"}),
                                    define("stele_x_total", {}, "bytes")};
  for (const MetricDefinition& d : wrong) {
    MetricRegistry registry;
    registry.counter(d).inc();
    EXPECT_FALSE(registry.check().ok()) << d.name;
    EXPECT_THAT(registry.render(), Not(HasSubstr("TYPE " + d.name + " ")));
  }
  MetricRegistry registry;
  (void)registry.gauge(define("stele_up"));
  (void)registry.gauge(define("stele_up"));
  EXPECT_TRUE(registry.check().ok()) << "the same definition twice is the same metric";
  (void)registry.gauges(define("stele_up", {"site"}));
  EXPECT_FALSE(registry.check().ok());
}

TEST(MetricRegistry, ListsItsCatalogueInOrder) {
  MetricRegistry registry;
  (void)registry.gauge(define("stele_b"));
  (void)registry.histograms(define("stele_a_seconds", {"site"}, "seconds"));
  auto list = registry.list_catalogue();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].definition.name, "stele_metrics_overflow_total");
  EXPECT_EQ(list[1].definition.name, "stele_b");
  EXPECT_EQ(list[2].type, MetricType::kHistogram);
  EXPECT_EQ(list[2].definition.buckets, latency_buckets());
}

TEST(MetricRegistry, AsksCallbacksBeforeRendering) {
  MetricRegistry registry;
  Gauge gauge = registry.gauge(define("stele_lag_seconds", {}, "seconds"));
  registry.before_render([&] { gauge.add(1); });
  (void)registry.render();
  EXPECT_THAT(registry.render(), HasSubstr("stele_lag_seconds 2\n"));
}

TEST(MetricRegistry, IsSafeFromManyThreads) {
  MetricRegistry registry;
  Labelled<Counter> family = registry.counters(define("stele_n_total", {"thread"}));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) family.with({std::to_string(t % 2)}).inc();
      (void)registry.render();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(family.with({"0"}).value() + family.with({"1"}).value(), 4000);
}

TEST(MetricHandles, MadeByDefaultDoNothing) {
  Counter().inc();
  Gauge().set(1);
  Histogram().observe(1);
  Labelled<Counter>().with({"x"}).inc();
  EXPECT_EQ(Counter().value(), 0);
}

}  // namespace
}  // namespace stele::metrics
