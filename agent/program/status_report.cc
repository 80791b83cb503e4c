#include "agent/program/status_report.h"

#include <nlohmann/json.hpp>

#include "core/base/seconds.h"
#include "core/config/cli.h"
#include "core/config/values.h"

namespace stele::agent {

namespace {

constexpr double kMicros = 1e6;

double seconds(Timestamp t) { return static_cast<double>(t.micros) / kMicros; }
double seconds(Duration d) { return static_cast<double>(d.count()) / kMicros; }

std::uint64_t lag_bytes(const AgentView& view) {
  return view.log.server_end > view.off_site_end ? view.log.server_end - view.off_site_end : 0;
}

/// stele_slot_state of monitoring/METRICS.md.
double slot_state(const SlotState& slot) {
  if (slot.name.empty()) return 0;
  if (slot.invalidated()) return 4;
  switch (slot.wal_status) {
    case WalStatus::kExtended: return 2;
    case WalStatus::kUnreserved: return 3;
    case WalStatus::kLost: return 4;
    case WalStatus::kUnknown:
    case WalStatus::kReserved: break;
  }
  return 1;
}

}  // namespace

Position off_site_end(const AgentView& view, int quorum) {
  std::vector<Position> held;
  for (const UplinkState& uplink : view.uplinks) {
    held.push_back(uplink.stream == view.log.stream ? std::max(uplink.durable_end, view.log.stream_begin) : view.log.stream_begin);
  }
  if (held.empty()) return {};
  std::sort(held.begin(), held.end(), std::greater<>());
  return held[std::clamp<std::size_t>(static_cast<std::size_t>(std::max(quorum, 1)), 1, held.size()) - 1];
}

double recovery_point_seconds(const AgentView& view) {
  if (lag_bytes(view) == 0 && view.log.streaming) return 0;
  return std::max(0.0, seconds(view.now - view.off_site_time));
}

namespace {

std::map<std::string, double> status_fields(const AgentView& view, const config::AgentConfig& config) {
  std::map<std::string, double> f;
  auto number = [](auto value) { return static_cast<double>(value); };
  f["streaming"] = view.log.streaming ? 1 : 0;
  f["generation"] = number(view.generation.value);
  f["timeline"] = view.log.timeline;
  f["server_position_bytes"] = number(view.log.server_end.value);
  f["sealed_position_bytes"] = number(view.log.sealed_end.value);
  f["off_site_position_bytes"] = number(view.off_site_end.value);
  f["confirmed_position_bytes"] = number(view.log.confirmed.value);
  f["lag_bytes"] = number(lag_bytes(view));
  f["recovery_point_seconds"] = recovery_point_seconds(view);
  f["last_commit_timestamp_seconds"] = seconds(view.log.last_commit);
  f["frames_sealed_total"] = number(view.log.frames);
  f["log_raw_bytes_total"] = number(view.log.raw_bytes);
  f["log_sealed_bytes_total"] = number(view.log.sealed_bytes);
  if (view.log.streaming) f["source_clock_difference_seconds"] = seconds(view.log.clock_difference);
  for (const auto& [reason, count] : view.log.reconnects) f["reconnects_" + reason] = number(count);
  f["spool_bytes"] = number(view.spool_bytes);
  f["spool_disk_bytes"] = number(view.spool_disk_bytes);
  f["spool_limit_bytes"] = number(view.spool_capacity);
  f["spool_full"] = view.log.spool_full ? 1 : 0;
  f["spool_failed"] = view.spool_failed ? 1 : 0;
  f["slot_released"] = view.log.released ? 1 : 0;
  if (view.log.slot) {
    f["slot_state"] = slot_state(*view.log.slot);
    f["slot_retained_bytes"] = number(view.log.slot->retained);
    if (view.log.slot->safe_wal_size) f["slot_safe_bytes"] = number(*view.log.slot->safe_wal_size);
  }
  f["degraded"] = view.log.degraded ? 1 : 0;
  f["quorum"] = config.policy.quorum;
  f["receivers_configured"] = number(view.uplinks.size());
  f["receivers_connected"] = number(std::count_if(view.uplinks.begin(), view.uplinks.end(), [](const UplinkState& u) { return u.connected; }));
  f["receivers_refusing"] = number(std::count_if(view.uplinks.begin(), view.uplinks.end(), [](const UplinkState& u) { return u.refused; }));
  f["gaps_total"] = number(view.log.gaps);
  f["forks_total"] = number(view.log.forks);
  f["abandoned_branches_total"] = number(view.log.abandoned);
  f["rpo_target_seconds"] = seconds(config.targets.rpo);
  f["rto_target_seconds"] = seconds(config.targets.rto);
  f["snapshot_interval_target_seconds"] = seconds(config.targets.snapshot_interval);
  f["window_target_seconds"] = seconds(config.targets.window);
  f["drill_interval_target_seconds"] = seconds(config.targets.drill_interval);
  f["snapshot_running"] = view.snapshot.running ? 1 : 0;
  f["snapshot_failures"] = view.snapshot.failures;
  f["snapshot_last_success_timestamp_seconds"] = view.snapshot.last_success ? seconds(*view.snapshot.last_success) : 0;
  if (view.snapshot.last) {
    f["snapshot_duration_seconds"] = seconds(view.snapshot.last->finished - view.snapshot.last->started);
    f["snapshot_raw_bytes"] = number(view.snapshot.last->raw_bytes);
    f["snapshot_compressed_bytes"] = number(view.snapshot.last->new_bytes);
    f["snapshot_sent_bytes"] = number(view.snapshot.last->sent_bytes);
    f["snapshot_damaged_pages"] = view.snapshot.last->damaged_pages;
  }
  if (!view.log.epoch_created.is_none()) f["epoch_created_timestamp_seconds"] = seconds(view.log.epoch_created);
  f["epoch_max_age_seconds"] = seconds(config.epoch.max_age);
  f["enrolment_timestamp_seconds"] = seconds(view.enrolled);
  f["recovery_keys"] = number(view.recovery_keys);
  f["certificate_expiry_timestamp_seconds"] = seconds(view.tls.certificate_not_after);
  f["ca_expiry_timestamp_seconds"] = seconds(view.tls.ca_not_after);
  if (view.tls.has_crl && !view.tls.crl_next_update.is_none()) f["crl_next_update_timestamp_seconds"] = seconds(view.tls.crl_next_update);
  f["tls_reload_failed"] = view.tls.reload_error.empty() ? 0 : 1;
  f["agent_start_timestamp_seconds"] = seconds(view.started);
  f["status_interval_seconds"] = seconds(config.status_interval);
  f["log_lines_dropped_total"] = number(view.log_lines_dropped);
  return f;
}

}  // namespace

format::StatusMessage status_message(const AgentView& view, const config::AgentConfig& config) {
  format::StatusMessage m;
  m.database = config.name;
  m.stream = view.log.stream;
  m.generation = view.generation;
  m.time = view.now;
  m.fields = status_fields(view, config);
  m.labels["version"] = STELE_VERSION;
  m.labels["server_version"] = std::to_string(view.log.server_version);
  m.labels["ack"] = config.policy.ack == config::AckPolicy::kSpool ? "spool" : "receivers";
  return m;
}

std::vector<Reason> reasons(const AgentView& view, const config::AgentConfig& config) {
  Reasons out;
  auto en = [](Duration d) { return config::format_duration(d); };
  auto zh = [](Duration d) { return config::format_duration_zh(d); };
  // What a library or a peer said of a failure is quoted as it is.
  auto with = [](std::string text, std::string_view separator, const std::string& cause) { return cause.empty() ? text : std::move(text) + std::string(separator) + cause; };
  if (!view.log.streaming) {
    out.critical("not_streaming", with("the agent does not stream from the database", ": ", view.log.last_error), with("代理没有从数据库接收日志流", "：", view.log.last_error));
  }
  if (view.log.degraded) out.critical("degraded", "commits are confirmed without the quorum (degraded)", "提交未经法定数量接收端确认（已降级）");
  if (view.spool_failed) out.critical("spool_failed", "a write or a sync of the spool failed", "代理缓存写入或落盘失败");
  if (view.log.released) {
    out.critical("slot_released", "the spool is full and the slot is released: the source drops log that nobody holds",
                 "代理缓存已满且复制槽已放行：源端正在丢弃尚未异地保存的日志");
  } else if (view.log.spool_full) {
    out.critical("spool_full", "the spool is full: the source is held back", "代理缓存已满：源端日志被滞留");
  } else if (view.spool_capacity != 0 && view.spool_disk_bytes > view.spool_capacity / 2) {
    const std::uint64_t percent = 100 * view.spool_disk_bytes / view.spool_capacity;
    out.warning("spool", fmt::format("the spool is {} % full", percent), fmt::format("代理缓存已用 {}%", percent));
  }
  const double behind = recovery_point_seconds(view);
  if (config.targets.rpo > Duration(0) && behind > seconds(config.targets.rpo)) {
    const Duration lost = duration_of(behind);
    out.critical("rpo", fmt::format("the recovery point is {} ago, the target is {}", en(lost), en(config.targets.rpo)),
                 fmt::format("恢复点落后 {}，目标为 {}", zh(lost), zh(config.targets.rpo)));
  }
  std::size_t connected = 0;
  for (const UplinkState& u : view.uplinks) {
    connected += u.connected ? 1 : 0;
    if (u.gap) out.warning("receiver_gap", fmt::format("receiver {} has a gap in the log or lost what it held: it does not count until a snapshot is committed there", u.receiver),
                           fmt::format("接收端 {} 的日志有缺口或已丢失所持内容：在该处提交新快照之前不计入法定数量", u.receiver));
    if (!u.connected) {
      out.warning("receiver_away", with(fmt::format("receiver {} is away", u.receiver), ": ", u.last_error), with(fmt::format("接收端 {} 未连接", u.receiver), "：", u.last_error));
    }
  }
  if (connected < static_cast<std::size_t>(std::max(0, config.policy.quorum))) {
    out.critical("receivers", fmt::format("{} of {} receivers are connected, the quorum is {}", connected, view.uplinks.size(), config.policy.quorum),
                 fmt::format("已连接 {}/{} 个接收端，法定数量为 {}", connected, view.uplinks.size(), config.policy.quorum));
  }
  if (view.snapshot.last_error) {
    const std::string cause = view.snapshot.last_error->to_string();
    out.warning("snapshot_failed", "the last snapshot failed: " + cause, "最近一次快照失败：" + cause);
  }
  if (!view.snapshot.last_success) {
    out.warning("no_snapshot", "there is no snapshot yet: nothing can be restored", "尚无快照：目前无法恢复");
  } else if (config.targets.snapshot_interval > Duration(0) && !view.snapshot.running) {
    const Duration age = view.now - *view.snapshot.last_success, interval = config.targets.snapshot_interval;
    if (age > interval / 10 * 11) {
      out.add(age > 2 * interval ? Level::kCritical : Level::kWarning, "snapshot_late", fmt::format("the last snapshot is {} old, one is due every {}", en(age), en(interval)),
              fmt::format("最新快照已有 {}，应每 {}一次", zh(age), zh(interval)));
    }
  }
  if (!view.tls.certificate_not_after.is_none()) {
    const Duration left = view.tls.certificate_not_after - view.now;
    if (left <= Duration(0)) {
      out.critical("agent_certificate", "the agent's certificate has expired", "代理证书已过期");
    } else if (left < std::chrono::hours(24 * 30)) {
      out.add(left < std::chrono::hours(24 * 7) ? Level::kCritical : Level::kWarning, "agent_certificate", "the agent's certificate expires in " + en(left),
              fmt::format("代理证书将在 {}后到期", zh(left)));
    }
  }
  return out.worst_first();
}

std::string status_json(const AgentView& view, const config::AgentConfig& config) {
  const format::StatusMessage message = status_message(view, config);
  nlohmann::ordered_json out;
  out["database"] = config.name.to_string();
  const std::vector<Reason> wrong = reasons(view, config);
  out["state"] = level_word(worst(wrong));
  out["reasons"] = nlohmann::ordered_json::array();
  for (const Reason& r : wrong) out["reasons"].push_back({{"level", level_word(r.level)}, {"code", r.code}, {"en", r.en}, {"zh", r.zh}});
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

std::string status_text(const std::string& json, const cli::Painter& paint, std::string_view language) {
  const auto in = nlohmann::json::parse(json, nullptr, false);
  if (in.is_discarded()) return json;
  std::string out;
  auto colour = [](const std::string& level) { return level == "ok" ? cli::Paint::kGreen : level == "warning" ? cli::Paint::kYellow : cli::Paint::kRed; };
  auto line = [&](std::string_view name, const std::string& value) { out += paint(cli::Paint::kDim, fmt::format("{:<16}", name)) + " " + cli::printable(value) + "\n"; };
  const std::string state = in["state"];
  out += paint(cli::Paint::kBold, in["database"].get<std::string>()) + "  " + paint(colour(state), state) + "  " + in["time"].get<std::string>() + "\n";
  for (const auto& r : in["reasons"]) out += "  " + paint(colour(r["level"]), cli::printable(r[std::string(language)].get<std::string>())) + "\n";
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
