#include <fmt/format.h>

#include "receiver/status/assessment.h"

namespace stele::receiver {

namespace {

/// RFC 4180; text that a spreadsheet would take for a formula is made text.
std::string cell(std::string_view text) {
  std::string out = "\"";
  if (!text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out + "\"";
}

std::string number(const std::optional<double>& value, int digits = 0) { return value ? fmt::format("{:.{}f}", *value, digits) : ""; }

constexpr std::string_view kMark = "\xEF\xBB\xBF";

}  // namespace

std::string assessment_csv(const Assessment& a) {
  std::string out(kMark);
  out +=
      "site,database,title,from,to,observed_ratio,rpo_kept_ratio,rpo_max_seconds,rpo_target_seconds,unrestorable_seconds,snapshots,snapshots_unusable_or_damaged,"
      "snapshot_longest_interval_seconds,snapshot_interval_target_seconds,snapshots_on_time,drills,drills_passed,drills_failed,drill_last,drill_last_outcome,drill_last_rto_seconds,drill_last_rto_target_seconds,drill_last_rpo_seconds,"
      "drill_last_rpo_target_seconds,window_kept_ratio,window_min_seconds,window_target_seconds,"
      "gaps,incidents,critical_incidents,ledger_entries\r\n";
  for (const DatabaseAssessment& d : a.databases) {
    const auto critical = std::count_if(d.incidents.begin(), d.incidents.end(), [](const Incident& i) { return i.level == Level::kCritical; });
    const DatabaseAssessment::Drill last = d.drills.empty() ? DatabaseAssessment::Drill{} : d.drills.back();
    out += fmt::format("{},{},{},{},{},{:.4f},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n", cell(d.name.site), cell(d.name.database), cell(d.title), to_iso8601(a.from),
                       to_iso8601(a.to), d.seen(), number(d.rpo_kept(), 4), number(d.rpo_max_seconds, 1), number(d.rpo_target_seconds), d.observed_seconds == 0 ? "" : std::to_string(d.unrestorable_seconds), d.snapshots,
                       d.snapshots_bad, number(d.snapshot_longest_seconds), number(d.snapshot_target_seconds), d.snapshots_on_time ? (*d.snapshots_on_time ? "yes" : "no") : "",
                       d.drills.size(), d.drills_passed, d.drills_failed, last.finished.is_none() ? "" : to_iso8601(last.finished), last.outcome, number(last.rto_seconds, 1),
                       number(last.rto_target_seconds), number(last.rpo_seconds, 1), number(last.rpo_target_seconds), number(d.window_kept(), 4), number(d.window_min_seconds), number(d.window_target_seconds), d.gaps, d.incidents.size(), critical,
                       d.ledger.size());
  }
  return out;
}

std::string incidents_csv(const Assessment& a) {
  std::string out(kMark);
  out += "site,database,level,code,began,ended,seconds\r\n";
  for (const DatabaseAssessment& d : a.databases) {
    for (const Incident& i : d.incidents) {
      out += fmt::format("{},{},{},{},{},{},{}\r\n", cell(d.name.site), cell(d.name.database), level_word(i.level), cell(i.code), to_iso8601(i.began), i.ended ? to_iso8601(*i.ended) : "",
                         i.ended ? std::to_string((*i.ended - i.began).count() / 1'000'000) : "");
    }
  }
  return out;
}

}  // namespace stele::receiver
