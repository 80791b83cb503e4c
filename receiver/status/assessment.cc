#include "receiver/status/assessment.h"

#include <nlohmann/json.hpp>

namespace stele::receiver {

using nlohmann::json;

namespace {

// As in judge.cc: a snapshot may take its time.
constexpr double kLate = 1.1;

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e6; }

Timestamp time_of(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return {};
  auto t = parse_timestamp(found->get<std::string>());
  return t.ok() ? *t : Timestamp{};
}

std::optional<double> number_of(const json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  auto found = object.find(key);
  return found != object.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

template <typename T>
void least(std::optional<T>& into, T value) { into = into ? std::min(*into, value) : value; }
template <typename T>
void most(std::optional<T>& into, T value) { into = into ? std::max(*into, value) : value; }

void add_hours(DatabaseAssessment& a, const std::vector<const HourRow*>& rows) {
  for (const HourRow* r : rows) {
    a.observed_seconds += r->observed_seconds;
    a.unrestorable_seconds += r->unrestorable_seconds;
    if (r->observed_seconds > r->unrestorable_seconds) most(a.rpo_max_seconds, r->rpo_max_seconds);
    if (r->rpo_target_seconds > 0) {
      a.judged_seconds += r->observed_seconds;
      a.within_seconds += r->within_seconds;
      least(a.rpo_target_seconds, r->rpo_target_seconds);
    }
    if (r->observed_seconds > 0) least(a.window_min_seconds, r->window_min_seconds);
    if (r->window_target_seconds > 0 && r->observed_seconds > 0) {
      ++a.window_judged_hours;
      a.window_held_hours += r->window_min_seconds >= r->window_target_seconds ? 1 : 0;
      most(a.window_target_seconds, r->window_target_seconds);
    }
  }
}

void add_snapshots(DatabaseAssessment& a, const json& database, Timestamp from, Timestamp to) {
  std::vector<Timestamp> finished;
  for (const json& s : database.at("snapshots")) {
    const Timestamp at = time_of(s, "finished");
    if (at.is_none()) continue;
    if (at >= from && at < to) {
      ++a.snapshots;
      if (!s.value("usable", false) || s.value("damaged_pages", 0) > 0) ++a.snapshots_bad;
    }
    if (at < to) finished.push_back(at);
  }
  if (finished.empty()) return;
  std::sort(finished.begin(), finished.end());
  // From the period's begin where a snapshot was there before it; a database that came later is judged from its first one.
  Timestamp last = finished.front();
  double longest = 0;
  for (const Timestamp at : finished) {
    if (at >= from) longest = std::max(longest, seconds(at - std::max(last, from)));
    last = at;
  }
  longest = std::max(longest, seconds(to - std::max(last, from)));
  a.snapshot_longest_seconds = longest;
  a.snapshot_target_seconds = number_of(database.value("targets", json()), "snapshot_interval_seconds");
  if (a.snapshot_target_seconds) a.snapshots_on_time = longest <= *a.snapshot_target_seconds * kLate;
}

void add_ledger(DatabaseAssessment& a, const json& database, Timestamp from, Timestamp to) {
  for (const json& g : database.at("gaps")) {
    const Timestamp before = time_of(g, "before"), after = time_of(g, "after");
    if ((before.is_none() || before < to) && (after.is_none() || after >= from)) ++a.gaps;
  }
  for (const json& f : database.at("facts")) {
    const Timestamp at = time_of(f, "time");
    if (at >= from && at < to) a.ledger.push_back({at, f.value("kind", ""), f.value("note", "")});
  }
  std::sort(a.ledger.begin(), a.ledger.end(), [](const auto& x, const auto& y) { return x.time < y.time; });
}

void add_drills(DatabaseAssessment& a, const json& database, Timestamp from, Timestamp to) {
  for (const json& d : database.at("drills")) {
    const Timestamp at = time_of(d, "finished");
    if (at < from || at >= to) continue;
    DatabaseAssessment::Drill drill{at, d.at("outcome").get<std::string>(), d.value("host", ""), d.value("note", ""), number_of(d, "rto_seconds"), number_of(d, "rto_target_seconds"),
                                    number_of(d, "rpo_seconds"), number_of(d, "rpo_target_seconds")};
    if (drill.outcome == "passed") ++a.drills_passed;
    if (drill.outcome == "failed") ++a.drills_failed;
    a.drills.push_back(std::move(drill));
  }
  std::stable_sort(a.drills.begin(), a.drills.end(), [](const auto& x, const auto& y) { return x.finished < y.finished; });
}

/// Pairs begins with ends. A begin that repeats (the receiver was started again) leaves the earlier one without an end.
void add_incidents(DatabaseAssessment& a, std::vector<const IncidentRow*> rows, Timestamp from, Timestamp to) {
  std::stable_sort(rows.begin(), rows.end(), [](const IncidentRow* x, const IncidentRow* y) { return x->time < y->time; });
  std::vector<Incident> all;
  std::map<std::string, std::size_t> open;
  for (const IncidentRow* r : rows) {
    if (r->began) {
      open[r->code] = all.size();
      all.push_back({r->code, r->level, r->time, std::nullopt});
    } else if (auto found = open.find(r->code); found != open.end()) {
      all[found->second].ended = r->time;
      open.erase(found);
    }
  }
  for (Incident& i : all) {
    if (i.began < to && (i.ended ? *i.ended >= from : i.began >= from || open.contains(i.code))) a.incidents.push_back(std::move(i));
  }
}

}  // namespace

std::optional<double> DatabaseAssessment::rpo_kept() const {
  if (judged_seconds == 0) return std::nullopt;
  return static_cast<double>(within_seconds) / static_cast<double>(judged_seconds);
}

std::optional<double> DatabaseAssessment::window_kept() const {
  if (window_judged_hours == 0) return std::nullopt;
  return static_cast<double>(window_held_hours) / static_cast<double>(window_judged_hours);
}

Result<Assessment> assess(const json& status, const std::vector<HourRow>& hours, const std::vector<IncidentRow>& incidents, Timestamp from, Timestamp to, Timestamp made) {
  std::map<DatabaseName, std::vector<const HourRow*>> hours_of;
  for (const HourRow& r : hours) {
    if (r.hour >= from && r.hour < to) hours_of[r.database].push_back(&r);
  }
  std::map<DatabaseName, std::vector<const IncidentRow*>> incidents_of;
  for (const IncidentRow& r : incidents) {
    if (r.time < to) incidents_of[r.database].push_back(&r);
  }
  Assessment out{"", from, to, made, {}};
  try {
    out.receiver = status.at("receiver").get<std::string>();
    for (const json& d : status.at("databases")) {
      DatabaseAssessment a;
      a.name = {d.at("site").get<std::string>(), d.at("database").get<std::string>()};
      a.title = d.value("title", "");
      a.period_seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, (to - from).count() / 1'000'000));
      add_hours(a, hours_of[a.name]);
      add_snapshots(a, d, from, to);
      add_ledger(a, d, from, to);
      add_drills(a, d, from, to);
      add_incidents(a, incidents_of[a.name], from, to);
      out.databases.push_back(std::move(a));
    }
  } catch (const json::exception& e) {
    return Error{ErrorCode::kProtocol, std::string("the receiver's status is not as expected: ") + e.what(), "are command and receiver of one version?"};
  }
  std::sort(out.databases.begin(), out.databases.end(), [](const auto& x, const auto& y) { return x.name < y.name; });
  return out;
}

