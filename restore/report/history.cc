#include "restore/report/history.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "restore/main/key_output.h"
#include "restore/report/signed_report.h"

namespace stele::restore {
namespace {

using nlohmann::json;

std::optional<double> seconds_in(const json& report, const char* name) {
  const json& value = report.at(name);
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

/// Throws what nlohmann throws when the report is not shaped like one.
EarlierDrill read_one(const json& report) {
  EarlierDrill out;
  if (auto finished = parse_timestamp(report.at("finished").get<std::string>()); finished.ok()) out.finished = *finished;
  out.passed = report.at("passed").get<bool>();
  out.target = report.at("target").get<std::string>();
  out.rto = seconds_in(report, "rto_seconds");
  out.rpo = seconds_in(report, "rpo_seconds");
  for (const json& key : report.at("keys")) {
    if (auto epoch = parse_timestamp(key.at("newest_epoch").get<std::string>()); epoch.ok()) out.keys[key.at("name").get<std::string>()] = *epoch;
  }
  return out;
}

}  // namespace

Timestamp History::last_success() const {
  for (auto it = drills.rbegin(); it != drills.rend(); ++it) {
    if (it->passed) return it->finished;
  }
  return {};
}

History read_history(const std::string& directory, const DatabaseName& database, const crypto::VerifyKey& host) {
  namespace fs = std::filesystem;
  History out;
  std::error_code ec;
  const std::string prefix = report_prefix(database);
  for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".json")) continue;
    auto text = read_small_file(it->path().string(), kMaxReportBytes);
    auto signature = read_small_file(it->path().string() + ".sig", kMaxSignatureBytes);
    if (!text.ok() || !signature.ok() || !verify_report(*text, as_text(*signature), &host).ok()) {
      ++out.refused;
      continue;
    }
    try {
      const json report = json::parse(as_text(*text));
      if (report.at("database") == database.to_string()) out.drills.push_back(read_one(report));
    } catch (const json::exception&) {
      ++out.refused;
    }
  }
  std::sort(out.drills.begin(), out.drills.end(), [](const EarlierDrill& a, const EarlierDrill& b) { return a.finished < b.finished; });
  return out;
}

}  // namespace stele::restore
