#include "restore/report/signed_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace stele::restore {
namespace {

using nlohmann::json;

constexpr std::string_view kDomain = "stele/drill-report/1";

json time_or_null(Timestamp t) { return t.is_none() ? json(nullptr) : json(to_iso8601(t)); }
json number_or_null(const std::optional<double>& value) { return value ? json(*value) : json(nullptr); }

json counts_json(const CountComparison& counts) {
  json databases = json::array(), deviations = json::array();
  for (const CountComparison::Database& d : counts.databases) {
    if (!d.sealed) {
      databases.push_back({{"database", d.name}, {"sealed", false}});
      continue;
    }
    databases.push_back({{"database", d.name}, {"sealed", true}, {"relations", {{"sealed", d.relations_sealed}, {"found", d.relations_found}}},
                         {"tables", {{"sealed", d.tables}, {"compared", d.compared}}}, {"rows", {{"sealed", d.rows_sealed}, {"found", d.rows_found}}}, {"deviating", d.deviating}});
  }
  for (const CountDeviation& d : counts.deviations) {
    deviations.push_back({{"database", d.database}, {"schema", d.schema}, {"table", d.table}, {"problem", count_problem_name(d.problem)}, {"sealed", d.sealed}, {"found", d.found}});
  }
  return {{"sealed", counts.sealed}, {"tolerance_percent", counts.tolerance_percent}, {"databases", databases}, {"deviations", deviations}};
}

}  // namespace

json report_json(const DrillResult& r) {
  json out = {{"format", "stele-drill-report"}, {"version", 1}, {"id", r.id}, {"database", r.database.to_string()}, {"source", r.source},
              {"started", to_iso8601(r.started)}, {"finished", to_iso8601(r.finished)}, {"passed", r.passed()}, {"ran", r.ran},
              {"asked", r.asked}, {"target", r.target}, {"again", r.again}, {"notes", r.notes}};
  out["seed"] = r.seed ? json(*r.seed) : json(nullptr);
  out["problem"] = r.problem.empty() ? json(nullptr) : json({{"code", r.problem_code}, {"what", r.problem}});
  out["snapshot"] = {{"id", r.snapshot.is_zero() ? json(nullptr) : json(r.snapshot.hex())}, {"finished", time_or_null(r.snapshot_finished)}};
  out["branch"] = r.stream.is_zero() ? json(nullptr) : json(r.stream.hex());
  out["system_identifier"] = std::to_string(r.system_identifier);
  out["reached"] = {{"lsn", r.reaches_lsn}, {"time", time_or_null(r.reaches)}, {"last_commit", time_or_null(r.last_commit)}};
  out["window"] = {{"from", time_or_null(r.window_from)}, {"to", time_or_null(r.window_to)}};
  out["disaster"] = time_or_null(r.disaster);
  out["bytes"] = {{"files", r.file_bytes}, {"log", r.log_bytes}, {"stored_read", r.stored_bytes}, {"needed", r.bytes_needed}};
  out["files"] = r.files;
  for (const Phase phase : kPhases) out["phase_seconds"][std::string(phase_name(phase))] = r.seconds(phase);
  out["usable_seconds"] = r.usable_seconds;
  out["rto_seconds"] = number_or_null(r.rto);
  out["rpo_seconds"] = number_or_null(r.rpo);
  out["rto_target_seconds"] = r.rto_target;
  out["rpo_target_seconds"] = r.rpo_target;
  out["rto_kept"] = r.rto_kept();
  out["rpo_kept"] = r.rpo_kept();
  out["interval_seconds"] = r.interval;
  out["checks"] = json::array();
  for (const Check& c : r.checks) {
    out["checks"].push_back({{"name", c.name}, {"title", {{"zh", c.title_zh}, {"en", c.title_en}}}, {"result", check_result_name(c.result)}, {"detail", c.detail}, {"seconds", c.seconds}});
  }
  out["counts"] = counts_json(r.counts);
  json settings = json::object();
  for (const auto& [name, value] : r.isolation.settings) settings[name] = value;
  out["isolation"] = {{"own_network", r.isolation.own_network}, {"interfaces", r.isolation.interfaces}, {"routes", r.isolation.routes}, {"user", r.isolation.user}, {"settings", settings}};
  out["wipe"] = {{"files", r.wipe.files}, {"bytes", r.wipe.bytes}, {"nothing_left", r.wipe.nothing_left}, {"processes_left", r.wipe.processes_left}};
  out["keys"] = json::array();
  for (const ProvenKey& key : r.keys) out["keys"].push_back({{"name", key.name}, {"public_key_hash", key.public_key_hash.hex()}, {"newest_epoch", to_iso8601(key.newest_epoch)}});
  out["versions"] = json::object();
  for (const auto& [name, value] : r.versions) out["versions"][name] = value;
  out["objects"] = json::array();
  for (const DrillResult::Object& o : r.objects) out["objects"].push_back({{"name", o.name}, {"hash", o.hash}, {"bytes", o.bytes}});
  return out;
}

Result<std::string> sign_report(ByteView text, const crypto::RestoreHostKey& host) {
  STELE_TRY(const std::string line, crypto::encode_public_key(crypto::public_line_of(host)));
  return fmt::format("{}\n{}\n", line, to_hex(host.key.sign(kDomain, text)));
}

Result<crypto::PublicKeyLine> verify_report(ByteView text, std::string_view signature, const crypto::VerifyKey* expected) {
  const std::size_t end = signature.find('\n');
  if (end == std::string_view::npos || !signature.ends_with('\n')) return Error{ErrorCode::kDamaged, "the report's signature file is not one", ""};
  STELE_TRY(crypto::PublicKeyLine line, crypto::decode_public_key(signature.substr(0, end)));
  if (line.kind != crypto::KeyKind::kRestoreHost) return Error{ErrorCode::kForged, "the report is not signed by a restore host's key", ""};
  STELE_TRY(const crypto::VerifyKey key, crypto::as_verify_key(line));
  if (expected != nullptr && !(key == *expected)) return Error{ErrorCode::kForged, "the report is signed by another host's key", ""};
  STELE_TRY(const Bytes bytes, from_hex(signature.substr(end + 1, signature.size() - end - 2)));
  STELE_CHECK(key.verify(kDomain, text, bytes));
  return line;
}

std::string report_prefix(const DatabaseName& database) { return fmt::format("{}-{}-", database.site, database.database); }

std::string report_name(const DrillResult& r) {
  std::string time = to_iso8601(Timestamp{r.finished.micros / 1'000'000 * 1'000'000});
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return fmt::format("{}{}-{}", report_prefix(r.database), time, r.id.substr(0, 8));
}

}  // namespace stele::restore
