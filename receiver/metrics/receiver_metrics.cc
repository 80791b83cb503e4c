#include "receiver/metrics/receiver_metrics.h"

namespace stele::receiver {

namespace {

metrics::MetricDefinition def(std::string name, std::string help, std::string unit = "", std::vector<std::string> labels = {}) {
  metrics::MetricDefinition d;
  d.name = "stele_receiver_" + std::move(name);
  d.help = std::move(help);
  d.unit = std::move(unit);
  d.labels = std::move(labels);
  d.max_series = metrics::kMaxDatabases;
  return d;
}

const std::vector<std::string> kDatabase = {"site", "database"}, kLedger = {"site", "database", "kind"};
constexpr std::size_t kLedgerKinds = 16;

double seconds(Timestamp t) { return static_cast<double>(t.micros) / 1e6; }

std::optional<double> moment(Timestamp t) { return t.is_none() ? std::nullopt : std::optional(seconds(t)); }

}  // namespace

ReceiverMetrics::ReceiverMetrics(metrics::MetricRegistry& r) : registry_(&r), status_(r) {
  r.gauges({"stele_build_info", "1; the labels tell program and version", "", {"program", "version"}, {}}).with({"stele-receiver", STELE_VERSION}).set(1);
  start_time = r.gauge(def("start_timestamp_seconds", "When the receiver started", "seconds"));
  journal_live = r.gauge(def("journal_live_bytes", "Journal files with frames that are not in runs yet", "bytes"));
  journal_capacity = r.gauge(def("journal_limit_bytes", "Most bytes that the journal may take (journal.max_bytes)", "bytes"));
  journal_failed = r.gauge(def("journal_failed", "1 after a failed write or sync, until one succeeds"));
  journal_abandoned = r.counter_copy(def("journal_abandoned_files_total", "Journal files given up after a failed write or sync"));
  store_free = r.gauge(def("store_free_bytes", "Free space of the store's disk", "bytes"));
  disk_reserve = r.gauge(def("store_reserve_bytes", "Free space that no site can take (store.disk_reserve)", "bytes"));
  certificate_expiry = r.gauge(def("certificate_expiry_timestamp_seconds", "When the receiver's certificate expires", "seconds"));
  ca_expiry = r.gauge(def("ca_expiry_timestamp_seconds", "When the first authority that the receiver believes expires", "seconds"));
  crl_next_update = r.gauge(def("crl_next_update_timestamp_seconds", "When the receiver's revocation list is out of date; 0: no list", "seconds"));
  tls_reload_failed = r.gauge(def("tls_reload_failed", "1 while changed certificate files of the receiver cannot be used"));
  connections = r.gauge(def("connections", "Sessions now"));
  connections_refused = r.counter(def("connections_refused_total", "Connections turned away before a session began"));
  stored_objects = r.gauge(def("stored_objects_bytes", "Bytes of all objects in the store", "bytes"));
  catalog_rebuilds = r.counter(def("catalog_rebuilds_total", "Catalogs set aside and made anew from the store"));
  seal_failures = r.counter(def("seal_failures_total", "Runs that could not be stored and are tried again"));
  ack_latency = r.histogram(def("ack_latency_seconds", "From a signed frame's arrival to its acknowledgement", "seconds"));
  refused_ = r.counters(def("refused_total", "Messages and sessions refused, by reason", "", {"reason"}));
  site_stored_ = r.gauges(def("site_stored_bytes", "Bytes of the site's objects in the store", "bytes", {"site"}));
  site_limit_ = r.gauges(def("site_limit_bytes", "Most bytes that the site may store (limits.stored_bytes); absent: no limit", "bytes", {"site"}));
  bytes_ = r.counters(def("frame_bytes_total", "Bytes of frames made durable", "bytes", kDatabase));
  frames_ = r.counters(def("frames_total", "Frames made durable", "", kDatabase));
  duplicates_ = r.counters(def("duplicate_frames_total", "Frames that were held already", "", kDatabase));
  packs_ = r.counters(def("packs_total", "Packs stored", "", kDatabase));
  pack_bytes_ = r.counters(def("pack_bytes_total", "Bytes of packs stored", "bytes", kDatabase));
  chunks_ = r.counters(def("chunks_total", "Chunks stored", "", kDatabase));
  sealed_ = r.counters(def("sealed_runs_total", "Runs put into the store", "", kDatabase));
  snapshots_ = r.counters(def("snapshots_total", "Snapshots committed since the receiver's start", "", kDatabase));
  forks_ = r.counters(def("forks_total", "Frames refused because their history is not the held one", "", kDatabase));
  gaps_ = r.counters(def("gaps_total", "Objects that began behind what is held", "", kDatabase));
  damage_ = r.counters(def("damage_total", "Stored bytes found damaged or missing since the receiver's start: journal ranges and objects", "", kDatabase));
  superseded_ = r.counters(def("superseded_total", "Agents refused because another one, with a higher generation, had taken over", "", kDatabase));
  durable_ = r.gauges(def("durable_position_bytes", "Newest durable position of the newest stream", "bytes", kDatabase));
  durable_time_ = r.gauges(def("durable_timestamp_seconds", "The source's clock at the newest durable frame", "seconds", kDatabase));
  open_runs_ = r.gauges(def("open_runs", "Objects with frames in the journal only", "", kDatabase));
  open_bytes_ = r.gauges(def("open_run_bytes", "Bytes of frames in the journal only", "bytes", kDatabase));
  generation_ = r.gauges(def("highest_generation", "Highest generation that opened a stream", "", kDatabase));
  epochs_ = r.gauges(def("epochs", "Epochs (data keys) of the database whose records are held", "", kDatabase));
  mismatch_ = r.gauges(def("recipients_mismatch", "1 when the newest epoch is sealed to other keys than the authority's list says", "", kDatabase));
  connected_ = r.gauges(def("agent_connected", "1 while an agent writes the database", "", kDatabase));
  status_time_ = r.gauges(def("last_status_timestamp_seconds", "When the agent's last status message came; 0: none since the receiver's start", "seconds", kDatabase));
  clock_ = r.gauges(def("agent_clock_difference_seconds", "The agent's clock minus the receiver's, when the last status message came", "seconds", kDatabase));
  snapshots_held_ = r.gauges(def("snapshots", "Snapshots held", "", kDatabase));
  snapshot_time_ = r.gauges(def("snapshot_last_timestamp_seconds", "When the newest snapshot held was finished; 0: there is none", "seconds", kDatabase));
  snapshot_damage_ = r.gauges(def("snapshot_damaged_pages", "Pages of the newest snapshot whose checksum failed in the database", "", kDatabase));
  protected_since_ = r.gauges(def("protected_since_timestamp_seconds", "When the first branch of the database was registered; absent: never", "seconds", kDatabase));
  earliest_ = r.gauges(def("window_earliest_timestamp_seconds", "The earliest moment that can be restored; absent: none can", "seconds", kDatabase));
  latest_ = r.gauges(def("window_latest_timestamp_seconds", "The latest moment that can be restored; absent: none can", "seconds", kDatabase));
  open_gaps_ = r.gauges(def("window_open_gaps", "Holes in the log that no newer snapshot has made harmless", "", kDatabase));
  drill_time_ = r.gauges(def("drill_last_timestamp_seconds", "When the last drill whose record is held ended; absent: there is none", "seconds", kDatabase));
  drill_passed_time_ = r.gauges(def("drill_last_success_timestamp_seconds", "When the last drill that passed ended; absent: there is none", "seconds", kDatabase));
  drill_passed_ = r.gauges(def("drill_passed", "1 when the last drill passed, 0 when it failed or did not run", "", kDatabase));
  drill_rto_ = r.gauges(def("drill_rto_seconds", "Time to a checked database in the last drill; absent: not measured", "seconds", kDatabase));
  drill_rpo_ = r.gauges(def("drill_rpo_seconds", "How much of the newest commits the last drill's database lacked, in time; absent: not measured", "seconds", kDatabase));
  drill_rto_target_ = r.gauges(def("drill_rto_target_seconds", "What the last drill's RTO was measured by; absent: nothing", "seconds", kDatabase));
  drill_rpo_target_ = r.gauges(def("drill_rpo_target_seconds", "What the last drill's RPO was measured by; absent: nothing", "seconds", kDatabase));
  auto entries = def("ledger_entries", "Entries of the database's ledger, by kind", "", kLedger);
  auto newest = def("ledger_last_timestamp_seconds", "When the newest entry of the kind was made", "seconds", kLedger);
  entries.max_series = newest.max_series = metrics::kMaxDatabases * kLedgerKinds;
  ledger_entries_ = r.gauges(entries);
  ledger_time_ = r.gauges(newest);
}

DatabaseMetrics ReceiverMetrics::of(const DatabaseName& d) const {
  DatabaseMetrics m;
  if (registry_ == nullptr) return m;
  const std::vector<std::string> labels = {d.site, d.database};
  m.bytes = bytes_.with(labels);
  m.frames = frames_.with(labels);
  m.duplicate_frames = duplicates_.with(labels);
  m.packs = packs_.with(labels);
  m.pack_bytes = pack_bytes_.with(labels);
  m.chunks = chunks_.with(labels);
  m.sealed_runs = sealed_.with(labels);
  m.snapshots = snapshots_.with(labels);
  m.forks = forks_.with(labels);
  m.gaps = gaps_.with(labels);
  m.damage = damage_.with(labels);
  m.superseded = superseded_.with(labels);
  m.durable_position = durable_.with(labels);
  m.durable_time = durable_time_.with(labels);
  m.open_runs = open_runs_.with(labels);
  m.open_run_bytes = open_bytes_.with(labels);
  m.highest_generation = generation_.with(labels);
  m.epochs = epochs_.with(labels);
  m.recipients_mismatch = mismatch_.with(labels);
  m.agent_connected = connected_.with(labels);
  m.last_status_time = status_time_.with(labels);
  m.agent_clock_difference = clock_.with(labels);
  m.snapshots_held = snapshots_held_.with(labels);
  m.snapshot_last_time = snapshot_time_.with(labels);
  m.snapshot_damaged_pages = snapshot_damage_.with(labels);
  return m;
}

void ReceiverMetrics::protected_since(const DatabaseName& d, Timestamp first) const { protected_since_.with({d.site, d.database}).set(seconds(first)); }

void ReceiverMetrics::ledger(const DatabaseName& d, std::string_view kind, std::size_t entries, Timestamp newest) const {
  const std::vector<std::string> labels = {d.site, d.database, std::string(kind)};
  ledger_entries_.with(labels).set(static_cast<double>(entries));
  ledger_time_.with(labels).set(seconds(newest));
}

RestoreMetrics ReceiverMetrics::restore_of(const DatabaseName& d) const {
  const auto labels = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{d.site, d.database});
  auto passing = [&](const metrics::Labelled<metrics::Gauge>& gauge) { return metrics::Passing<metrics::Gauge>(gauge, labels); };
  RestoreMetrics m;
  m.earliest_ = passing(earliest_);
  m.latest_ = passing(latest_);
  m.open_gaps_ = passing(open_gaps_);
  m.drill_time_ = passing(drill_time_);
  m.drill_passed_time_ = passing(drill_passed_time_);
  m.drill_passed_ = passing(drill_passed_);
  m.drill_rto_ = passing(drill_rto_);
  m.drill_rpo_ = passing(drill_rpo_);
  m.drill_rto_target_ = passing(drill_rto_target_);
  m.drill_rpo_target_ = passing(drill_rpo_target_);
  return m;
}

void RestoreMetrics::window(Timestamp earliest, Timestamp latest, std::size_t open_gaps) {
  earliest_.set(moment(earliest));
  latest_.set(moment(latest));
  open_gaps_.set(static_cast<double>(open_gaps));
}

void RestoreMetrics::drill(const Drill& drill) {
  drill_time_.set(moment(drill.last));
  drill_passed_time_.set(moment(drill.last_passed));
  drill_passed_.set(drill.last.is_none() ? std::nullopt : std::optional(drill.passed ? 1.0 : 0.0));
  drill_rto_.set(drill.rto);
  drill_rpo_.set(drill.rpo);
  drill_rto_target_.set(drill.rto_target);
  drill_rpo_target_.set(drill.rpo_target);
}

void ReceiverMetrics::site(const std::string& name, std::uint64_t stored_bytes, std::uint64_t limit_bytes) const {
  site_stored_.with({name}).set(static_cast<double>(stored_bytes));
  if (limit_bytes != 0) site_limit_.with({name}).set(static_cast<double>(limit_bytes));
}

}  // namespace stele::receiver
