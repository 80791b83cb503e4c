#include "receiver/status/kept_history.h"

#include <fmt/format.h>

#include <charconv>

namespace stele::receiver {

namespace {

constexpr std::int64_t kHour = 3600ll * 1'000'000;

std::vector<std::string_view> fields(std::string_view line) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t tab = line.find('\t');
    out.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return out;
    line.remove_prefix(tab + 1);
  }
}

template <typename T>
bool number(std::string_view text, T& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool head(const std::vector<std::string_view>& f, Timestamp& time, DatabaseName& database) {
  auto t = parse_timestamp(f[0]);
  auto d = parse_database_name(f[1]);
  if (!t.ok() || !d.ok()) return false;
  time = *t;
  database = *d;
  return true;
}

}  // namespace

std::string month_of(Timestamp t) { return to_iso8601(t).substr(0, 7); }

std::string to_line(const HourRow& r) {
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{:.1f}\t{:.1f}\t{:.0f}\t{:.0f}\n", to_iso8601(r.hour), r.database.to_string(), r.observed_seconds, r.within_seconds,
                     r.unrestorable_seconds, r.rpo_max_seconds, r.rpo_target_seconds, r.window_min_seconds, r.window_target_seconds);
}

std::string to_line(const IncidentRow& r) {
  return fmt::format("{}\t{}\t{}\t{}\t{}\n", to_iso8601(r.time), r.database.to_string(), r.code, level_word(r.level), r.began ? "began" : "ended");
}

std::optional<HourRow> parse_hour_line(std::string_view line) {
  const auto f = fields(line);
  HourRow r;
  if (f.size() != 9 || !head(f, r.hour, r.database) || !number(f[2], r.observed_seconds) || !number(f[3], r.within_seconds) || !number(f[4], r.unrestorable_seconds) ||
      !number(f[5], r.rpo_max_seconds) || !number(f[6], r.rpo_target_seconds) || !number(f[7], r.window_min_seconds) || !number(f[8], r.window_target_seconds)) {
    return std::nullopt;
  }
  return r;
}

std::optional<IncidentRow> parse_incident_line(std::string_view line) {
  const auto f = fields(line);
  IncidentRow r;
  if (f.size() != 5 || !head(f, r.time, r.database) || f[2].empty() || (f[4] != "began" && f[4] != "ended")) return std::nullopt;
  r.code = f[2];
  r.level = f[3] == level_word(Level::kCritical) ? Level::kCritical : Level::kWarning;
  r.began = f[4] == "began";
  return r;
}

void KeptHistory::observe(const DatabaseName& database, Timestamp now, std::uint32_t seconds, const Sight& sight) {
  const Timestamp hour{now.micros / kHour * kHour};
  auto [it, fresh] = hours_.try_emplace({database, hour});
  HourRow& row = it->second;
  if (fresh) {
    row.hour = hour;
    row.database = database;
    row.window_min_seconds = sight.window_seconds;
  }
  row.observed_seconds += seconds;
  if (!sight.rpo_seconds) row.unrestorable_seconds += seconds;
  else {
    row.rpo_max_seconds = std::max(row.rpo_max_seconds, *sight.rpo_seconds);
    if (sight.rpo_target_seconds && *sight.rpo_seconds <= *sight.rpo_target_seconds) row.within_seconds += seconds;
  }
  row.rpo_target_seconds = sight.rpo_target_seconds.value_or(row.rpo_target_seconds);
  row.window_target_seconds = sight.window_target_seconds.value_or(row.window_target_seconds);
  row.window_min_seconds = std::min(row.window_min_seconds, sight.window_seconds);
  if (sight.reasons == nullptr) return;
  auto& open = open_[database];
  std::map<std::string, Timestamp> still;
  for (const Reason& r : *sight.reasons) {
    auto known = open.find(r.code);
    if (known == open.end() && !still.contains(r.code)) incidents_.push_back({now, database, r.code, r.level, true});
    still.emplace(r.code, known == open.end() ? now : known->second);
  }
  for (const auto& [code, since] : open) {
    if (!still.contains(code)) incidents_.push_back({now, database, code, Level::kWarning, false});
  }
  open = std::move(still);
}

std::vector<HourRow> KeptHistory::take_hours(Timestamp now, bool everything) {
  std::vector<HourRow> out;
  const Timestamp current{now.micros / kHour * kHour};
  for (auto it = hours_.begin(); it != hours_.end();) {
    if (!everything && it->first.second >= current) {
      ++it;
      continue;
    }
    out.push_back(it->second);
    it = hours_.erase(it);
  }
  return out;
}

std::vector<IncidentRow> KeptHistory::take_incidents() { return std::exchange(incidents_, {}); }

const std::map<std::string, Timestamp>& KeptHistory::open_reasons(const DatabaseName& database) const {
  static const std::map<std::string, Timestamp> kNone;
  auto found = open_.find(database);
  return found == open_.end() ? kNone : found->second;
}

}  // namespace stele::receiver
