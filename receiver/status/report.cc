#include "receiver/status/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/config/cli.h"
#include "core/config/values.h"

namespace stele::receiver {

using nlohmann::json;

namespace {

json time_or_null(Timestamp t) { return t.is_none() ? json(nullptr) : json(to_iso8601(t)); }

std::string text_or_dash(const json& value) { return value.is_string() ? value.get<std::string>() : "-"; }

json stream_json(const StreamLedger& ledger, Position in_store, const format::BranchRecord* branch) {
  const protocol::StreamState state = ledger.state();
  json out = {{"stream", ledger.stream().hex()},
              {"acknowledged", state.durable_end.to_string()},
              {"contiguous_from", state.stored_begin.to_string()},
              {"in_store", in_store.to_string()},
              {"last_as_of", time_or_null(ledger.last_server_time())},
              {"generation", state.generation.value}};
  if (branch != nullptr) {
    out["timeline"] = branch->timeline;
    out["lineage"] = std::to_string(branch->lineage);
  }
  const auto ranges = ledger.ranges().ranges();
  json gaps = json::array();
  for (std::size_t i = 1; i < ranges.size(); ++i) gaps.push_back({{"from", ranges[i - 1].end.to_string()}, {"to", ranges[i].begin.to_string()}});
  out["gaps"] = std::move(gaps);
  return out;
}

json database_json(Database& d, Catalog& catalog, bool connected) {
  std::map<StreamId, Position> in_store;
  Status listed = catalog.visit_runs(d.name, [&](const RunEntry& run) {
    Position& end = in_store[run.name.stream];
    end = std::max(end, run.name.range.end);
  });
  auto snapshots = catalog.snapshots(d.name);
  std::lock_guard lock(d.mutex);
  json out = {{"site", d.name.site}, {"database", d.name.database}, {"connected", connected}, {"highest_generation", d.fence.highest.value}};
  if (!listed.ok()) out["catalog_error"] = listed.error().what;
  out["journal_bytes"] = d.runs.bytes();
  out["open_runs"] = d.runs.open();
  out["enrolments"] = d.trust.enrolments();
  out["withdrawals"] = d.trust.withdrawals();
  out["epochs"] = d.trust.epochs();
  json streams = json::array();
  for (const auto& [id, ledger] : d.streams) {
    if (!ledger.empty()) streams.push_back(stream_json(ledger, in_store[id], d.trust.branch(id)));
  }
  std::sort(streams.begin(), streams.end(), [](const json& a, const json& b) { return text_or_dash(a["last_as_of"]) > text_or_dash(b["last_as_of"]); });
  out["streams"] = std::move(streams);
  json shown = json::array();
  if (snapshots.ok()) {
    for (const SnapshotEntry& s : *snapshots) {
      shown.push_back({{"snapshot", s.snapshot.hex()}, {"start", s.start.to_string()}, {"stop", s.stop.to_string()}, {"finished", time_or_null(s.finished)},
                       {"raw_bytes", s.raw_bytes}, {"new_bytes", s.new_bytes}, {"damaged_pages", s.damaged_pages}, {"full", s.full}});
    }
  }
  out["snapshots"] = std::move(shown);
  json facts = json::array();
  for (const format::Fact& f : d.trust.facts()) {
    facts.push_back({{"kind", format::fact_kind_name(f.kind)}, {"time", time_or_null(f.time)}, {"begin", f.begin.to_string()},
                     {"end", f.end.to_string()}, {"note", f.note}});
  }
  out["facts"] = std::move(facts);
  json notices = json::array();
  for (const Notice& n : d.notices) notices.push_back({{"time", time_or_null(n.time)}, {"text", n.text}});
  out["notices"] = std::move(notices);
  if (d.status) out["agent"] = {{"received", time_or_null(d.status_received)}, {"fields", d.status->fields}, {"labels", d.status->labels}};
  else out["agent"] = nullptr;
  return out;
}

}  // namespace

json make_status(Keeper& keeper, Catalog& catalog, const std::string& receiver, Timestamp now,
                 const std::function<bool(const DatabaseName&)>& connected) {
  json databases = json::array();
  for (Database* d : keeper.databases()) databases.push_back(database_json(*d, catalog, connected(d->name)));
  return {{"receiver", receiver},
          {"version", STELE_VERSION},
          {"time", to_iso8601(now)},
          {"store", {{"free_bytes", keeper.free_bytes()}}},
          {"journal", {{"live_bytes", keeper.journal().live_bytes()}, {"limit_bytes", keeper.journal().capacity()},
                       {"failed", keeper.journal_failed()}, {"damages", keeper.damages()}}},
          {"databases", std::move(databases)}};
}

std::string status_table(const json& status) {
  std::string out = fmt::format("receiver {}  {}  journal {} of {} bytes{}\n", status["receiver"].get<std::string>(), status["time"].get<std::string>(),
                                status["journal"]["live_bytes"].get<std::uint64_t>(), status["journal"]["limit_bytes"].get<std::uint64_t>(),
                                status["journal"]["failed"].get<bool>() ? "  FAILED" : "");
  cli::Table table({"DATABASE", "AGENT", "TIMELINE", "ACKNOWLEDGED", "IN STORE", "LAST AS-OF", "SNAPSHOTS", "GENERATION", "GAPS", "FACTS"});
  for (const json& d : status["databases"]) {
    const std::string name = d["site"].get<std::string>() + "/" + d["database"].get<std::string>();
    const std::string agent = d["connected"].get<bool>() ? "connected" : "away";
    bool first = true;
    for (const json& s : d["streams"]) {
      table.add({first ? name : "", first ? agent : "", s.contains("timeline") ? std::to_string(s["timeline"].get<int>()) : "-",
                 s["acknowledged"].get<std::string>(), s["in_store"].get<std::string>(), text_or_dash(s["last_as_of"]),
                 first ? std::to_string(d["snapshots"].size()) : "", first ? std::to_string(d["highest_generation"].get<std::uint64_t>()) : "",
                 std::to_string(s["gaps"].size()), first ? std::to_string(d["facts"].size()) : ""});
      first = false;
    }
    if (first) table.add({name, agent, "-", "-", "-", "-", std::to_string(d["snapshots"].size()), std::to_string(d["highest_generation"].get<std::uint64_t>()), "-", std::to_string(d["facts"].size())});
  }
  out += table.to_string();
  for (const json& d : status["databases"]) {
    for (const json& n : d["notices"]) {
      out += fmt::format("{}/{}: {} {}\n", d["site"].get<std::string>(), d["database"].get<std::string>(), text_or_dash(n["time"]), n["text"].get<std::string>());
    }
  }
  return out;
}

}  // namespace stele::receiver
