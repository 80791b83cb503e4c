#include "agent/program/status_report.h"

#include <nlohmann/json.hpp>

#include "core/config/cli.h"
#include "core/config/values.h"

namespace stele::agent {

namespace {

constexpr double kMicros = 1e6;

double seconds(Timestamp t) { return static_cast<double>(t.micros) / kMicros; }
double seconds(Duration d) { return static_cast<double>(d.count()) / kMicros; }

/// What the quorum holds of the stream; the spool's end under ack = "spool".
Position off_site_end(const AgentView& view) {
  Position best;
  for (const UplinkState& uplink : view.uplinks) {
    if (uplink.stream == view.log.stream) best = std::max(best, uplink.durable_end);
  }
  return best;
}

std::uint64_t lag_bytes(const AgentView& view) {
  const Position end = off_site_end(view);
  return view.log.server_end > end ? view.log.server_end - end : 0;
}

}  // namespace

double recovery_point_seconds(const AgentView& view) {
  if (lag_bytes(view) == 0 && view.log.streaming) return 0;
  if (view.log.last_commit.is_none()) return view.log.server_time.is_none() ? 0 : std::max(0.0, seconds(view.now - view.log.server_time));
  return std::max(0.0, seconds(view.now - view.log.last_commit));
}

format::StatusMessage status_message(const AgentView& view, const config::AgentConfig& config) {
  format::StatusMessage m;
  m.database = config.name;
  m.stream = view.log.stream;
  m.generation = view.generation;
  m.time = view.now;
  auto& f = m.fields;
  f["streaming"] = view.log.streaming ? 1 : 0;
  f["timeline"] = view.log.timeline;
  f["server_position_bytes"] = static_cast<double>(view.log.server_end.value);
  f["sealed_position_bytes"] = static_cast<double>(view.log.sealed_end.value);
  f["confirmed_position_bytes"] = static_cast<double>(view.log.confirmed.value);
  f["lag_bytes"] = static_cast<double>(lag_bytes(view));
  f["recovery_point_seconds"] = recovery_point_seconds(view);
  f["last_commit_timestamp_seconds"] = seconds(view.log.last_commit);
  f["spool_bytes"] = static_cast<double>(view.spool_bytes);
  f["spool_disk_bytes"] = static_cast<double>(view.spool_disk_bytes);
  f["spool_limit_bytes"] = static_cast<double>(view.spool_capacity);
  f["spool_full"] = view.log.spool_full ? 1 : 0;
  f["degraded"] = view.log.degraded ? 1 : 0;
  f["gaps"] = static_cast<double>(view.log.gaps);
  f["forks"] = static_cast<double>(view.log.forks);
  std::size_t connected = 0;
  for (const UplinkState& uplink : view.uplinks) connected += uplink.connected ? 1 : 0;
  f["receivers_configured"] = static_cast<double>(view.uplinks.size());
  f["receivers_connected"] = static_cast<double>(connected);
  f["quorum"] = config.policy.quorum;
  f["certificate_expiry_timestamp_seconds"] = seconds(view.tls.certificate_not_after);
  f["snapshot_running"] = view.snapshot.running ? 1 : 0;
  f["snapshot_failures"] = view.snapshot.failures;
  if (view.snapshot.last_success) f["snapshot_last_success_timestamp_seconds"] = seconds(*view.snapshot.last_success);
  if (view.snapshot.last) {
    f["snapshot_duration_seconds"] = seconds(view.snapshot.last->finished - view.snapshot.last->started);
    f["snapshot_raw_bytes"] = static_cast<double>(view.snapshot.last->raw_bytes);
    f["snapshot_sent_bytes"] = static_cast<double>(view.snapshot.last->sent_bytes);
    f["snapshot_damaged_pages"] = view.snapshot.last->damaged_pages;
  }
  f["rpo_target_seconds"] = seconds(config.targets.rpo);
  f["rto_target_seconds"] = seconds(config.targets.rto);
  f["snapshot_interval_target_seconds"] = seconds(config.targets.snapshot_interval);
  f["window_target_seconds"] = seconds(config.targets.window);
  m.labels["version"] = STELE_VERSION;
  m.labels["server_version"] = std::to_string(view.log.server_version);
  m.labels["ack"] = config.policy.ack == config::AckPolicy::kSpool ? "spool" : "receivers";
  return m;
}

std::vector<Trouble> troubles(const AgentView& view, const config::AgentConfig& config) {
  std::vector<Trouble> out;
  auto critical = [&](std::string text) { out.push_back({true, std::move(text)}); };
  auto warning = [&](std::string text) { out.push_back({false, std::move(text)}); };
  auto passed = [](Duration d) { return config::format_duration(d); };
  if (!view.log.streaming) critical("the agent does not stream from the database" + (view.log.last_error.empty() ? "" : ": " + view.log.last_error));
  if (view.log.degraded) critical("commits are confirmed without the quorum (degraded)");
  if (view.spool_failed) critical("a write or a sync of the spool failed");
  if (view.log.spool_full) critical("the spool is full: the source is held back");
  else if (view.spool_capacity != 0 && view.spool_disk_bytes > view.spool_capacity / 2) {
    warning(fmt::format("the spool is {} % full", 100 * view.spool_disk_bytes / view.spool_capacity));
  }
  const double behind = recovery_point_seconds(view);
  if (config.targets.rpo > Duration(0) && behind > seconds(config.targets.rpo)) {
    critical(fmt::format("the recovery point is {} ago, the target is {}", passed(Duration(static_cast<std::int64_t>(behind * kMicros))), passed(config.targets.rpo)));
  }
  std::size_t connected = 0;
  for (const UplinkState& u : view.uplinks) {
    connected += u.connected ? 1 : 0;
    if (u.gap) warning(fmt::format("receiver {} has a gap in the log", u.receiver));
    if (!u.connected) warning(fmt::format("receiver {} is away{}", u.receiver, u.last_error.empty() ? "" : ": " + u.last_error));
  }
  if (connected < static_cast<std::size_t>(std::max(0, config.policy.quorum))) {
    critical(fmt::format("{} of {} receivers are connected, the quorum is {}", connected, view.uplinks.size(), config.policy.quorum));
  }
  if (view.snapshot.last_error) warning("the last snapshot failed: " + view.snapshot.last_error->to_string());
  if (!view.snapshot.last_success) {
    warning("there is no snapshot yet: nothing can be restored");
  } else if (config.targets.snapshot_interval > Duration(0) && !view.snapshot.running) {
    const Duration age = view.now - *view.snapshot.last_success, late = config.targets.snapshot_interval / 10 * 11;
    if (age > late) out.push_back({age > 2 * config.targets.snapshot_interval, fmt::format("the last snapshot is {} old, one is due every {}", passed(age), passed(config.targets.snapshot_interval))});
  }
  if (!view.tls.certificate_not_after.is_none()) {
    const Duration left = view.tls.certificate_not_after - view.now;
    if (left <= Duration(0)) critical("the agent's certificate has expired");
    else if (left < std::chrono::hours(24 * 30)) out.push_back({left < std::chrono::hours(24 * 7), "the agent's certificate expires in " + passed(left)});
  }
  std::stable_sort(out.begin(), out.end(), [](const Trouble& a, const Trouble& b) { return a.critical && !b.critical; });
  return out;
}

std::string status_json(const AgentView& view, const config::AgentConfig& config) {
  const format::StatusMessage message = status_message(view, config);
  nlohmann::ordered_json out;
  out["database"] = config.name.to_string();
  const std::vector<Trouble> wrong = troubles(view, config);
  out["state"] = wrong.empty() ? "ok" : wrong.front().critical ? "critical" : "warning";
  out["reasons"] = nlohmann::ordered_json::array();
  for (const Trouble& t : wrong) out["reasons"].push_back({{"level", t.critical ? "critical" : "warning"}, {"en", t.text}});
  out["stream"] = view.log.stream.hex();
  out["generation"] = view.generation.value;
  out["time"] = to_iso8601(view.now);
  out["host"] = view.log.host;
  out["timeline"] = view.log.timeline;
  out["streaming"] = view.log.streaming;
  out["server_end"] = view.log.server_end.to_string();
  out["sealed_end"] = view.log.sealed_end.to_string();
  out["confirmed"] = view.log.confirmed.to_string();
  out["degraded"] = view.log.degraded;
  out["last_error"] = view.log.last_error;
  out["recovery_point_seconds"] = recovery_point_seconds(view);
  out["spool"] = {{"bytes", view.spool_bytes}, {"disk_bytes", view.spool_disk_bytes}, {"limit_bytes", view.spool_capacity},
                  {"full", view.log.spool_full}, {"failed", view.spool_failed}};
  out["receivers"] = nlohmann::ordered_json::array();
  for (const UplinkState& u : view.uplinks) {
    out["receivers"].push_back({{"name", u.receiver}, {"connected", u.connected}, {"durable_end", u.durable_end.to_string()}, {"gap", u.gap},
                                {"refused", u.refused}, {"reconnects", u.reconnects}, {"error", u.last_error}});
  }
  auto& snapshot = out["snapshot"];
  snapshot["running"] = view.snapshot.running;
  snapshot["phase"] = to_string(view.snapshot.phase);
  snapshot["failures"] = view.snapshot.failures;
  snapshot["last_success"] = view.snapshot.last_success ? to_iso8601(*view.snapshot.last_success) : "";
  snapshot["last_error"] = view.snapshot.last_error ? view.snapshot.last_error->to_string() : "";
  snapshot["next"] = view.snapshot.next ? to_iso8601(*view.snapshot.next) : "";
  auto& fields = out["fields"];
  for (const auto& [name, value] : message.fields) fields[name] = value;
  return out.dump(2);
}

std::string status_text(const std::string& json, const cli::Painter& paint) {
  const auto in = nlohmann::json::parse(json, nullptr, false);
  if (in.is_discarded()) return json;
  std::string out;
  auto colour = [](const std::string& level) { return level == "ok" ? cli::Paint::kGreen : level == "warning" ? cli::Paint::kYellow : cli::Paint::kRed; };
  auto line = [&](std::string_view name, const std::string& value) { out += paint(cli::Paint::kDim, fmt::format("{:<16}", name)) + " " + cli::printable(value) + "\n"; };
  const std::string state = in["state"];
  out += paint(cli::Paint::kBold, in["database"].get<std::string>()) + "  " + paint(colour(state), state) + "  " + in["time"].get<std::string>() + "\n";
  for (const auto& r : in["reasons"]) out += "  " + paint(colour(r["level"]), cli::printable(r["en"].get<std::string>())) + "\n";
  line("source", fmt::format("{}, timeline {}, {}", in["host"].get<std::string>(), in["timeline"].get<int>(),
                             in["streaming"].get<bool>() ? "streaming" : "NOT STREAMING: " + in["last_error"].get<std::string>()));
  line("log", fmt::format("server at {}, sealed to {}, confirmed to {}", in["server_end"].get<std::string>(),
                          in["sealed_end"].get<std::string>(), in["confirmed"].get<std::string>()));
  line("recovery point", fmt::format("{:.1f} s behind{}", in["recovery_point_seconds"].get<double>(),
                                     in["degraded"].get<bool>() ? ", DEGRADED: commits are confirmed without the quorum" : ""));
  line("spool", fmt::format("{} of {}{}", config::format_bytes(in["spool"]["disk_bytes"].get<std::uint64_t>()),
                            config::format_bytes(in["spool"]["limit_bytes"].get<std::uint64_t>()),
                            in["spool"]["full"].get<bool>() ? ", FULL: the source is held back" : ""));
  for (const auto& r : in["receivers"]) {
    line("receiver", fmt::format("{}: {}, holds the log to {}{}", r["name"].get<std::string>(),
                                 r["connected"].get<bool>() ? "connected" : "AWAY: " + r["error"].get<std::string>(),
                                 r["durable_end"].get<std::string>(), r["gap"].get<bool>() ? ", with a GAP" : ""));
  }
  const auto& s = in["snapshot"];
  const std::string last = s["last_success"];
  line("snapshot", fmt::format("{}{}{}", last.empty() ? "NONE YET" : "last " + last,
                               s["running"].get<bool>() ? ", running: " + s["phase"].get<std::string>() : "",
                               s["last_error"].get<std::string>().empty() ? "" : ", last try FAILED: " + s["last_error"].get<std::string>()));
  return out;
}

}  // namespace stele::agent
