#include "core/metrics/status_metrics.h"

namespace stele::metrics {

namespace {

constexpr MetricType G = MetricType::kGauge, C = MetricType::kCounter;
constexpr const char* kReconnects = "Streams from PostgreSQL that ended, by reason";

constexpr StatusMetric kMetrics[] = {
    // The change log.
    {"streaming", "streaming", G, "", nullptr, false, "1 while the change log is being received"},
    {"generation", "generation", G, "", nullptr, true, "Generation with which the agent writes; grows with each start"},
    {"timeline", "timeline", G, "", nullptr, true, "PostgreSQL timeline that is being streamed"},
    {"server_position_bytes", "server_position_bytes", G, "bytes", nullptr, true, "End of the server's log as last heard, as a position"},
    {"sealed_position_bytes", "sealed_position_bytes", G, "bytes", nullptr, true, "End of the last sealed frame, as a position"},
    {"off_site_position_bytes", "off_site_position_bytes", G, "bytes", nullptr, true, "End of what the quorum of receivers holds, as a position"},
    {"confirmed_position_bytes", "confirmed_position_bytes", G, "bytes", nullptr, true, "Position reported to PostgreSQL as durable"},
    {"lag_bytes", "lag_bytes", G, "bytes", nullptr, false, "Log that the server has and the quorum lacks"},
    {"recovery_point_seconds", "recovery_point_seconds", G, "seconds", nullptr, true,
     "What a disaster now would lose, in time: 0 when everything the server has is off-site; goes on growing while nobody hears from the agent"},
    {"last_commit_timestamp_seconds", "last_commit_timestamp_seconds", G, "seconds", nullptr, true, "Time of the newest commit that was sealed"},
    {"frames_sealed_total", "frames_sealed_total", C, "", nullptr, false, "Frames sealed since the agent's start"},
    {"log_raw_bytes_total", "log_raw_bytes_total", C, "bytes", nullptr, false, "Log bytes received since the agent's start"},
    {"log_sealed_bytes_total", "log_sealed_bytes_total", C, "bytes", nullptr, false,
     "Sealed bytes since the agent's start: compressed, encrypted, with headers"},
    {"source_clock_difference_seconds", "source_clock_difference_seconds", G, "seconds", nullptr, false, "The database server's clock minus the agent's"},
    {"reconnects_starting_up", "source_reconnects_total", C, "", "starting_up", false, kReconnects},
    {"reconnects_shutting_down", "source_reconnects_total", C, "", "shutting_down", false, kReconnects},
    {"reconnects_timeline_end", "source_reconnects_total", C, "", "timeline_end", false, kReconnects},
    {"reconnects_slot_active", "source_reconnects_total", C, "", "slot_active", false, kReconnects},
    {"reconnects_lost", "source_reconnects_total", C, "", "lost", false, kReconnects},
    {"reconnects_refused", "source_reconnects_total", C, "", "refused", false, kReconnects},
    {"reconnects_busy", "source_reconnects_total", C, "", "busy", false, kReconnects},
    {"reconnects_unauthorised", "source_reconnects_total", C, "", "unauthorised", false, kReconnects},
    {"reconnects_other", "source_reconnects_total", C, "", "other", false, kReconnects},
    // Spool and slot.
    {"spool_bytes", "spool_bytes", G, "bytes", nullptr, false, "Sealed bytes that receivers still lack"},
    {"spool_disk_bytes", "spool_disk_bytes", G, "bytes", nullptr, false, "Disk space of spool files in use"},
    {"spool_limit_bytes", "spool_limit_bytes", G, "bytes", nullptr, true, "Configured limit of the spool"},
    {"spool_full", "spool_full", G, "", nullptr, false, "1 while the spool is full and the source is held back"},
    {"spool_failed", "spool_failed", G, "", nullptr, false, "1 after a failed write or sync of the spool, until one succeeds"},
    {"slot_released", "slot_released", G, "", nullptr, false,
     "1 while the spool is full and the slot goes forward without the agent (on_full = \"release\"): the server drops log that nobody holds"},
    {"slot_state", "slot_state", G, "", nullptr, false, "Replication slot: 0 none, 1 reserved, 2 extended, 3 unreserved, 4 lost"},
    {"slot_retained_bytes", "slot_retained_bytes", G, "bytes", nullptr, false, "WAL that the server keeps for the slot"},
    {"slot_safe_bytes", "slot_safe_bytes", G, "bytes", nullptr, false,
     "WAL that can still be written before the slot may be lost; absent when max_slot_wal_keep_size sets no limit"},
    // The promise.
    {"degraded", "degraded", G, "", nullptr, false, "1 while commits are confirmed without the quorum"},
    {"quorum", "quorum", G, "", nullptr, true, "Receivers that must hold a commit"},
    {"receivers_configured", "receivers_configured", G, "", nullptr, true, "Receivers in the agent's configuration"},
    {"receivers_connected", "receivers_connected", G, "", nullptr, false, "Receivers with a live session"},
    {"receivers_refusing", "receivers_refusing", G, "", nullptr, false, "Receivers that refuse this agent: another took over, or it is not authorised"},
    {"gaps_total", "gaps_total", C, "", nullptr, false, "Gaps in the change log recorded since the agent's start"},
    {"forks_total", "forks_total", C, "", nullptr, false, "Forks of the history recorded since the agent's start"},
    {"abandoned_branches_total", "abandoned_branches_total", C, "", nullptr, false, "Branches abandoned past a switch of timelines since the agent's start"},
    {"rpo_target_seconds", "rpo_target_seconds", G, "seconds", nullptr, true, "Configured target for the recovery point; 0: none"},
    {"rto_target_seconds", "rto_target_seconds", G, "seconds", nullptr, true, "Configured target for the recovery time; 0: none"},
    {"snapshot_interval_target_seconds", "snapshot_interval_target_seconds", G, "seconds", nullptr, true,
     "Configured target for the time between snapshots; 0: none"},
    {"window_target_seconds", "window_target_seconds", G, "seconds", nullptr, true, "Configured target for the recoverable window; 0: none"},
    {"drill_interval_target_seconds", "drill_interval_target_seconds", G, "seconds", nullptr, true, "Configured target for the time between restore drills; 0: none"},
    // Snapshots.
    {"snapshot_running", "snapshot_running", G, "", nullptr, false, "1 while a snapshot is being taken"},
    {"snapshot_failures", "snapshot_failures", G, "", nullptr, false, "Failed tries since the last snapshot that succeeded"},
    {"snapshot_last_success_timestamp_seconds", "snapshot_last_success_timestamp_seconds", G, "seconds", nullptr, true,
     "When the last snapshot of this stream was committed; 0: there is none"},
    {"snapshot_duration_seconds", "snapshot_duration_seconds", G, "seconds", nullptr, true, "Duration of the last snapshot since the agent's start"},
    {"snapshot_raw_bytes", "snapshot_raw_bytes", G, "bytes", nullptr, true, "Size of all files of the last snapshot"},
    {"snapshot_compressed_bytes", "snapshot_compressed_bytes", G, "bytes", nullptr, true, "New chunks of the last snapshot, compressed and encrypted"},
    {"snapshot_sent_bytes", "snapshot_sent_bytes", G, "bytes", nullptr, true, "Bytes sent for the last snapshot, over all receivers"},
    {"snapshot_damaged_pages", "snapshot_damaged_pages", G, "", nullptr, true, "Pages of the last snapshot whose checksum failed in the database"},
    // Keys, certificates, the program.
    {"epoch_created_timestamp_seconds", "epoch_created_timestamp_seconds", G, "seconds", nullptr, true, "When the data key in use was made"},
    {"epoch_max_age_seconds", "epoch_max_age_seconds", G, "seconds", nullptr, true, "Configured longest life of a data key"},
    {"enrolment_timestamp_seconds", "enrolment_timestamp_seconds", G, "seconds", nullptr, true, "When the authority enrolled the agent's signing key"},
    {"recovery_keys", "recovery_keys", G, "", nullptr, true, "Recovery keys that data is sealed to; one alone can be lost"},
    {"certificate_expiry_timestamp_seconds", "certificate_expiry_timestamp_seconds", G, "seconds", nullptr, true, "When the agent's certificate expires"},
    {"ca_expiry_timestamp_seconds", "ca_expiry_timestamp_seconds", G, "seconds", nullptr, true, "When the first authority that the agent believes expires"},
    {"crl_next_update_timestamp_seconds", "crl_next_update_timestamp_seconds", G, "seconds", nullptr, true,
     "When the agent's revocation list is out of date; absent without a list"},
    {"tls_reload_failed", "tls_reload_failed", G, "", nullptr, false, "1 while changed certificate files of the agent cannot be used"},
    {"agent_start_timestamp_seconds", "agent_start_timestamp_seconds", G, "seconds", nullptr, true, "When the agent started"},
    {"status_interval_seconds", "status_interval_seconds", G, "seconds", nullptr, true, "How often the agent sends its status"},
    {"log_lines_dropped_total", "log_lines_dropped_total", C, "", nullptr, false, "Lines of the agent's own log that were lost"},
};

}  // namespace

std::span<const StatusMetric> status_metrics() { return kMetrics; }

StatusSeries::StatusSeries(MetricRegistry& registry) {
  for (const StatusMetric& m : kMetrics) {
    MetricDefinition d;
    d.name = std::string("stele_") + m.metric;
    d.help = m.help;
    d.unit = m.unit;
    d.labels = {"site", "database"};
    d.max_series = kMaxDatabases;
    if (m.reason != nullptr) {
      d.labels.push_back("reason");
      d.max_series *= 9;  // ReconnectReason
    }
    Entry entry{&m, {}, {}};
    if (m.type == MetricType::kCounter) {
      entry.counter = registry.counter_copies(std::move(d));
    } else {
      entry.gauge = registry.gauges(std::move(d));
    }
    entries_.push_back(std::move(entry));
  }
}

StatusRow StatusSeries::of(const DatabaseName& database) const {
  using Labels = std::vector<std::string>;
  const auto plain = std::make_shared<const Labels>(Labels{database.site, database.database});
  StatusRow row;
  for (const Entry& entry : entries_) {
    const char* reason = entry.metric->reason;
    const auto labels = reason == nullptr ? plain : std::make_shared<const Labels>(Labels{database.site, database.database, reason});
    StatusRow::Cell cell{entry.metric, Passing<Gauge>(entry.gauge, labels)};
    if (entry.metric->type == MetricType::kCounter) cell.series = Passing<CounterCopy>(entry.counter, labels);
    row.cells_.push_back(std::move(cell));
  }
  return row;
}

void StatusRow::Cell::set(std::optional<double> value) {
  std::visit([&](auto& s) { s.set(value); }, series);
}

void StatusRow::show(const std::map<std::string, double>& fields, bool stale) {
  for (Cell& cell : cells_) {
    const auto field = fields.find(cell.metric->field);
    const bool shown = field != fields.end() && (!stale || cell.metric->lasting);
    cell.set(shown ? std::optional(field->second) : std::nullopt);
  }
}

void StatusRow::show_one(std::string_view field, double value) {
  for (Cell& cell : cells_) {
    if (field == cell.metric->field) cell.set(value);
  }
}

}  // namespace stele::metrics
