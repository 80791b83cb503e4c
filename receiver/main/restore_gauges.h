#pragma once

#include <map>

#include "receiver/metrics/receiver_metrics.h"
#include "receiver/status/fleet.h"
#include "receiver/status/window_span.h"

namespace stele::receiver {

/// Shows windows and drills of every database as metrics. For a scrape: who does not ask costs nothing. Calls come one at a time.
class RestoreGauges {
 public:
  explicit RestoreGauges(const ReceiverMetrics& metrics) : metrics_(metrics) {}

  void show(const FleetStatus& fleet) {
    for (const DatabaseStatus& d : fleet.databases) {
      RestoreMetrics& row = row_of(d.name);
      if (auto span = window_span(d)) row.window(span->earliest, span->latest, span->open_gaps);
      RestoreMetrics::Drill drill;
      if (d.drill) drill = {d.drill->finished, d.drill_passed, d.drill->passed(), d.drill->rto_seconds, d.drill->rpo_seconds, d.drill->rto_target_seconds, d.drill->rpo_target_seconds};
      row.drill(drill);
    }
  }

 private:
  RestoreMetrics& row_of(const DatabaseName& name) {
    auto found = rows_.find(name);
    return found != rows_.end() ? found->second : rows_.emplace(name, metrics_.restore_of(name)).first->second;
  }

  const ReceiverMetrics& metrics_;
  std::map<DatabaseName, RestoreMetrics> rows_;
};

}  // namespace stele::receiver
