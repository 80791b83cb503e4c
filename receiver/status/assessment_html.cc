#include <fmt/format.h>

#include "core/base/seconds.h"
#include "core/config/values.h"
#include "receiver/status/assessment.h"

namespace stele::receiver {

namespace {

constexpr std::string_view kUnknown = R"(<span class="unknown">不详 <i>not known</i></span>)";
constexpr std::size_t kMaxIncidents = 200;  // of one database; the CSV has them all

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string span(double seconds) { return config::format_duration(duration_of(seconds)); }
std::string span(const std::optional<double>& seconds) { return seconds ? span(*seconds) : std::string(kUnknown); }

/// A share with a bar; green only where all of it was kept.
std::string share(const std::optional<double>& value) {
  if (!value) return std::string(kUnknown);
  // Rounded down: 99.999 % is not all.
  const double percent = std::floor(*value * 1e4) / 1e2;
  const char* kind = *value >= 1 ? "good" : *value >= 0.99 ? "fair" : "bad";
  return fmt::format(R"(<span class="{}">{:.2f}%</span><svg class="bar {}" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect class="all" width="100" height="4"/><rect width="{:.2f}" height="4"/></svg>)",
                     kind, percent, kind, percent);
}

std::string two(std::string_view zh, std::string_view en) { return fmt::format("{}<i>{}</i>", zh, en); }
std::string moment(Timestamp t) { return to_iso8601(Timestamp{t.micros / 1'000'000 * 1'000'000}); }

constexpr std::string_view kStyle = R"(
:root{color-scheme:light;font:14px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;color:#17212e;background:#fff}
body{max-width:1500px;margin:24px auto;padding:0 24px}h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:28px 0 8px}
i{font-style:normal;color:#55657a;font-size:12px;display:block;font-weight:400}p i{display:inline}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{text-align:left;vertical-align:top;padding:6px 12px 6px 0;border-bottom:1px solid #d5dde8}
th{font-weight:600;border-bottom:2px solid #17212e}.good{color:#17724b}.fair{color:#8a5b00}.bad{color:#b8261f;font-weight:600}.unknown{color:#55657a}.unknown i{display:inline}
.bar{display:block;width:90px;height:5px;margin-top:3px}.bar .all{fill:#d5dde8}.bar.good{fill:#3aa57c}.bar.fair{fill:#d09a20}.bar.bad{fill:#d33a33}
.code{color:#55657a;font:12px ui-monospace,monospace}.notes li{margin-bottom:4px}details{margin:6px 0}summary{cursor:pointer}td,th{overflow-wrap:anywhere}
@media print{body{margin:0;max-width:none}details{break-inside:avoid}@page{size:A4 landscape;margin:12mm}})";

/// How many passed, and what the last one measured.
void add_drill_cell(std::string& out, const DatabaseAssessment& d) {
  if (d.drills.empty()) {
    out += "<td>无 <i>none recorded</i></td>";
    return;
  }
  const DatabaseAssessment::Drill& last = d.drills.back();
  const bool all = d.drills_passed == d.drills.size();
  out += fmt::format("<td class=\"{}\">{}/{}<i>RTO {} ≤ {}</i><i>RPO {} ≤ {}</i></td>", !all ? "bad" : last.over_target() ? "fair" : "good", d.drills_passed, d.drills.size(),
                     last.rto_seconds ? span(*last.rto_seconds) : "–", last.rto_target_seconds ? span(*last.rto_target_seconds) : "–", last.rpo_seconds ? span(*last.rpo_seconds) : "–",
                     last.rpo_target_seconds ? span(*last.rpo_target_seconds) : "–");
}

/// {class, Chinese, English}.
std::tuple<const char*, const char*, const char*> outcome_words(const DatabaseAssessment::Drill& d) {
  if (d.outcome == "passed") return d.over_target() ? std::tuple("fair", "演练通过，超出目标", "drill passed, over its target") : std::tuple("good", "演练通过", "drill passed");
  if (d.outcome == "failed") return {"bad", "演练失败", "drill failed"};
  return {"bad", "演练未能执行", "drill did not run"};
}

void add_row(std::string& out, const DatabaseAssessment& d) {
  const auto critical = std::count_if(d.incidents.begin(), d.incidents.end(), [](const Incident& i) { return i.level == Level::kCritical; });
  out += fmt::format("<tr><td><b>{}</b><br><span class=\"code\">{}</span></td>", escape(d.title.empty() ? d.name.site : d.title), escape(d.name.to_string()));
  out += fmt::format("<td>{:.1f}%</td>", std::floor(d.seen() * 1000) / 10);
  out += fmt::format("<td>{}<i>≤ {}</i></td><td>{}</td>", share(d.rpo_kept()), d.rpo_target_seconds ? span(*d.rpo_target_seconds) : "–", span(d.rpo_max_seconds));
  out += fmt::format("<td>{}{}</td>", d.snapshots, d.snapshots_bad == 0 ? "" : fmt::format("<i class=\"bad\">{} 个不可用或损坏 unusable or damaged</i>", d.snapshots_bad));
  out += fmt::format("<td class=\"{}\">{}<i>{} {}</i></td>", d.snapshots_on_time ? (*d.snapshots_on_time ? "good" : "bad") : "", d.snapshots_on_time ? (*d.snapshots_on_time ? "是 yes" : "否 no") : std::string(kUnknown),
                     "最长 longest", d.snapshot_longest_seconds ? span(*d.snapshot_longest_seconds) : "–");
  add_drill_cell(out, d);
  out += fmt::format("<td>{}<i>{} → ≥ {}</i></td>", share(d.window_kept()), d.window_min_seconds ? span(*d.window_min_seconds) : "–", d.window_target_seconds ? span(*d.window_target_seconds) : "–");
  out += fmt::format("<td>{}{}</td><td>{}</td></tr>\n", d.incidents.size(), critical == 0 ? "" : fmt::format("<i class=\"bad\">{} 严重 critical</i>", critical), d.gaps);
}

void add_details(std::string& out, const DatabaseAssessment& d) {
  if (d.incidents.empty() && d.ledger.empty() && d.drills.empty()) return;
  out += fmt::format("<details><summary>{} <span class=\"code\">{}</span></summary>\n<table><tr><th>{}</th><th>{}</th><th>{}</th></tr>\n", escape(d.title.empty() ? d.name.site : d.title),
                     escape(d.name.to_string()), two("起", "from"), two("止", "to"), two("事件", "incident"));
  for (std::size_t n = 0; n < std::min(d.incidents.size(), kMaxIncidents); ++n) {
    const Incident& i = d.incidents[n];
    const auto [en, zh] = reason_name(i.code);
    out += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"{}\">{}<i>{}</i></td></tr>\n", moment(i.began), i.ended ? moment(*i.ended) + " (" + span(static_cast<double>((*i.ended - i.began).count()) / 1e6) + ")" : std::string(kUnknown),
                       i.level == Level::kCritical ? "bad" : "fair", escape(zh), escape(en));
  }
  if (d.incidents.size() > kMaxIncidents) out += fmt::format("<tr><td colspan=\"3\">+ {} (CSV)</td></tr>\n", d.incidents.size() - kMaxIncidents);
  for (const DatabaseAssessment::Drill& drill : d.drills) {
    const auto [kind, zh, en] = outcome_words(drill);
    out += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"{}\">{} · RTO {} · RPO {}<i>{}{}{}</i></td></tr>\n", moment(drill.finished), escape(drill.host), kind, zh,
                       drill.rto_seconds ? span(*drill.rto_seconds) : "–", drill.rpo_seconds ? span(*drill.rpo_seconds) : "–", en, drill.note.empty() ? "" : ": ", escape(drill.note));
  }
  for (const DatabaseAssessment::Entry& e : d.ledger) out += fmt::format("<tr><td>{}</td><td>台账 ledger</td><td>{}<i>{}</i></td></tr>\n", moment(e.time), escape(e.kind), escape(e.note));
  out += "</table></details>\n";
}

}  // namespace

std::string assessment_html(const Assessment& a) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>Stele {} – {}</title><style>{}</style></head><body>\n",
      moment(a.from), moment(a.to), kStyle);
  out += fmt::format("<h1>数据库异地备份考核 <i>Assessment of off-site database protection</i></h1>\n<p>{} – {} (UTC) · 接收端 <i>receiver</i> {} · 生成于 <i>made</i> {}</p>\n", moment(a.from), moment(a.to),
                     escape(a.receiver), moment(a.made));
  out += "<table><thead><tr>";
  for (const auto& [zh, en] : std::initializer_list<std::pair<const char*, const char*>>{{"数据库", "database"}, {"已观察", "observed"}, {"恢复点达标", "recovery point kept"}, {"最大恢复点差距", "worst recovery point"},
                                                                                          {"快照", "snapshots"}, {"快照按时", "snapshots on time"}, {"演练通过", "drills passed; the last"},
                                                                                          {"承诺窗口保持", "promised window held"}, {"事件", "incidents"}, {"缺口", "gaps"}}) {
    out += "<th scope=\"col\">" + two(zh, en) + "</th>";
  }
  out += "</tr></thead><tbody>\n";
  for (const DatabaseAssessment& d : a.databases) add_row(out, d);
  out += "</tbody></table>\n<h2>事件、演练与台账 <i>Incidents, drills and ledger</i></h2>\n";
  for (const DatabaseAssessment& d : a.databases) add_details(out, d);
  out += R"(<h2>如何得出 <i>How this was found</i></h2>
<ul class="notes">
<li>恢复点与窗口由本接收端每 30 秒观察一次并逐小时留存；接收端未运行的时间计为“未观察”，不作任何推断。<i>The recovery point and the window were looked at every 30 seconds by this receiver and kept by the hour; time in which it did not run is not observed, and nothing is inferred for it.</i></li>
<li>比例只计已观察且代理声明了目标的时间；按签名状态消息中的目标判断。<i>Shares count observed time with a target, as the agents' signed status messages told it.</i></li>
<li>快照、缺口与台账来自存储中的签名对象；已按保留策略删除的对象不再出现，因此较早的时期可能不完整。<i>Snapshots, gaps and ledger come from signed objects in the store; what retention has removed is not shown, so an early period may be incomplete.</i></li>
<li>快照按时：相邻两次完成之间不超过目标间隔的 1.1 倍；以当前声明的间隔判断。<i>Snapshots on time: never longer apart than 1.1 times the interval that is promised now.</i></li>
<li>演练只计存储中的签名记录，RTO 与 RPO 为最近一次所测；主机见明细。本页为测量结果，不是等级认定。<i>Drills count by signed records in the store only; RTO and RPO are what the last one measured, and the details name its host. These are measurements, not a certified grade.</i></li>
</ul>
</body></html>
)";
  return out;
}

}  // namespace stele::receiver
