#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "core/config/agent_config.h"
#include "core/metrics/status_metrics.h"

namespace stele::agent {

struct AgentView;

/// The agent's metrics: the numbers of its status message (core/metrics/status_metrics.h) and what only it knows about each receiver.
/// Values are taken from the view when a scrape comes. Every series of the database carries the labels site and database. Thread-safe.
class AgentMetrics {
 public:
  AgentMetrics(const config::AgentConfig& config, std::function<AgentView()> view);
  void observe_ack(double seconds) { ack_seconds_.observe(seconds); }
  std::string render() { return registry_.render(); }
  metrics::MetricRegistry& registry() { return registry_; }

 private:
  void refresh();
  const config::AgentConfig& config_;
  const std::function<AgentView()> view_;
  std::mutex mutex_;  ///< of refresh: scrapes may come together
  metrics::MetricRegistry registry_;
  metrics::Histogram ack_seconds_;
  metrics::StatusRow status_;
  metrics::Labelled<metrics::Gauge> connected_, refused_, gap_, position_, lag_;
  metrics::Labelled<metrics::CounterCopy> reconnects_, sent_;
};

}  // namespace stele::agent
