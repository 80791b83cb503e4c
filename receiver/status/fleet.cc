#include "receiver/status/fleet.h"

#include "core/base/seconds.h"

namespace stele::receiver {

namespace {

// An agent's word counts as fresh this long; it speaks every few seconds.
constexpr Duration kFreshWord = std::chrono::seconds(20);
// An idle source's newest as-of is at most this old while all is well.
constexpr Duration kAsOfPatience = std::chrono::seconds(20);

}  // namespace

Level FleetStatus::level() const {
  Level level = receiver.level;
  for (const DatabaseStatus& d : databases) level = std::max(level, d.level);
  return level;
}

AgentWords agent_words(const format::StatusMessage& message, Timestamp received) {
  AgentWords out;
  out.sent = message.time;
  out.received = received;
  auto number = [&](const char* name) -> std::optional<double> {
    auto found = message.fields.find(name);
    if (found == message.fields.end() || !std::isfinite(found->second)) return std::nullopt;
    return found->second;
  };
  auto positive = [&](const char* name) {
    auto value = number(name);
    return value && *value > 0 ? value : std::nullopt;
  };
  auto time = [&](const char* name) {
    auto value = positive(name);
    return value && *value < 1e11 ? Timestamp{duration_of(*value).count()} : Timestamp{};
  };
  auto word = [&](const char* name) {
    auto found = message.labels.find(name);
    return found == message.labels.end() ? std::string() : found->second;
  };
  out.lag_bytes = number("lag_bytes");
  out.spool_disk_bytes = number("spool_disk_bytes");
  out.spool_limit_bytes = positive("spool_limit_bytes");
  out.snapshot_failures = number("snapshot_failures");
  out.receivers_configured = number("receivers_configured");
  out.receivers_connected = number("receivers_connected");
  out.quorum = number("quorum");
  out.rpo_target = positive("rpo_target_seconds");
  out.rto_target = positive("rto_target_seconds");
  out.snapshot_interval_target = positive("snapshot_interval_target_seconds");
  out.window_target = positive("window_target_seconds");
  out.drill_interval_target = positive("drill_interval_target_seconds");
  out.certificate_not_after = time("certificate_expiry_timestamp_seconds");
  out.last_snapshot = time("snapshot_last_success_timestamp_seconds");
  out.streaming = number("streaming").value_or(0) > 0;
  out.degraded = number("degraded").value_or(0) > 0;
  out.spool_full = number("spool_full").value_or(0) > 0;
  out.slot_released = number("slot_released").value_or(0) > 0;
  out.snapshot_running = number("snapshot_running").value_or(0) > 0;
  out.version = word("version");
  out.server_version = word("server_version");
  out.ack = word("ack");
  return out;
}

std::optional<double> recovery_point_seconds(const DatabaseStatus& d, Timestamp now) {
  if (d.recoverable_to.is_none()) return std::nullopt;
  const Duration behind = std::max(Duration(0), now - d.recoverable_to);
  const bool caught_up = d.connected && d.current_branch_recoverable && d.agent && now - d.agent->received <= kFreshWord && d.agent->streaming &&
                         d.agent->lag_bytes == 0.0 && behind <= kAsOfPatience;
  return caught_up ? 0 : static_cast<double>(behind.count()) / 1e6;
}

void apply_survey(DatabaseStatus& d, std::shared_ptr<const recovery::Survey> survey) {
  d.survey = std::move(survey);
  d.windows.clear();
  d.recoverable_from = d.recoverable_to = {};
  d.current_branch_recoverable = false;
  if (!d.survey) return;
  d.windows = d.survey->windows;
  const recovery::Window* best = nullptr;
  for (recovery::Window& w : d.windows) {
    bool open = true;  // nothing is held behind its end
    for (const StreamFacts& s : d.streams) {
      if (s.stream != w.head) continue;
      for (const PositionRange& r : s.ranges) {
        if (w.to.position < r.begin || w.to.position > r.end) continue;
        w.to.position = r.end;
        if (r.end == s.acknowledged) w.to.time = std::max(w.to.time, s.last_as_of);
        open = r.end == s.acknowledged;
      }
    }
    const bool current = d.survey->current == w.head;
    if (best == nullptr || std::pair(current, w.to.time) >= std::pair(d.survey->current == best->head, best->to.time)) {
      best = &w;
      d.current_branch_recoverable = current && open;
    }
  }
  if (best == nullptr) return;
  d.recoverable_from = best->from.time;
  d.recoverable_to = best->to.time;
}

void apply_drills(DatabaseStatus& d, std::shared_ptr<const DrillLog> drills, Timestamp now) {
  d.drills = std::move(drills);
  d.drill.reset();
  d.drill_passed = {};
  if (!d.drills) return;
  if (const DrillFacts* last = last_drill(*d.drills, now)) d.drill = *last;
  if (const DrillFacts* passed = last_passed_drill(*d.drills, now)) d.drill_passed = passed->finished;
}

}  // namespace stele::receiver
