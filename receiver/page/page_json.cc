#include "receiver/page/page_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "receiver/status/report.h"

namespace stele::receiver {

using nlohmann::json;

namespace {

constexpr Duration kSparkSpan = std::chrono::hours(6), kChartSpan = std::chrono::hours(24);
constexpr std::size_t kSparkPoints = 72, kChartPoints = 720;
// A time line on a screen has no room for more; the newest are kept.
constexpr std::size_t kMaxMarks = 120;

json epoch(Timestamp t) { return t.is_none() ? json(nullptr) : json(t.micros / 1'000'000); }

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

bool visible(std::string_view site, const DatabaseName& name) { return site == "*" || site == name.site; }

Timestamp newest_snapshot(const DatabaseStatus& d) {
  Timestamp newest;
  if (d.survey) {
    for (const recovery::SnapshotState& s : d.survey->snapshots) newest = std::max(newest, s.fact.finished);
  }
  return newest;
}

json short_json(const DatabaseStatus& d) {
  json out = {{"site", d.name.site}, {"database", d.name.database}, {"title", d.title}, {"state", level_word(d.level)}, {"connected", d.connected},
              {"from", epoch(d.recoverable_from)}, {"to", epoch(d.recoverable_to)}, {"caught_up", d.rpo_seconds == 0.0}, {"snapshot", epoch(newest_snapshot(d))},
              {"snapshots", d.survey ? d.survey->snapshots.size() : 0}};
  out["reasons"] = reasons_json(d.reasons);
  if (d.agent) {
    out["receivers"] = {or_null(d.agent->receivers_connected), or_null(d.agent->receivers_configured), or_null(d.agent->quorum)};
    out["rpo_target"] = or_null(d.agent->rpo_target);
    out["certificate"] = epoch(d.agent->certificate_not_after);
  }
  if (d.drill) {
    out["drill"] = {{"at", epoch(d.drill->finished)}, {"outcome", format::drill_outcome_name(d.drill->outcome)}, {"rto", or_null(d.drill->rto_seconds)},
                    {"rto_target", or_null(d.drill->rto_target_seconds)}, {"rpo", or_null(d.drill->rpo_seconds)}, {"rpo_target", or_null(d.drill->rpo_target_seconds)}};
  }
  return out;
}

/// Numbers with at most one digit behind the point; unknown is null.
json series(const std::vector<RpoHistory::Point>& points) {
  json out = json::array();
  for (const RpoHistory::Point& p : points) out.push_back(p.seconds < 0 ? json(nullptr) : json(std::round(static_cast<double>(p.seconds) * 10) / 10));
  return out;
}

json line_json(const DatabaseStatus& d) {
  json windows = json::array(), snapshots = json::array(), gaps = json::array(), branches = json::array();
  for (const recovery::Window& w : d.windows) windows.push_back({epoch(w.from.time), epoch(w.to.time), d.survey->current == w.head ? 1 : 0});
  if (d.survey) {
    const auto& all = d.survey->snapshots;
    for (std::size_t i = all.size() > kMaxMarks ? all.size() - kMaxMarks : 0; i < all.size(); ++i) {
      snapshots.push_back({epoch(all[i].fact.finished), all[i].usable && all[i].fact.damaged_pages == 0 ? 1 : 0});
    }
    const auto& holes = d.survey->gaps;
    for (std::size_t i = holes.size() > kMaxMarks ? holes.size() - kMaxMarks : 0; i < holes.size(); ++i) gaps.push_back({epoch(holes[i].before), epoch(holes[i].after)});
  }
  for (const StreamFacts& s : d.streams) {
    if (s.branched_off && branches.size() < kMaxMarks) branches.push_back({epoch(s.branch_created), s.timeline});
  }
  return {{"site", d.name.site}, {"database", d.name.database}, {"windows", std::move(windows)}, {"snapshots", std::move(snapshots)}, {"gaps", std::move(gaps)},
          {"branches", std::move(branches)}};
}

/// Foreign text in JSON must not end the program: bytes that are no UTF-8 become a replacement character.
std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

std::string page_fleet(const FleetStatus& fleet, std::uint64_t version, std::string_view site) {
  const ReceiverStatus& r = fleet.receiver;
  json databases = json::array();
  for (const DatabaseStatus& d : fleet.databases) {
    if (visible(site, d.name)) databases.push_back(short_json(d));
  }
  return dump({{"receiver", r.name},
               {"version", r.version},
               {"lines", version},
               {"reasons", reasons_json(r.reasons)},
               {"store", {{"free", r.store_free_bytes >> 20 << 20}, {"stored", r.stored_bytes >> 20 << 20},
                          {"growth", r.growth_bytes_per_second ? json(std::round(*r.growth_bytes_per_second)) : json(nullptr)},
                          {"full_in", r.full_in_seconds ? json(std::round(*r.full_in_seconds / 600) * 600) : json(nullptr)}}},
               {"certificates", {{"receiver", epoch(r.certificate_not_after)}, {"ca", epoch(r.ca_not_after)}, {"crl", epoch(r.crl_next_update)}}},
               {"databases", std::move(databases)}});
}

std::string page_lines(FleetWatch& watch, const FleetStatus& fleet, std::string_view site) {
  json databases = json::array();
  const Timestamp now = fleet.receiver.now, from = now + (-kSparkSpan);
  for (const DatabaseStatus& d : fleet.databases) {
    if (!visible(site, d.name)) continue;
    json line = line_json(d);
    line["rpo"] = series(watch.rpo_series(d.name, from, now, kSparkPoints));
    databases.push_back(std::move(line));
  }
  return dump({{"databases", std::move(databases)}});
}

std::string page_database(FleetWatch& watch, const DatabaseStatus& d, Timestamp now) {
  json out = short_json(d);
  out["line"] = line_json(d);
  out["full"] = database_json(d);
  // The age of what is lost is the browser's to reckon; see recovery_point_seconds.
  out["full"].erase("recovery_point_seconds");
  json& drills = out["full"]["drills"];
  if (drills.size() > kMaxMarks) drills.erase(drills.begin(), drills.end() - kMaxMarks);
  const auto points = watch.rpo_series(d.name, now + (-kChartSpan), now, kChartPoints);
  json times = json::array();
  for (const RpoHistory::Point& p : points) times.push_back(epoch(p.time));
  out["rpo"] = {{"times", std::move(times)}, {"seconds", series(points)}};
  out["since"] = json::object();
  for (const auto& [code, since] : watch.open_reasons(d.name)) out["since"][code] = epoch(since);
  return dump(out);
}

}  // namespace stele::receiver
