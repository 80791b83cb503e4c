#include "core/metrics/registry.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <variant>

namespace stele::metrics {

namespace {

constexpr std::size_t kRefused = SIZE_MAX;

using Series = std::variant<std::unique_ptr<prometheus::Counter>, std::unique_ptr<prometheus::Gauge>,
                            std::unique_ptr<prometheus::Histogram>>;

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

/// Prometheus' naming rules (https://prometheus.io/docs/practices/naming/) as far as a program can check them.
std::optional<std::string> wrong_definition(MetricType type, const MetricDefinition& d) {
  if (!is_name(d.name) || !d.name.starts_with("stele_")) return "the name is not stele_ and [a-z0-9_]";
  if (d.help.empty()) return "it has no help text";
  const bool total = d.name.ends_with("_total");
  if (total != (type == MetricType::kCounter)) return "counters, and only they, end in _total";
  if (!d.unit.empty()) {
    const std::string suffix = "_" + d.unit + (total ? "_total" : "");
    if (!d.name.ends_with(suffix)) return "the name does not end in its unit";
  }
  for (std::size_t i = 0; i < d.labels.size(); ++i) {
    if (!is_name(d.labels[i]) || d.labels[i].starts_with("__") || d.labels[i] == "le") return "a label is ill named";
    if (std::find(d.labels.begin(), d.labels.begin() + i, d.labels[i]) != d.labels.begin() + i) return "a label is there twice";
  }
  if (type != MetricType::kHistogram && !d.buckets.empty()) return "only histograms have buckets";
  if (!std::is_sorted(d.buckets.begin(), d.buckets.end(), std::less_equal<double>())) return "the buckets do not grow";
  return std::nullopt;
}

bool same_shape(const MetricDefinition& a, const MetricDefinition& b) {
  return a.help == b.help && a.unit == b.unit && a.labels == b.labels && a.buckets == b.buckets;
}

struct Metric {
  MetricType type;
  MetricDefinition definition;
  bool copied = false;  // a counter whose value is set: kept as a gauge, shown as a counter
  std::map<std::vector<std::string>, Series> series;
};

Series make_series(const Metric& metric) {
  switch (metric.type) {
    case MetricType::kCounter:
      if (metric.copied) return std::make_unique<prometheus::Gauge>();
      return std::make_unique<prometheus::Counter>();
    case MetricType::kGauge: return std::make_unique<prometheus::Gauge>();
    case MetricType::kHistogram: break;
  }
  return std::make_unique<prometheus::Histogram>(metric.definition.buckets);
}

prometheus::MetricType prometheus_type(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return prometheus::MetricType::Counter;
    case MetricType::kGauge: return prometheus::MetricType::Gauge;
    case MetricType::kHistogram: break;
  }
  return prometheus::MetricType::Histogram;
}

}  // namespace

std::string_view metric_type_name(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kGauge: return "gauge";
    case MetricType::kHistogram: break;
  }
  return "histogram";
}

const std::vector<double>& latency_buckets() {
  static const std::vector<double> buckets{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                           0.1,    0.25,    0.5,    1,     2.5,    5,     10,   30,    60};
  return buckets;
}

void Counter::inc(double amount) const {
  if (series_ != nullptr && amount >= 0) series_->Increment(amount);
}
double Counter::value() const { return series_ == nullptr ? 0 : series_->Value(); }

void CounterCopy::set(double value) const {
  if (series_ != nullptr) series_->Set(value);
}

void Gauge::set(double value) const {
  if (series_ != nullptr) series_->Set(value);
}
void Gauge::add(double amount) const {
  if (series_ != nullptr) series_->Increment(amount);
}
double Gauge::value() const { return series_ == nullptr ? 0 : series_->Value(); }

void Histogram::observe(double value) const {
  if (series_ != nullptr) series_->Observe(value);
}

struct MetricRegistry::Impl {
  mutable std::mutex mutex;
  std::deque<Metric> metrics;
  std::map<std::string, std::size_t, std::less<>> by_name;
  std::vector<std::function<void()>> callbacks;
  std::optional<Error> wrong;
  std::size_t overflow = kRefused;

  /// With the lock held.
  Series* find_or_make(std::size_t index, const std::vector<std::string>& values) {
    Metric& metric = metrics[index];
    auto found = metric.series.find(values);
    if (found != metric.series.end()) return &found->second;
    if (values.size() != metric.definition.labels.size() || metric.series.size() >= metric.definition.max_series) {
      // The overflow counter's own label sets are the metric names, so it cannot overflow itself.
      if (index != overflow) {
        std::get<0>(*find_or_make(overflow, {metric.definition.name}))->Increment();
      }
      return nullptr;
    }
    return &metric.series.emplace(values, make_series(metric)).first->second;
  }

  prometheus::MetricFamily collect(std::size_t index) const {
    std::lock_guard lock(mutex);
    const Metric& metric = metrics[index];
    prometheus::MetricFamily family{metric.definition.name, metric.definition.help, prometheus_type(metric.type), {}};
    family.metric.reserve(metric.series.size());
    for (const auto& [values, series] : metric.series) {
      prometheus::ClientMetric sample = std::visit([](const auto& s) { return s->Collect(); }, series);
      if (metric.copied) sample.counter.value = sample.gauge.value;
      for (std::size_t i = 0; i < values.size(); ++i) sample.label.push_back({metric.definition.labels[i], values[i]});
      family.metric.push_back(std::move(sample));
    }
    return family;
  }
};

