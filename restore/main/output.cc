#include "restore/main/output.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/base/seconds.h"
#include "core/config/cli.h"
#include "core/config/values.h"
#include "core/format/fact.h"

namespace stele::restore {

using nlohmann::json;

namespace {

std::string time_or_dash(Timestamp t) { return t.is_none() ? "-" : to_iso8601(t); }
json time_json(Timestamp t) { return t.is_none() ? json(nullptr) : json(to_iso8601(t)); }
std::string branch_label(const StreamId& stream) { return stream.hex().substr(0, 12); }

std::string_view kind_word(recovery::RecoveryKind kind) {
  switch (kind) {
    case recovery::RecoveryKind::kEndOfLog: return "end_of_log";
    case recovery::RecoveryKind::kTime: return "time";
    case recovery::RecoveryKind::kLsn: return "lsn";
    case recovery::RecoveryKind::kXid: return "xid";
    case recovery::RecoveryKind::kName: return "name";
    case recovery::RecoveryKind::kImmediate: return "immediate";
  }
  return "unknown";
}

}  // namespace

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

json to_json(const recovery::Moment& m) { return {{"lsn", m.position.to_string()}, {"time", time_json(m.time)}}; }

json to_json(const std::vector<Problem>& problems) {
  json out = json::array();
  for (const Problem& p : problems) out.push_back({{"object", p.object}, {"code", error_name(p.error.code)}, {"what", p.error.what}, {"hint", p.error.hint}});
  return out;
}

json to_json(const recovery::Survey& survey, const recovery::Facts& facts) {
  json out = {{"database", facts.database.to_string()}, {"runs", facts.runs.size()}};
  out["snapshots"] = json::array();
  for (const auto& s : survey.snapshots) {
    out["snapshots"].push_back({{"id", s.fact.id.hex()}, {"branch", s.fact.stream.hex()}, {"start_lsn", s.fact.start.to_string()}, {"stop_lsn", s.fact.stop.to_string()},
                                {"started", time_json(s.fact.started)}, {"finished", time_json(s.fact.finished)}, {"raw_bytes", s.fact.raw_bytes}, {"new_bytes", s.fact.new_bytes},
                                {"damaged_pages", s.fact.damaged_pages}, {"full", s.fact.full}, {"usable", s.usable}, {"why_not", s.why_not}});
  }
  out["windows"] = json::array();
  for (const auto& w : survey.windows) {
    out["windows"].push_back({{"branch", w.head.hex()}, {"timeline", w.timeline}, {"from", to_json(w.from)}, {"to", to_json(w.to)}, {"snapshots", w.snapshots.size()}});
  }
  out["branches"] = json::array();
  for (const auto& h : survey.heads) {
    const recovery::BranchFact* b = facts.branch(h.stream);
    out["branches"].push_back({{"branch", h.stream.hex()}, {"timeline", h.timeline}, {"lineage", h.lineage}, {"end", to_json(h.end)}, {"current", h.current}, {"continued", h.continued},
                               {"fork_lsn", b->fork.to_string()}, {"parent", b->parent.is_zero() ? json(nullptr) : json(b->parent.hex())}, {"begun", time_json(b->created)}});
  }
  out["gaps"] = json::array();
  for (const auto& g : survey.gaps) {
    out["gaps"].push_back({{"branch", g.stream.hex()}, {"begin_lsn", g.range.begin.to_string()}, {"end_lsn", g.range.end.to_string()}, {"bytes", g.range.size()},
                           {"before", time_json(g.before)}, {"after", time_json(g.after)}, {"reason", g.reason}});
  }
  out["abandoned"] = json::array();
  for (const auto& t : survey.tails) {
    out["abandoned"].push_back({{"branch", t.stream.hex()}, {"timeline", t.timeline}, {"begin_lsn", t.range.begin.to_string()}, {"end_lsn", t.range.end.to_string()},
                                {"last_commit", time_json(t.last_commit)}});
  }
  out["mismatches"] = json::array();
  for (const auto& m : survey.mismatches) {
    out["mismatches"].push_back({{"branch", m.stream.hex()}, {"lsn", m.position.to_string()}, {"before", m.before.hex()}, {"after", m.after.hex()}});
  }
  out["ledger"] = json::array();
  for (const auto& f : facts.ledger) {
    out["ledger"].push_back({{"kind", format::fact_kind_name(static_cast<format::FactKind>(f.kind))}, {"time", time_json(f.time)}, {"branch", f.stream.hex()},
                             {"begin_lsn", f.begin.to_string()}, {"end_lsn", f.end.to_string()}, {"value", f.value}, {"note", f.note}});
  }
  return out;
}

json to_json(const recovery::Plan& plan, const recovery::Facts& facts) {
  json out = {{"database", facts.database.to_string()},
              {"target", plan.target.to_string()},
              {"snapshot", {{"id", plan.snapshot.id.hex()}, {"stop_lsn", plan.snapshot.stop.to_string()}, {"finished", time_json(plan.snapshot.finished)}, {"raw_bytes", plan.snapshot.raw_bytes}}},
              {"timeline", plan.timeline},
              {"log", {{"begin_lsn", plan.log_begin.to_string()}, {"end_lsn", plan.end.to_string()}, {"raw_bytes", plan.log_raw_bytes}, {"stored_bytes", plan.log_stored_bytes},
                       {"runs", plan.runs.size()}, {"segments", plan.segments.size()}}},
              {"recovery", {{"kind", kind_word(plan.recovery.kind)}, {"value", plan.recovery.value}, {"inclusive", plan.recovery.inclusive}}},
              {"reaches", to_json(plan.reaches)},
              {"exact", plan.exact},
              {"notes", plan.notes},
              {"estimated_seconds", estimate_seconds(plan)}};
  return out;
}

std::string describe(const recovery::Survey& survey, const recovery::Facts& facts) {
  std::string out = fmt::format("{}\n", facts.database.to_string());
  cli::Table snapshots({"snapshot", "finished", "stop LSN", "size", "stored", "state"});
  for (const auto& s : survey.snapshots) {
    std::string state = s.usable ? "usable" : "not usable: " + s.why_not;
    if (s.fact.damaged_pages != 0) state += fmt::format(", {} damaged pages", s.fact.damaged_pages);
    snapshots.add({s.fact.id.hex().substr(0, 12), to_iso8601(s.fact.finished), s.fact.stop.to_string(), config::format_bytes(s.fact.raw_bytes), config::format_bytes(s.fact.new_bytes), state});
  }
  cli::Table windows({"window: branch", "timeline", "from", "to", "to LSN", "snapshots"});
  for (const auto& w : survey.windows) {
    windows.add({branch_label(w.head), std::to_string(w.timeline), time_or_dash(w.from.time), time_or_dash(w.to.time), w.to.position.to_string(), std::to_string(w.snapshots.size())});
  }
  cli::Table branches({"branch", "timeline", "begins", "ends", "as of", ""});
  for (const auto& h : survey.heads) {
    branches.add({branch_label(h.stream), std::to_string(h.timeline), facts.branch(h.stream)->fork.to_string(), h.end.position.to_string(), time_or_dash(h.end.time), h.current ? "current" : ""});
  }
  out += (survey.snapshots.empty() ? "no snapshot\n" : snapshots.to_string()) + "\n";
  out += (survey.windows.empty() ? "nothing can be restored yet\n" : windows.to_string()) + "\n";
  out += branches.to_string();
  for (const auto& g : survey.gaps) {
    out += fmt::format("gap: branch {} {} to {} ({}), {} to {}\n", branch_label(g.stream), g.range.begin.to_string(), g.range.end.to_string(), g.reason, time_or_dash(g.before), time_or_dash(g.after));
  }
  for (const auto& t : survey.tails) {
    out += fmt::format("abandoned: branch {} (timeline {}) {} to {}, last commit {}\n", branch_label(t.stream), t.timeline, t.range.begin.to_string(), t.range.end.to_string(), time_or_dash(t.last_commit));
  }
  for (const auto& m : survey.mismatches) out += fmt::format("mismatch: branch {} at {}: two histories meet\n", branch_label(m.stream), m.position.to_string());
  for (const auto& f : facts.ledger) {
    out += fmt::format("ledger: {} {} at {} {}\n", time_or_dash(f.time), format::fact_kind_name(static_cast<format::FactKind>(f.kind)), f.begin.to_string(), f.note);
  }
  return out;
}

std::string describe(const recovery::Plan& plan) {
  std::string out = fmt::format("target     {}\n", plan.target.to_string());
  out += fmt::format("snapshot   {} of {}, {}\n", plan.snapshot.id.hex().substr(0, 12), to_iso8601(plan.snapshot.finished), config::format_bytes(plan.snapshot.raw_bytes));
  out += fmt::format("log        {} to {}, {} ({} stored in {} runs), timeline {}\n", plan.log_begin.to_string(), plan.end.to_string(), config::format_bytes(plan.log_raw_bytes),
                     config::format_bytes(plan.log_stored_bytes), plan.runs.size(), plan.timeline);
  out += fmt::format("reaches    {}{}\n", plan.exact ? "" : "about ", plan.reaches.to_string());
  out += fmt::format("estimate   {}\n", config::format_duration(duration_of(estimate_seconds(plan))));
  for (const std::string& note : plan.notes) out += fmt::format("note       {}\n", note);
  return out;
}

std::string describe(const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& p : problems) out += fmt::format("problem: {}: {}\n", p.object, p.error.to_string());
  return out;
}

