#include "receiver/metrics/receiver_metrics.h"

namespace stele::receiver {

namespace {

constexpr std::size_t kMaxAgentFields = 256;

metrics::MetricDefinition def(std::string name, std::string help, std::string unit = "", std::vector<std::string> labels = {}) {
  metrics::MetricDefinition d;
  d.name = std::move(name);
  d.help = std::move(help);
  d.unit = std::move(unit);
  d.labels = std::move(labels);
  return d;
}

const std::vector<std::string> kDatabase = {"site", "database"};

std::string unit_of(const std::string& field) {
  for (std::string_view unit : {"seconds", "bytes", "ratio"}) {
    if (field.ends_with("_" + std::string(unit))) return std::string(unit);
  }
  return "";
}

}  // namespace

ReceiverMetrics::ReceiverMetrics(metrics::MetricRegistry& r) : registry_(&r) {
  auto build = r.gauges(def("stele_build_info", "1; the labels tell program and version.", "", {"program", "version"}));
  build.with({"stele-receiver", STELE_VERSION}).set(1);
  start_time = r.gauge(def("stele_receiver_start_time_seconds", "When the receiver started, Unix time.", "seconds"));
  journal_live = r.gauge(def("stele_receiver_journal_live_bytes", "Journal files with frames that are not in runs yet.", "bytes"));
  journal_capacity = r.gauge(def("stele_receiver_journal_limit_bytes", "Most bytes the journal may take (journal.max_bytes).", "bytes"));
  journal_failed = r.gauge(def("stele_receiver_journal_failed", "1 after a failed write or sync, until one succeeds."));
  journal_abandoned = r.counter(def("stele_receiver_journal_abandoned_files_total", "Journal files given up after a failed write or sync."));
  store_free = r.gauge(def("stele_receiver_store_free_bytes", "Free space of the store's disk.", "bytes"));
  disk_reserve = r.gauge(def("stele_receiver_store_reserve_bytes", "Free space that no site can take (store.disk_reserve).", "bytes"));
  certificate_expiry = r.gauge(def("stele_receiver_certificate_expiry_seconds", "When the receiver's certificate ends, Unix time.", "seconds"));
  ca_expiry = r.gauge(def("stele_receiver_ca_expiry_seconds", "When the first certificate authority ends, Unix time.", "seconds"));
  crl_next_update = r.gauge(def("stele_receiver_crl_next_update_seconds", "When a new revocation list is due, Unix time; 0: none.", "seconds"));
  connections = r.gauge(def("stele_receiver_connections", "Sessions now."));
  connections_refused = r.counter(def("stele_receiver_connections_refused_total", "Connections turned away before a session began."));
  stored_objects = r.gauge(def("stele_receiver_stored_objects_bytes", "Bytes of all objects in the store.", "bytes"));
  damaged = r.counter(def("stele_receiver_damage_total", "Stored bytes found damaged or missing: journal ranges and objects."));
  catalog_rebuilds = r.counter(def("stele_receiver_catalog_rebuilds_total", "Catalogs set aside and made anew from the store."));
  seal_failures = r.counter(def("stele_receiver_seal_failures_total", "Runs that could not be stored and are tried again."));
  refused_ = r.counters(def("stele_receiver_refused_total", "Messages and sessions refused, by reason.", "", {"reason"}));
  bytes_ = r.counters(def("stele_receiver_frame_bytes_total", "Bytes of frames made durable.", "bytes", kDatabase));
  frames_ = r.counters(def("stele_receiver_frames_total", "Frames made durable.", "", kDatabase));
  duplicates_ = r.counters(def("stele_receiver_duplicate_frames_total", "Frames that were held already.", "", kDatabase));
  packs_ = r.counters(def("stele_receiver_packs_total", "Packs stored.", "", kDatabase));
  pack_bytes_ = r.counters(def("stele_receiver_pack_bytes_total", "Bytes of packs stored.", "bytes", kDatabase));
  chunks_ = r.counters(def("stele_receiver_chunks_total", "Chunks stored.", "", kDatabase));
  sealed_ = r.counters(def("stele_receiver_sealed_runs_total", "Runs put into the store.", "", kDatabase));
  snapshots_ = r.counters(def("stele_receiver_snapshots_total", "Snapshots committed.", "", kDatabase));
  forks_ = r.counters(def("stele_receiver_forks_total", "Frames refused because their history is not the held one.", "", kDatabase));
  gaps_ = r.counters(def("stele_receiver_gaps_total", "Objects that began behind what is held.", "", kDatabase));
  auto latency = def("stele_receiver_ack_latency_seconds", "From a signed frame's arrival to its acknowledgement.", "seconds", kDatabase);
  ack_latency_ = r.histograms(latency);
  durable_ = r.gauges(def("stele_receiver_durable_position_bytes", "Newest durable position of the newest stream.", "bytes", kDatabase));
  server_time_ = r.gauges(def("stele_receiver_last_server_time_seconds", "The source's clock at the newest durable frame, Unix time.", "seconds", kDatabase));
  open_runs_ = r.gauges(def("stele_receiver_open_runs", "Objects with frames in the journal only.", "", kDatabase));
  open_bytes_ = r.gauges(def("stele_receiver_open_run_bytes", "Bytes of frames in the journal only.", "bytes", kDatabase));
  generation_ = r.gauges(def("stele_receiver_highest_generation", "Highest generation that opened a stream.", "", kDatabase));
  status_time_ = r.gauges(def("stele_receiver_last_status_seconds", "When the agent's last status message came, Unix time.", "seconds", kDatabase));
  alarm_ = r.gauges(def("stele_receiver_recipients_alarm", "1 when an epoch is sealed to other keys than the authority's list.", "", kDatabase));
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
  m.ack_latency = ack_latency_.with(labels);
  m.durable_position = durable_.with(labels);
  m.last_server_time = server_time_.with(labels);
  m.open_runs = open_runs_.with(labels);
  m.open_run_bytes = open_bytes_.with(labels);
  m.highest_generation = generation_.with(labels);
  m.last_status_time = status_time_.with(labels);
  m.recipients_alarm = alarm_.with(labels);
  return m;
}

void ReceiverMetrics::agent_field(const DatabaseName& database, const std::string& field, double value) {
  if (registry_ == nullptr) return;
  std::lock_guard lock(mutex_);
  auto it = agent_fields_.find(field);
  if (it == agent_fields_.end()) {
    if (agent_fields_.size() >= kMaxAgentFields) return;
    // The agent's counters are gauges here: only counters may end in _total.
    const std::string name = field.ends_with("_total") ? field.substr(0, field.size() - 6) : field;
    auto d = def("stele_agent_" + name, "As the agent says in its status message.", unit_of(name), kDatabase);
    it = agent_fields_.emplace(field, registry_->gauges(d)).first;
  }
  it->second.with({database.site, database.database}).set(value);
}

}  // namespace stele::receiver
