#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/seconds.h"
#include "core/config/cli.h"
#include "core/config/values.h"
#include "receiver/status/report.h"

namespace stele::receiver {

using nlohmann::json;

namespace {

std::string text(const json& value) { return value.is_string() ? cli::printable(value.get<std::string>()) : "-"; }

std::string duration(const json& seconds) {
  return seconds.is_number() ? config::format_duration(duration_of(seconds.get<double>())) : "-";
}

/// "2026-11-25 10:32:01" of an ISO time.
std::string moment(const json& time) {
  if (!time.is_string()) return "-";
  std::string t = time.get<std::string>().substr(0, 19);
  if (t.size() == 19) t[10] = ' ';
  return t;
}

std::string age(const json& time, const json& now) {
  if (!time.is_string()) return "none";
  auto then = parse_timestamp(time.get<std::string>()), at = parse_timestamp(now.get<std::string>());
  if (!then.ok() || !at.ok()) return "-";
  return config::format_duration(std::max(Duration(0), *at - *then)) + " ago";
}

std::string number(const json& value) { return value.is_number() ? fmt::format("{:.0f}", value.get<double>()) : "-"; }

cli::Paint colour(std::string_view state) {
  return state == "ok" ? cli::Paint::kGreen : state == "warning" ? cli::Paint::kYellow : cli::Paint::kRed;
}

int rank(const json& database) {
  const std::string state = database["state"];
  return state == "critical" ? 0 : state == "warning" ? 1 : 2;
}

std::string drill(const json& d, const json& now) {
  if (!d.is_object()) return "none";
  const std::string outcome = d["outcome"];
  std::string out = std::string(outcome == "passed" ? "passed " : outcome == "failed" ? "FAILED " : "DID NOT RUN ") + age(d["finished"], now);
  for (const auto& [word, key] : {std::pair{"RTO", "rto_seconds"}, {"RPO", "rpo_seconds"}}) {
    if (d[key].is_number()) out += fmt::format(", {} {}", word, duration(d[key]));
  }
  return out;
}

std::vector<std::string> row(const json& d, const json& now) {
  const json none;
  const json& targets = d["targets"];
  const json& newest_stream = d["streams"].empty() ? none : d["streams"][0];
  json last_snapshot;
  for (const json& s : d["snapshots"]) {
    if (s["finished"].is_string() && (last_snapshot.is_null() || s["finished"] > last_snapshot)) last_snapshot = s["finished"];
  }
  const json& agent = d["agent"];
  const std::string receivers = agent.is_object() ? fmt::format("{}/{} q{}", number(agent["receivers_connected"]), number(agent["receivers_configured"]), number(agent["quorum"])) : "-";
  return {d["state"], cli::printable(d["site"].get<std::string>() + "/" + d["database"].get<std::string>()), duration(d["recovery_point_seconds"]),
          targets.is_object() ? duration(targets["rpo_seconds"]) : "-", moment(d["recoverable"]["from"]), moment(d["recoverable"]["to"]),
          fmt::format("{}, {}", d["snapshots"].size(), age(last_snapshot, now)), drill(d["drill"], now), receivers, d["connected"].get<bool>() ? "connected" : "away",
          newest_stream.is_object() ? text(newest_stream["acknowledged"]) : "-"};
}

std::string head(const json& s, const cli::Painter& paint, const std::string& language) {
  const std::string state = s["state"];
  std::size_t wrong = 0;
  for (const json& d : s["databases"]) wrong += rank(d) < 2 ? 1 : 0;
  const json& store = s["store"];
  std::string out = fmt::format("{}  {}  {} {}, {} of {} databases need attention\n", paint(cli::Paint::kBold, "receiver " + text(s["receiver"])), moment(s["time"]) + " UTC",
                                state == "ok" ? "all is well:" : "state", paint(colour(state), state), wrong, s["databases"].size());
  out += fmt::format("store {} held, {} free{}; journal {} of {}{}; certificate until {}\n", config::format_bytes(store["stored_bytes"].get<std::uint64_t>()),
                     config::format_bytes(store["free_bytes"].get<std::uint64_t>()),
                     store["full_in_seconds"].is_number() ? ", full in " + duration(store["full_in_seconds"]) : "",
                     config::format_bytes(s["journal"]["live_bytes"].get<std::uint64_t>()), config::format_bytes(s["journal"]["limit_bytes"].get<std::uint64_t>()),
                     s["journal"]["failed"].get<bool>() ? " FAILED" : "", moment(s["certificates"]["receiver_not_after"]).substr(0, 10));
  for (const json& r : s["reasons"]) out += fmt::format("  {} {}\n", paint(colour(r["level"].get<std::string>()), r["level"].get<std::string>()), text(r[language]));
  return out;
}

}  // namespace

std::string status_screen(const json& status, const cli::Painter& paint, std::size_t rows, std::string_view chosen) {
  const std::string language(chosen);
  std::vector<const json*> order;
  for (const json& d : status["databases"]) order.push_back(&d);
  std::stable_sort(order.begin(), order.end(), [](const json* a, const json* b) { return rank(*a) < rank(*b); });
  std::string out = head(status, paint, language) + "\n";
  const auto used = static_cast<std::size_t>(std::count(out.begin(), out.end(), '\n')) + 3;
  std::size_t lines = used, shown = 0;
  cli::Table table({"STATE", "DATABASE", "RPO", "TARGET", "RESTORABLE FROM", "TO (UTC)", "SNAPSHOTS", "DRILL", "RECEIVERS", "AGENT", "LOG HELD TO"});
  for (const json* d : order) {
    const std::size_t need = 1 + (*d)["reasons"].size();
    // Problems are shown whatever the screen's size; what is well is cut.
    if (rows != 0 && rank(*d) == 2 && lines + need > rows) break;
    lines += need;
    ++shown;
    table.add(row(*d, status["time"]));
  }
  const std::string lined = table.to_string();
  std::size_t at = lined.find('\n') + 1;
  out += paint(cli::Paint::kDim, lined.substr(0, at - 1)) + "\n";
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t end = lined.find('\n', at);
    const std::string state = (*order[i])["state"];
    out += paint(colour(state), state) + lined.substr(at + state.size(), end - at - state.size()) + "\n";
    for (const json& r : (*order[i])["reasons"]) out += "          " + paint(colour(r["level"].get<std::string>()), text(r[language])) + "\n";
    at = end + 1;
  }
  if (shown < order.size()) out += fmt::format("and {} more databases, all ok\n", order.size() - shown);
  for (const json& d : status["databases"]) {
    for (const json& n : d["notices"]) out += fmt::format("{}/{}: {} {}\n", text(d["site"]), text(d["database"]), moment(n["time"]), text(n["text"]));
  }
  return out;
}

}  // namespace stele::receiver