json to_json(const std::vector<StoredDrill>& drills) {
  json out = json::array();
  for (const StoredDrill& d : drills) {
    const format::DrillRecord& r = d.record;
    const auto seconds = [](std::uint64_t micros) { return micros == 0 ? json(nullptr) : json(static_cast<double>(micros) / 1e6); };
    out.push_back({{"id", r.drill.hex()}, {"started", time_json(r.started)}, {"finished", time_json(r.finished)}, {"outcome", format::drill_outcome_name(r.outcome)},
                   {"target", time_json(r.target)}, {"reached_lsn", r.reached.to_string()}, {"last_commit", time_json(r.last_commit)}, {"snapshot", r.snapshot.hex()},
                   {"rto_seconds", seconds(r.rto)}, {"rpo_seconds", seconds(r.rpo)}, {"rto_target_seconds", seconds(r.rto_target)}, {"rpo_target_seconds", seconds(r.rpo_target)},
                   {"checks", {{"passed", r.passed}, {"failed", r.failed}, {"skipped", r.skipped}}}, {"report", r.report.hex()}, {"note", r.note}, {"signer", to_hex(d.signer)}});
  }
  return out;
}

std::string describe(const std::vector<StoredDrill>& drills) {
  if (drills.empty()) return "no drill on record\n";
  std::string out;
  const auto line = [&](std::string_view label, const StoredDrill& d) {
    const format::DrillRecord& r = d.record;
    const auto time = [](std::uint64_t micros) { return config::format_duration(Duration(static_cast<std::int64_t>(micros))); };
    out += fmt::format("{} {} {}", label, to_iso8601(r.finished), format::drill_outcome_name(r.outcome));
    if (r.rto != 0) out += fmt::format(", RTO {} (target {}), RPO {} (target {})", time(r.rto), time(r.rto_target), time(r.rpo), time(r.rpo_target));
    out += fmt::format(", by host key {}{}\n", to_hex(d.signer).substr(0, 12), r.note.empty() ? "" : ": " + r.note);
  };
  line("last drill", drills.back());
  if (drills.back().record.outcome == format::DrillOutcomeKind::kPassed) return out;
  for (auto it = drills.rbegin(); it != drills.rend(); ++it) {
    if (it->record.outcome != format::DrillOutcomeKind::kPassed) continue;
    line("last drill that passed", *it);
    return out;
  }
  return out + "no drill on record passed\n";
}

int exit_code_of(const std::vector<Problem>& problems) {
  for (const Problem& p : problems) {
    if (exit_code(p.error.code) == 4) return 4;
  }
  return 0;
}

double estimate_seconds(const recovery::Plan& plan) {
  constexpr double kFiles = 300e6, kDecode = 400e6, kReplay = 100e6;
  const auto files = static_cast<double>(plan.snapshot.raw_bytes), log = static_cast<double>(plan.log_raw_bytes);
  return 1.0 + files / kFiles + log / kDecode + log / kReplay;
}

}  // namespace stele::restore
