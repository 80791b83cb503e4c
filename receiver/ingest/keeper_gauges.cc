#include <algorithm>

#include "core/base/seconds.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

namespace {

// An agent that missed this many of its own status intervals is not heard from; short intervals are given this long.
constexpr int kMissedIntervals = 4;
constexpr Duration kShortestSilence = std::chrono::seconds(10);

double seconds(Timestamp t) { return static_cast<double>(t.micros) / 1e6; }
double seconds(Duration d) { return static_cast<double>(d.count()) / 1e6; }

Duration silence_of(const format::StatusMessage& status) {
  auto interval = status.fields.find("status_interval_seconds");
  // A claim of the agent's: it must not make its silence invisible.
  const double claimed = interval == status.fields.end() ? 5 : std::clamp(interval->second, 1.0, 3600.0);
  return std::max(kShortestSilence, duration_of(claimed) * kMissedIntervals);
}

}  // namespace

void Keeper::refresh_gauges() {
  if (auto free = parts_.store.free_bytes(); free.ok()) free_bytes_ = *free;
  ReceiverMetrics& m = parts_.metrics;
  m.store_free.set(static_cast<double>(free_bytes_.load()));
  m.disk_reserve.set(static_cast<double>(options_.disk_reserve));
  m.journal_live.set(static_cast<double>(journal_->live_bytes()));
  m.journal_capacity.set(static_cast<double>(journal_->capacity()));
  m.journal_failed.set(journal_->failed() ? 1 : 0);
  m.journal_abandoned.set(static_cast<double>(journal_->abandoned_files()));
  std::uint64_t stored = 0;
  {
    std::lock_guard lock(databases_mutex_);
    for (const auto& [name, site] : sites_) {
      const std::uint64_t bytes = site->stored.load();
      stored += bytes;
      auto configured = std::find_if(options_.sites.begin(), options_.sites.end(), [&](const KeeperOptions::Site& s) { return s.config.name == name; });
      m.site(name, bytes, configured == options_.sites.end() ? 0 : configured->config.limits.stored_bytes);
    }
  }
  m.stored_objects.set(static_cast<double>(stored));
  const Timestamp now = parts_.clock.now();
  for (Database* d : databases()) {
    std::lock_guard lock(d->mutex);
    refresh_database(*d);
    refresh_status(*d, now);
  }
}

/// With the database's lock held.
void Keeper::refresh_database(Database& d) {
  d.metrics.open_runs.set(static_cast<double>(d.runs.open()));
  d.metrics.open_run_bytes.set(static_cast<double>(d.runs.bytes()));
  d.metrics.highest_generation.set(static_cast<double>(d.fence.highest.value));
  d.metrics.epochs.set(static_cast<double>(d.trust.epochs()));
  d.metrics.recipients_mismatch.set(d.trust.newest_epoch_alarm().empty() ? 0 : 1);
  d.metrics.agent_connected.set(d.writer != 0 ? 1 : 0);
  d.metrics.snapshots_held.set(static_cast<double>(d.snapshots));
  d.metrics.snapshot_last_time.set(d.latest ? seconds(d.latest->finished) : 0);
  d.metrics.snapshot_damaged_pages.set(d.latest ? d.latest->damaged_pages : 0);
  Timestamp first;
  for (const format::BranchRecord* branch : d.trust.branches()) {
    if (first.is_none() || branch->created < first) first = branch->created;
  }
  if (!first.is_none()) parts_.metrics.protected_since(d.name, first);
  const StreamLedger* newest = nullptr;
  for (const auto& [id, ledger] : d.streams) {
    if (!ledger.empty() && (newest == nullptr || ledger.last_server_time() > newest->last_server_time())) newest = &ledger;
  }
  if (newest != nullptr) {
    d.metrics.durable_position.set(static_cast<double>(newest->durable_end().value));
    d.metrics.durable_time.set(seconds(newest->last_server_time()));
  }
  if (d.facts_exported == d.trust.facts().size()) return;
  d.facts_exported = d.trust.facts().size();
  std::map<std::string_view, std::pair<std::size_t, Timestamp>> kinds;
  for (const format::Fact& fact : d.trust.facts()) {
    auto& [count, last] = kinds[format::fact_kind_name(fact.kind)];
    ++count;
    last = std::max(last, fact.time);
  }
  for (const auto& [kind, of] : kinds) parts_.metrics.ledger(d.name, kind, of.first, of.second);
}

/// With the database's lock held: an agent that is not heard from takes its state with it, and its recovery point grows.
void Keeper::refresh_status(Database& d, Timestamp now) {
  if (!d.status) return;
  const Duration age = now - d.status_received;
  if (age < silence_of(*d.status)) return;
  if (!std::exchange(d.status_stale, true)) d.status_row.show(d.status->fields, true);
  auto reported = d.status->fields.find("recovery_point_seconds");
  if (reported != d.status->fields.end()) d.status_row.show_one(reported->first, reported->second + seconds(age));
}

}  // namespace stele::receiver