std::pair<std::string, std::string> reason_name(const std::string& code) {
  static const std::map<std::string, std::pair<std::string, std::string>> kNames = {
      {"nothing_restorable", {"nothing could be restored", "无法恢复"}},
      {"open_gap", {"log behind a gap, no snapshot since", "日志缺口后尚无新快照"}},
      {"gap", {"gap in the kept log", "保存的日志有缺口"}},
      {"abandoned_branch", {"abandoned branch", "被放弃的分支"}},
      {"window_short", {"window shorter than promised", "窗口短于承诺"}},
      {"rpo", {"recovery point over its target", "恢复点超过目标"}},
      {"snapshot_late", {"snapshot late", "快照超期"}},
      {"snapshot_damaged", {"damaged pages in the snapshot", "快照中有损坏的数据页"}},
      {"agent_away", {"agent away", "代理未连接"}},
      {"not_streaming", {"agent does not stream", "代理没有接收日志流"}},
      {"degraded", {"commits without the quorum", "提交未经法定数量确认"}},
      {"spool_full", {"spool full", "代理缓存已满"}},
      {"slot_released", {"slot released, log dropped", "复制槽已放行，日志被丢弃"}},
      {"spool", {"spool filling", "代理缓存将满"}},
      {"receivers", {"receiver out of reach of the agent", "代理有接收端不可达"}},
      {"clock", {"clocks apart", "时钟偏差"}},
      {"agent_certificate", {"agent's certificate ends", "代理证书到期"}},
      {"drill_failed", {"drill failed", "演练失败"}},
      {"drill_slow", {"drill slower than its target", "演练超过 RTO 目标"}},
      {"drill_rpo", {"drill lacked more than its target", "演练缺失数据超过 RPO 目标"}},
      {"drill_late", {"drill late", "演练超期"}},
      {"drill_never", {"never drilled", "从未演练"}},
      {"drill_host", {"drill by a host that is not listed", "演练主机未列入配置"}},
      {"drill_clock", {"drill recorded in the future", "演练记录时间在未来"}},
      {"damage", {"stored bytes damaged", "存储数据损坏"}},
      {"site_limit", {"site near its limit", "站点接近存储上限"}},
      {"catalog", {"catalog not readable", "目录不可读"}},
      {"never_seen", {"nothing received yet", "尚未收到数据"}},
  };
  auto found = kNames.find(code);
  return found == kNames.end() ? std::pair(code, code) : found->second;
}

}  // namespace stele::receiver
