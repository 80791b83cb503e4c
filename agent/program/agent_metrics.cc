#include "agent/program/agent_metrics.h"

#include "agent/program/agent_program.h"
#include "agent/program/status_report.h"

namespace stele::agent {

namespace {
const std::vector<std::string> kDatabase = {"site", "database"}, kReceiver = {"site", "database", "receiver"};
}  // namespace

AgentMetrics::AgentMetrics(const config::AgentConfig& config, std::function<AgentView()> view) : config_(config), view_(std::move(view)) {
  auto& r = registry_;
  r.gauges({"stele_build_info", "1; the labels tell program and version", "", {"program", "version"}, {}}).with({"stele-agent", STELE_VERSION}).set(1);
  status_ = metrics::StatusSeries(r).of(config.name);
  ack_seconds_ = r.histograms({"stele_ack_latency_seconds", "Time from sending a signed frame to its acknowledgement", "seconds", kDatabase, {}})
                     .with({config.name.site, config.name.database});
  connected_ = r.gauges({"stele_uplink_connected", "1 while there is a session with the receiver", "", kReceiver, {}});
  refused_ = r.gauges({"stele_uplink_refused", "1 while the receiver refuses this agent: a person must act", "", kReceiver, {}});
  gap_ = r.gauges({"stele_uplink_gap", "1 when the receiver lacks log that the spool no longer has, or lost what it held: it does not count for the quorum", "", kReceiver, {}});
  position_ = r.gauges({"stele_uplink_durable_position_bytes", "End of what the receiver holds contiguously, as a position", "bytes", kReceiver, {}});
  lag_ = r.gauges({"stele_uplink_lag_bytes", "Log that the server has and this receiver lacks", "bytes", kReceiver, {}});
  reconnects_ = r.counter_copies({"stele_uplink_reconnects_total", "Sessions with the receiver that ended", "", kReceiver, {}});
  sent_ = r.counter_copies({"stele_uplink_sent_bytes_total", "Bytes of change log sent to the receiver", "bytes", kReceiver, {}});
  r.before_render([this] { refresh(); });
}

void AgentMetrics::refresh() {
  const AgentView view = view_();
  std::lock_guard lock(mutex_);
  status_.show(status_message(view, config_).fields, false);
  for (const UplinkState& uplink : view.uplinks) {
    const std::vector<std::string> labels = {config_.name.site, config_.name.database, uplink.receiver};
    const Position end = uplink.stream == view.log.stream ? std::max(uplink.durable_end, view.log.stream_begin) : view.log.stream_begin;
    connected_.with(labels).set(uplink.connected ? 1 : 0);
    refused_.with(labels).set(uplink.refused ? 1 : 0);
    gap_.with(labels).set(uplink.gap ? 1 : 0);
    position_.with(labels).set(static_cast<double>(end.value));
    lag_.with(labels).set(view.log.server_end > end ? static_cast<double>(view.log.server_end - end) : 0);
    reconnects_.with(labels).set(static_cast<double>(uplink.reconnects));
    sent_.with(labels).set(static_cast<double>(uplink.sent_bytes));
  }
}

}  // namespace stele::agent
