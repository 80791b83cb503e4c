#pragma once

#include <optional>
#include <string>

#include "core/base/identity.h"
#include "core/base/time.h"
#include "core/metrics/registry.h"
#include "core/metrics/status_metrics.h"

namespace stele::receiver {

/// The handles of one database. Default-made: does nothing.
struct DatabaseMetrics {
  metrics::Counter bytes, frames, duplicate_frames, packs, pack_bytes, chunks, sealed_runs, snapshots, forks, gaps, damage, superseded;
  metrics::Gauge durable_position, durable_time, open_runs, open_run_bytes, highest_generation, recipients_mismatch, epochs;
  metrics::Gauge agent_connected, last_status_time, agent_clock_difference;
  metrics::Gauge snapshots_held, snapshot_last_time, snapshot_damaged_pages;
};

/// What can be restored of one database, and its last drill. Calls come one at a time. Default-made: does nothing.
class RestoreMetrics {
 public:
  /// The restorable window (core/recovery); none: nothing can be restored.
  void window(Timestamp earliest, Timestamp latest, std::size_t open_gaps);
  /// The last drill. Values that are absent vanish.
  struct Drill {
    Timestamp last, last_passed;  ///< none: there is none
    bool passed = false;
    std::optional<double> rto, rpo, rto_target, rpo_target;  ///< seconds
  };
  void drill(const Drill& drill);

 private:
  friend class ReceiverMetrics;
  metrics::Passing<metrics::Gauge> earliest_, latest_, open_gaps_, drill_time_, drill_passed_time_, drill_passed_, drill_rto_, drill_rpo_, drill_rto_target_, drill_rpo_target_;
};

/// Everything a receiver exports (monitoring/METRICS.md is compared with it). Thread-safe.
class ReceiverMetrics {
 public:
  /// Without a registry nothing is exported (tests).
  ReceiverMetrics() = default;
  explicit ReceiverMetrics(metrics::MetricRegistry& registry);

  DatabaseMetrics of(const DatabaseName& database) const;
  RestoreMetrics restore_of(const DatabaseName& database) const;
  /// What agents say in their status messages; one row for each database.
  const metrics::StatusSeries& status() const { return status_; }
  /// Entries of one kind in the database's ledger, and when the newest was made.
  void ledger(const DatabaseName& database, std::string_view kind, std::size_t entries, Timestamp newest) const;
  void protected_since(const DatabaseName& database, Timestamp first_branch) const;
  void site(const std::string& name, std::uint64_t stored_bytes, std::uint64_t limit_bytes) const;
  void refused(ErrorCode reason) const { refused_.with({std::string(error_name(reason))}).inc(); }

  metrics::Gauge start_time, journal_live, journal_capacity, journal_failed, store_free, disk_reserve, certificate_expiry, ca_expiry, crl_next_update;
  metrics::Gauge tls_reload_failed, connections, stored_objects;
  metrics::CounterCopy journal_abandoned;
  metrics::Counter connections_refused, catalog_rebuilds, seal_failures;
  metrics::Histogram ack_latency;

 private:
  metrics::MetricRegistry* registry_ = nullptr;
  metrics::StatusSeries status_;
  metrics::Labelled<metrics::Counter> refused_, bytes_, frames_, duplicates_, packs_, pack_bytes_, chunks_, sealed_, snapshots_, forks_, gaps_, damage_,
      superseded_;
  metrics::Labelled<metrics::Gauge> durable_, durable_time_, open_runs_, open_bytes_, generation_, mismatch_, epochs_, connected_, status_time_, clock_,
      snapshots_held_, snapshot_time_, snapshot_damage_, protected_since_, ledger_entries_, ledger_time_, earliest_, latest_, open_gaps_, site_stored_,
      site_limit_, drill_time_, drill_passed_time_, drill_passed_, drill_rto_, drill_rpo_, drill_rto_target_, drill_rpo_target_;
};

}  // namespace stele::receiver