MetricRegistry::MetricRegistry() : impl_(std::make_unique<Impl>()) {
  MetricDefinition overflow;
  overflow.name = "stele_metrics_overflow_total";
  overflow.help = "Label sets that a metric refused because it has max_series of them already.";
  overflow.labels = {"metric"};
  overflow.max_series = SIZE_MAX;
  impl_->overflow = define(MetricType::kCounter, std::move(overflow));
}

MetricRegistry::~MetricRegistry() = default;

std::size_t MetricRegistry::define(MetricType type, MetricDefinition definition, bool copied) {
  if (type == MetricType::kHistogram && definition.buckets.empty()) definition.buckets = latency_buckets();
  std::lock_guard lock(impl_->mutex);
  std::optional<std::string> wrong = wrong_definition(type, definition);
  if (auto known = impl_->by_name.find(definition.name); !wrong && known != impl_->by_name.end()) {
    const Metric& metric = impl_->metrics[known->second];
    if (metric.type == type && metric.copied == copied && same_shape(metric.definition, definition)) return known->second;
    wrong = "it was defined before with another shape";
  }
  if (wrong) {
    if (!impl_->wrong) {
      impl_->wrong = Error{ErrorCode::kInternal, fmt::format("define metric {}: {}", definition.name, *wrong), ""};
    }
    return kRefused;
  }
  const std::size_t index = impl_->metrics.size();
  impl_->by_name.emplace(definition.name, index);
  impl_->metrics.push_back(Metric{type, std::move(definition), copied, {}});
  // A metric without labels is shown as zero from the start: absent and zero are different things to an alert.
  if (impl_->metrics[index].definition.labels.empty()) (void)impl_->find_or_make(index, {});
  return index;
}

template <typename Handle>
Handle MetricRegistry::series(std::size_t metric, const std::vector<std::string>& values) {
  if (metric == kRefused) return Handle();
  std::lock_guard lock(impl_->mutex);
  Series* found = impl_->find_or_make(metric, values);
  if (found == nullptr) return Handle();
  if constexpr (std::is_same_v<Handle, Counter>) return Handle(std::get<0>(*found).get());
  if constexpr (std::is_same_v<Handle, CounterCopy>) return Handle(std::get<1>(*found).get());
  if constexpr (std::is_same_v<Handle, Gauge>) return Handle(std::get<1>(*found).get());
  if constexpr (std::is_same_v<Handle, Histogram>) return Handle(std::get<2>(*found).get());
}

void MetricRegistry::remove_series(std::size_t metric, const std::vector<std::string>& values) {
  if (metric == kRefused) return;
  std::lock_guard lock(impl_->mutex);
  impl_->metrics[metric].series.erase(values);
}

Counter MetricRegistry::counter(MetricDefinition definition) { return counters(std::move(definition)).with({}); }
CounterCopy MetricRegistry::counter_copy(MetricDefinition definition) { return counter_copies(std::move(definition)).with({}); }
Gauge MetricRegistry::gauge(MetricDefinition definition) { return gauges(std::move(definition)).with({}); }
Histogram MetricRegistry::histogram(MetricDefinition definition) { return histograms(std::move(definition)).with({}); }

Labelled<Counter> MetricRegistry::counters(MetricDefinition definition) {
  return Labelled<Counter>(this, define(MetricType::kCounter, std::move(definition)));
}
Labelled<CounterCopy> MetricRegistry::counter_copies(MetricDefinition definition) {
  return Labelled<CounterCopy>(this, define(MetricType::kCounter, std::move(definition), true));
}
Labelled<Gauge> MetricRegistry::gauges(MetricDefinition definition) {
  return Labelled<Gauge>(this, define(MetricType::kGauge, std::move(definition)));
}
Labelled<Histogram> MetricRegistry::histograms(MetricDefinition definition) {
  return Labelled<Histogram>(this, define(MetricType::kHistogram, std::move(definition)));
}

void MetricRegistry::before_render(std::function<void()> callback) {
  std::lock_guard lock(impl_->mutex);
  impl_->callbacks.push_back(std::move(callback));
}

std::string MetricRegistry::render() {
  std::vector<std::function<void()>> callbacks;
  {
    std::lock_guard lock(impl_->mutex);
    callbacks = impl_->callbacks;
  }
  for (const auto& callback : callbacks) callback();

  // One family after the other: whoever looks up a series meanwhile waits for one at most, and the text is the only large thing in memory.
  std::ostringstream out;
  std::size_t count = 0;
  {
    std::lock_guard lock(impl_->mutex);
    count = impl_->metrics.size();
  }
  for (std::size_t i = 0; i < count; ++i) prometheus::TextSerializer().Serialize(out, {impl_->collect(i)});
  return std::move(out).str();
}

std::vector<CatalogueEntry> MetricRegistry::list_catalogue() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<CatalogueEntry> out;
  for (const Metric& metric : impl_->metrics) out.push_back({metric.type, metric.definition});
  return out;
}

Status MetricRegistry::check() const {
  std::lock_guard lock(impl_->mutex);
  if (impl_->wrong) return *impl_->wrong;
  return {};
}

template <typename Handle>
Handle Labelled<Handle>::with(const std::vector<std::string>& values) const {
  return registry_ == nullptr ? Handle() : registry_->template series<Handle>(metric_, values);
}

template <typename Handle>
void Labelled<Handle>::remove(const std::vector<std::string>& values) const {
  if (registry_ != nullptr) registry_->remove_series(metric_, values);
}

template class Labelled<Counter>;
template class Labelled<CounterCopy>;
template class Labelled<Gauge>;
template class Labelled<Histogram>;

}  // namespace stele::metrics
