#pragma once

#include <map>
#include <span>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/identity.h"
#include "core/metrics/registry.h"

namespace stele::metrics {

/// Label sets of a metric with the labels site and database: a receiver of 1,000 databases has room to spare.
inline constexpr std::size_t kMaxDatabases = 2'000;

/// One number of the agent's status message as a metric. The agent exports it, and so does every receiver for each of its sites, under the
/// same name with the labels site and database: one rule serves a Prometheus beside the agent and one that reaches receivers only.
struct StatusMetric {
  const char* field;   ///< name in the status message; a part of the protocol
  const char* metric;  ///< name without "stele_"
  MetricType type;
  const char* unit;
  const char* reason;  ///< value of the label reason; nullptr: the metric has no such label
  bool lasting;        ///< stays true while nobody hears from the agent: a target, a date, what is kept
  const char* help;
};

/// All of them. What is not here a receiver keeps for `status` and does not export: a site cannot invent series.
std::span<const StatusMetric> status_metrics();

/// What the status messages of one database say, as series. Calls come one at a time. A default-made row shows nothing.
class StatusRow {
 public:
  StatusRow() = default;
  /// Shows what the message says; a field that it lacks vanishes. `stale`: nobody has heard from the agent for a while, so only what is
  /// lasting stays.
  void show(const std::map<std::string, double>& fields, bool stale);
  /// One number anew; an unknown field is nothing.
  void show_one(std::string_view field, double value);

 private:
  friend class StatusSeries;
  struct Cell {
    const StatusMetric* metric;
    std::variant<Passing<Gauge>, Passing<CounterCopy>> series;
    void set(std::optional<double> value);
  };
  std::vector<Cell> cells_;
};

/// The metrics of status messages in one registry. Thread-safe.
class StatusSeries {
 public:
  StatusSeries() = default;
  explicit StatusSeries(MetricRegistry& registry);
  StatusRow of(const DatabaseName& database) const;

 private:
  struct Entry {
    const StatusMetric* metric;
    Labelled<Gauge> gauge;
    Labelled<CounterCopy> counter;
  };
  std::vector<Entry> entries_;
};

}  // namespace stele::metrics
