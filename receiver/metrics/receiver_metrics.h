#pragma once

#include <map>
#include <mutex>
#include <string>

#include "core/base/identity.h"
#include "core/metrics/registry.h"

namespace stele::receiver {

/// The handles of one database. Default-made: does nothing.
struct DatabaseMetrics {
  metrics::Counter bytes, frames, duplicate_frames, packs, pack_bytes, chunks, sealed_runs, snapshots, forks, gaps;
  metrics::Histogram ack_latency;
  metrics::Gauge durable_position, last_server_time, open_runs, open_run_bytes, highest_generation, last_status_time, recipients_alarm;
};

/// Everything a receiver exports (monitoring/METRICS.md is made from the catalogue). Thread-safe.
class ReceiverMetrics {
 public:
  /// Without a registry nothing is exported (tests).
  ReceiverMetrics() = default;
  explicit ReceiverMetrics(metrics::MetricRegistry& registry);

  DatabaseMetrics of(const DatabaseName& database) const;
  /// One field of an agent's status message: stele_agent_FIELD{site,database}. Unknown names are defined on first sight, within a bound.
  void agent_field(const DatabaseName& database, const std::string& field, double value);
  void refused(ErrorCode reason) const { refused_.with({std::string(error_name(reason))}).inc(); }

  metrics::Gauge journal_live, journal_capacity, journal_failed, store_free, disk_reserve;
  metrics::Gauge certificate_expiry, ca_expiry, crl_next_update, connections, stored_objects, start_time;
  metrics::Counter journal_abandoned, damaged, catalog_rebuilds, seal_failures, connections_refused;

 private:
  metrics::MetricRegistry* registry_ = nullptr;
  metrics::Labelled<metrics::Counter> refused_, bytes_, frames_, duplicates_, packs_, pack_bytes_, chunks_, sealed_, snapshots_, forks_, gaps_;
  metrics::Labelled<metrics::Histogram> ack_latency_;
  metrics::Labelled<metrics::Gauge> durable_, server_time_, open_runs_, open_bytes_, generation_, status_time_, alarm_;
  std::mutex mutex_;
  std::map<std::string, metrics::Labelled<metrics::Gauge>> agent_fields_;
};

}  // namespace stele::receiver
