#pragma once

#include <map>
#include <string>

#include "core/metrics/registry.h"

namespace stele::agent {

class AgentProgram;

/// The agent's metrics: one place defines them; values are taken from the program's view when a scrape comes.
class AgentMetrics {
 public:
  explicit AgentMetrics(const AgentProgram& program);
  void observe_ack(double seconds) { ack_seconds_.observe(seconds); }
  std::string render() { return registry_.render(); }
  metrics::MetricRegistry& registry() { return registry_; }

 private:
  void refresh();
  const AgentProgram& program_;
  metrics::MetricRegistry registry_;
  metrics::Histogram ack_seconds_;
  std::map<std::string, metrics::Gauge> fields_;
  metrics::Labelled<metrics::Gauge> receiver_connected_, receiver_position_, receiver_lag_, reconnects_, receiver_reconnects_;
  metrics::Gauge frames_, raw_bytes_, sealed_bytes_, log_lines_dropped_;
};

}  // namespace stele::agent
