#include "agent/program/agent_metrics.h"

#include "agent/program/agent_program.h"
#include "agent/program/status_report.h"
#include "core/config/log.h"

namespace stele::agent {

namespace {

/// The fields of the status message are the agent's gauges: one list, exported here as stele_FIELD and by receivers for their sites.
struct FieldHelp {
  const char* name;
  const char* unit;
  const char* help;
};
constexpr FieldHelp kFields[] = {
    {"streaming", "", "1 while the change log is being received"},
    {"timeline", "", "PostgreSQL timeline that is being streamed"},
    {"server_position_bytes", "bytes", "End of the server's log as last heard, as a position"},
    {"sealed_position_bytes", "bytes", "End of the last sealed frame, as a position"},
    {"confirmed_position_bytes", "bytes", "Position reported to PostgreSQL as durable"},
    {"lag_bytes", "bytes", "Log that the server has and no receiver holds"},
    {"recovery_point_seconds", "seconds", "Age of the newest commit that is durable off-site; 0 when idle and caught up"},
    {"last_commit_timestamp_seconds", "seconds", "Time of the newest commit that was sealed"},
    {"spool_bytes", "bytes", "Sealed bytes that receivers still lack"},
    {"spool_disk_bytes", "bytes", "Disk space of spool files in use"},
    {"spool_limit_bytes", "bytes", "Configured limit of the spool"},
    {"spool_full", "", "1 while the spool is full and the source is held back"},
    {"degraded", "", "1 while commits are confirmed without the quorum"},
    {"gaps", "", "Gaps in the change log recorded since the start"},
    {"forks", "", "Forks of the history recorded since the start"},
    {"receivers_configured", "", "Receivers in the configuration"},
    {"receivers_connected", "", "Receivers with a live session"},
    {"quorum", "", "Receivers that must hold a commit"},
    {"certificate_expiry_timestamp_seconds", "seconds", "When the agent's certificate expires"},
    {"snapshot_running", "", "1 while a snapshot is being taken"},
    {"snapshot_failures", "", "Failed tries since the last snapshot that succeeded"},
    {"snapshot_last_success_timestamp_seconds", "seconds", "When the last snapshot was committed; absent when there is none"},
    {"snapshot_duration_seconds", "seconds", "Duration of the last snapshot"},
    {"snapshot_raw_bytes", "bytes", "Size of all files of the last snapshot"},
    {"snapshot_sent_bytes", "bytes", "Bytes sent for the last snapshot"},
    {"snapshot_damaged_pages", "", "Pages of the last snapshot whose checksum failed"},
    {"rpo_target_seconds", "seconds", "Configured target for the recovery point"},
    {"rto_target_seconds", "seconds", "Configured target for the recovery time"},
    {"snapshot_interval_target_seconds", "seconds", "Configured target for the time between snapshots"},
    {"window_target_seconds", "seconds", "Configured target for the recoverable window"},
};

}  // namespace

AgentMetrics::AgentMetrics(const AgentProgram& program) : program_(program) {
  ack_seconds_ = registry_.histogram({"stele_ack_latency_seconds", "Time from sending a signed frame to its acknowledgement", "seconds", {}, {}});
  receiver_connected_ = registry_.gauges({"stele_receiver_connected", "1 while there is a session with the receiver", "", {"receiver"}, {}});
  receiver_position_ = registry_.gauges(
      {"stele_receiver_durable_position_bytes", "End of what the receiver holds contiguously, as a position", "bytes", {"receiver"}, {}});
  receiver_lag_ = registry_.gauges({"stele_receiver_lag_bytes", "Log that the server has and this receiver lacks", "bytes", {"receiver"}, {}});
  receiver_reconnects_ = registry_.gauges({"stele_receiver_reconnects", "Sessions with the receiver that ended", "", {"receiver"}, {}});
  reconnects_ = registry_.gauges({"stele_source_reconnects", "Streams from PostgreSQL that ended, by reason", "", {"reason"}, {}});
  frames_ = registry_.gauge({"stele_frames_sealed", "Frames sealed since the start", "", {}, {}});
  raw_bytes_ = registry_.gauge({"stele_log_raw_bytes", "Log bytes received since the start", "bytes", {}, {}});
  sealed_bytes_ = registry_.gauge({"stele_log_sealed_bytes", "Sealed bytes since the start: compressed, encrypted, with headers", "bytes", {}, {}});
  log_lines_dropped_ = registry_.gauge({"stele_log_lines_dropped", "Lines of the program's log that were lost", "", {}, {}});
  registry_.gauges({"stele_build_info", "Version of the program", "", {"version"}, {}}).with({STELE_VERSION}).set(1);
  registry_.before_render([this] { refresh(); });
}

void AgentMetrics::refresh() {
  const AgentView view = program_.view();
  const format::StatusMessage message = status_message(view, program_.config());
  for (const FieldHelp& field : kFields) {
    auto value = message.fields.find(field.name);
    if (value == message.fields.end()) continue;
    auto [gauge, added] = fields_.try_emplace(field.name);
    if (added) gauge->second = registry_.gauge({"stele_" + std::string(field.name), field.help, field.unit, {}, {}});
    gauge->second.set(value->second);
  }
  for (const UplinkState& uplink : view.uplinks) {
    receiver_connected_.with({uplink.receiver}).set(uplink.connected ? 1 : 0);
    const Position end = uplink.stream == view.log.stream ? uplink.durable_end : Position{};
    receiver_position_.with({uplink.receiver}).set(static_cast<double>(end.value));
    receiver_lag_.with({uplink.receiver}).set(view.log.server_end > end ? static_cast<double>(view.log.server_end - end) : 0);
    receiver_reconnects_.with({uplink.receiver}).set(static_cast<double>(uplink.reconnects));
  }
  for (const auto& [reason, count] : view.log.reconnects) reconnects_.with({reason}).set(static_cast<double>(count));
  frames_.set(static_cast<double>(view.log.frames));
  raw_bytes_.set(static_cast<double>(view.log.raw_bytes));
  sealed_bytes_.set(static_cast<double>(view.log.sealed_bytes));
  log_lines_dropped_.set(static_cast<double>(log::dropped_lines()));
}

}  // namespace stele::agent
