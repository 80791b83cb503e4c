#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace stele::metrics {

enum class MetricType { kCounter, kGauge, kHistogram };

std::string_view metric_type_name(MetricType type);  ///< "counter", "gauge", "histogram"

/// One metric, declared once. Names follow Prometheus: prefix stele_, base units, counters end in _total.
struct MetricDefinition {
  std::string name;
  std::string help;
  std::string unit;                  ///< "seconds", "bytes", "ratio", or "" for plain numbers; the name carries it too
  std::vector<std::string> labels;   ///< label names; the values are given to with()
  std::vector<double> buckets;       ///< histograms only; empty = latency_buckets()
  std::size_t max_series = 200;      ///< label sets beyond this are refused and counted in stele_metrics_overflow_total
};

/// One entry of list_catalogue(), for the reference page and tests.
struct CatalogueEntry {
  MetricType type = MetricType::kGauge;
  MetricDefinition definition;
};

/// Seconds from 100 microseconds to 60 seconds.
const std::vector<double>& latency_buckets();

/// Handles are small, copyable, thread-safe, and valid as long as their registry. A default-made handle does nothing,
/// so a class may be used without metrics in tests.
class Counter {
 public:
  Counter() = default;
  void inc(double amount = 1) const;  ///< amount < 0 is ignored
  double value() const;

 private:
  friend class MetricRegistry;
  explicit Counter(prometheus::Counter* series) : series_(series) {}
  prometheus::Counter* series_ = nullptr;
};

/// A counter that is kept elsewhere (in another class, in another program) and shown here: set() gives its value. A lower value than
/// before is what a restart looks like, to Prometheus too.
class CounterCopy {
 public:
  CounterCopy() = default;
  void set(double value) const;

 private:
  friend class MetricRegistry;
  explicit CounterCopy(prometheus::Gauge* series) : series_(series) {}
  prometheus::Gauge* series_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void set(double value) const;
  void add(double amount) const;
  double value() const;

 private:
  friend class MetricRegistry;
  explicit Gauge(prometheus::Gauge* series) : series_(series) {}
  prometheus::Gauge* series_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void observe(double value) const;

 private:
  friend class MetricRegistry;
  explicit Histogram(prometheus::Histogram* series) : series_(series) {}
  prometheus::Histogram* series_ = nullptr;
};

class MetricRegistry;

/// A metric with labels: with({value, ...}) gives the handle of one label set, in the order of the definition's labels.
/// Looking up takes a lock: keep the handle where it is used often. A wrong number of values or a label set beyond
/// max_series gives a handle that does nothing and counts the refusal.
template <typename Handle>
class Labelled {
 public:
  Labelled() = default;
  Handle with(const std::vector<std::string>& values) const;
  /// Forgets one label set (a site that left the configuration). Handles to it must no longer be used.
  void remove(const std::vector<std::string>& values) const;

 private:
  friend class MetricRegistry;
  Labelled(MetricRegistry* registry, std::size_t metric) : registry_(registry), metric_(metric) {}
  MetricRegistry* registry_ = nullptr;
  std::size_t metric_ = 0;
};

/// One label set that comes and goes: what is not known is absent, not zero. Looks the series up only when it comes or goes, so that setting
/// many of them often is cheap. Calls come one at a time.
template <typename Handle>
class Passing {
 public:
  Passing() = default;
  Passing(Labelled<Handle> metric, std::shared_ptr<const std::vector<std::string>> values) : metric_(metric), values_(std::move(values)) {}
  void set(std::optional<double> value) {
    if (!values_) return;
    if (!value) {
      if (handle_) metric_.remove(*values_);
      handle_.reset();
      return;
    }
    if (!handle_) handle_ = metric_.with(*values_);
    handle_->set(*value);
  }

 private:
  Labelled<Handle> metric_;
  std::shared_ptr<const std::vector<std::string>> values_;
  std::optional<Handle> handle_;
};

/// The metrics of one program: a declared catalogue, typed handles, and Prometheus' text form. Thread-safe.
/// Defining the same name twice with the same shape gives the same metric; a contradictory or ill-named definition
/// gives handles that do nothing and is told by check(), which every program calls once after start and in its tests.
class MetricRegistry {
 public:
  MetricRegistry();
  ~MetricRegistry();
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;

  /// Metrics without labels.
  Counter counter(MetricDefinition definition);
  CounterCopy counter_copy(MetricDefinition definition);
  Gauge gauge(MetricDefinition definition);
  Histogram histogram(MetricDefinition definition);
  /// Metrics with labels.
  Labelled<Counter> counters(MetricDefinition definition);
  Labelled<CounterCopy> counter_copies(MetricDefinition definition);
  Labelled<Gauge> gauges(MetricDefinition definition);
  Labelled<Histogram> histograms(MetricDefinition definition);

  /// Called (under no lock of the registry) before every render, to set gauges that are computed when asked for.
  void before_render(std::function<void()> callback);

  /// Prometheus text exposition format 0.0.4: content type "text/plain; version=0.0.4; charset=utf-8".
  std::string render();

  /// Every metric in the order of definition, stele_metrics_overflow_total included.
  std::vector<CatalogueEntry> list_catalogue() const;

  /// The first wrong definition, kInternal, or success.
  Status check() const;

 private:
  template <typename>
  friend class Labelled;
  struct Impl;
  std::size_t define(MetricType type, MetricDefinition definition, bool copied = false);
  template <typename Handle>
  Handle series(std::size_t metric, const std::vector<std::string>& values);
  void remove_series(std::size_t metric, const std::vector<std::string>& values);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::metrics
