#include "receiver/status/report.h"

#include <nlohmann/json.hpp>

namespace stele::receiver {

using nlohmann::json;

namespace {

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json stream_json(const StreamFacts& s) {
  json out = {{"stream", s.stream.hex()},
              {"acknowledged", s.acknowledged.to_string()},
              {"contiguous_from", s.contiguous_from.to_string()},
              {"in_store", s.in_store.to_string()},
              {"last_as_of", time_or_null(s.last_as_of)},
              {"generation", s.generation.value}};
  if (s.timeline != 0) {
    out["timeline"] = s.timeline;
    out["lineage"] = std::to_string(s.lineage);
  }
  json gaps = json::array();
  for (std::size_t i = 1; i < s.ranges.size(); ++i) gaps.push_back({{"from", s.ranges[i - 1].end.to_string()}, {"to", s.ranges[i].begin.to_string()}});
  out["gaps"] = std::move(gaps);
  return out;
}

json moment_json(const recovery::Moment& m) { return {{"position", m.position.to_string()}, {"time", time_or_null(m.time)}}; }

json agent_json(const AgentWords& a) {
  return {{"sent", time_or_null(a.sent)},
          {"received", time_or_null(a.received)},
          {"streaming", a.streaming},
          {"degraded", a.degraded},
          {"spool_full", a.spool_full},
          {"slot_released", a.slot_released},
          {"spool_disk_bytes", or_null(a.spool_disk_bytes)},
          {"spool_limit_bytes", or_null(a.spool_limit_bytes)},
          {"lag_bytes", or_null(a.lag_bytes)},
          {"receivers_configured", or_null(a.receivers_configured)},
          {"receivers_connected", or_null(a.receivers_connected)},
          {"quorum", or_null(a.quorum)},
          {"ack", a.ack},
          {"snapshot_running", a.snapshot_running},
          {"snapshot_failures", or_null(a.snapshot_failures)},
          {"certificate_not_after", time_or_null(a.certificate_not_after)},
          {"version", a.version},
          {"server_version", a.server_version}};
}

json drill_json(const DrillFacts& d) {
  return {{"started", time_or_null(d.started)},
          {"finished", time_or_null(d.finished)},
          {"outcome", format::drill_outcome_name(d.outcome)},
          {"rto_seconds", or_null(d.rto_seconds)},
          {"rto_target_seconds", or_null(d.rto_target_seconds)},
          {"rpo_seconds", or_null(d.rpo_seconds)},
          {"rpo_target_seconds", or_null(d.rpo_target_seconds)},
          {"checks", {{"passed", d.checks_passed}, {"failed", d.checks_failed}, {"skipped", d.checks_skipped}}},
          {"host", d.host},
          {"note", d.note}};
}

json targets_json(const std::optional<AgentWords>& a) {
  if (!a) return nullptr;
  return {{"rpo_seconds", or_null(a->rpo_target)}, {"rto_seconds", or_null(a->rto_target)}, {"snapshot_interval_seconds", or_null(a->snapshot_interval_target)},
          {"window_seconds", or_null(a->window_target)}, {"drill_interval_seconds", or_null(a->drill_interval_target)}};
}

void add_survey(json& out, const DatabaseStatus& d) {
  json snapshots = json::array(), gaps = json::array(), branches = json::array(), windows = json::array(), tails = json::array();
  for (const recovery::Window& w : d.windows) {
    windows.push_back({{"from", moment_json(w.from)}, {"to", moment_json(w.to)}, {"timeline", w.timeline}, {"stream", w.head.hex()},
                       {"current", d.survey->current == w.head}, {"snapshots", w.snapshots.size()}});
  }
  if (d.survey) {
    for (const recovery::SnapshotState& s : d.survey->snapshots) {
      const recovery::SnapshotFact& f = s.fact;
      snapshots.push_back({{"snapshot", f.id.hex()}, {"start", f.start.to_string()}, {"stop", f.stop.to_string()}, {"started", time_or_null(f.started)},
                           {"finished", time_or_null(f.finished)}, {"raw_bytes", f.raw_bytes}, {"new_bytes", f.new_bytes},
                           {"damaged_pages", f.damaged_pages}, {"full", f.full}, {"usable", s.usable}, {"why_not", s.why_not}});
    }
    for (const recovery::Gap& g : d.survey->gaps) {
      gaps.push_back({{"stream", g.stream.hex()}, {"from", g.range.begin.to_string()}, {"to", g.range.end.to_string()}, {"before", time_or_null(g.before)},
                      {"after", time_or_null(g.after)}, {"reason", g.reason}});
    }
    for (const recovery::BranchHead& b : d.survey->heads) {
      branches.push_back({{"stream", b.stream.hex()}, {"timeline", b.timeline}, {"lineage", std::to_string(b.lineage)}, {"end", moment_json(b.end)},
                          {"current", b.current}, {"continued", b.continued}});
    }
    for (const recovery::AbandonedTail& t : d.survey->tails) {
      tails.push_back({{"stream", t.stream.hex()}, {"timeline", t.timeline}, {"from", t.range.begin.to_string()}, {"to", t.range.end.to_string()},
                       {"last_commit", time_or_null(t.last_commit)}, {"chosen", t.chosen}});
    }
  }
  out["snapshots"] = std::move(snapshots);
  out["gaps"] = std::move(gaps);
  out["branches"] = std::move(branches);
  out["abandoned"] = std::move(tails);
  out["windows"] = std::move(windows);
}

}  // namespace

json time_or_null(Timestamp t) { return t.is_none() ? json(nullptr) : json(to_iso8601(t)); }

json reasons_json(const std::vector<Reason>& reasons) {
  json out = json::array();
  for (const Reason& r : reasons) out.push_back({{"level", level_word(r.level)}, {"code", r.code}, {"en", r.en}, {"zh", r.zh}});
  return out;
}

json database_json(const DatabaseStatus& d) {
  json out = {{"site", d.name.site}, {"database", d.name.database}, {"title", d.title}, {"state", level_word(d.level)}, {"reasons", reasons_json(d.reasons)},
              {"connected", d.connected}, {"highest_generation", d.highest_generation.value}, {"journal_bytes", d.journal_bytes}, {"open_runs", d.open_runs},
              {"enrolments", d.enrolments}, {"withdrawals", d.withdrawals}, {"epochs", d.epochs}};
  out["recovery_point_seconds"] = or_null(d.rpo_seconds);
  out["recoverable"] = {{"from", time_or_null(d.recoverable_from)}, {"to", time_or_null(d.recoverable_to)}, {"current", d.current_branch_recoverable}};
  out["targets"] = targets_json(d.agent);
  out["site_bytes"] = {{"stored", d.site_stored_bytes}, {"limit", d.site_limit_bytes}};
  if (!d.catalog_error.empty()) out["catalog_error"] = d.catalog_error;
  json streams = json::array();
  for (const StreamFacts& s : d.streams) streams.push_back(stream_json(s));
  out["streams"] = std::move(streams);
  add_survey(out, d);
  out["drill"] = d.drill ? drill_json(*d.drill) : json(nullptr);
  out["drill_passed"] = time_or_null(d.drill_passed);
  json drills = json::array();
  if (d.drills) {
    for (const DrillFacts& drill : d.drills->drills) drills.push_back(drill_json(drill));
  }
  out["drills"] = std::move(drills);
  json facts = json::array();
  for (const format::Fact& f : d.facts) {
    facts.push_back({{"kind", format::fact_kind_name(f.kind)}, {"time", time_or_null(f.time)}, {"begin", f.begin.to_string()},
                     {"end", f.end.to_string()}, {"note", f.note}});
  }
  out["facts"] = std::move(facts);
  json notices = json::array();
  for (const auto& [time, text] : d.notices) notices.push_back({{"time", time_or_null(time)}, {"text", text}});
  out["notices"] = std::move(notices);
  out["agent"] = d.agent ? agent_json(*d.agent) : json(nullptr);
  return out;
}

json receiver_json(const ReceiverStatus& r) {
  return {{"receiver", r.name},
          {"version", r.version},
          {"time", to_iso8601(r.now)},
          {"started", time_or_null(r.started)},
          {"reasons", reasons_json(r.reasons)},
          {"store", {{"free_bytes", r.store_free_bytes}, {"reserve_bytes", r.store_reserve_bytes}, {"stored_bytes", r.stored_bytes},
                     {"growth_bytes_per_second", or_null(r.growth_bytes_per_second)}, {"full_in_seconds", or_null(r.full_in_seconds)}}},
          {"journal", {{"live_bytes", r.journal_live_bytes}, {"limit_bytes", r.journal_limit_bytes}, {"failed", r.journal_failed}, {"damages", r.damages}}},
          {"certificates", {{"receiver_not_after", time_or_null(r.certificate_not_after)}, {"ca_not_after", time_or_null(r.ca_not_after)},
                            {"crl_next_update", time_or_null(r.crl_next_update)}}}};
}

json status_json(const FleetStatus& fleet) {
  json out = receiver_json(fleet.receiver);
  out["state"] = level_word(fleet.level());
  json databases = json::array();
  for (const DatabaseStatus& d : fleet.databases) databases.push_back(database_json(d));
  out["databases"] = std::move(databases);
  return out;
}

}  // namespace stele::receiver
