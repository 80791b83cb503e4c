#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/config/values.h"
#include "restore/main/output.h"
#include "restore/main/restore_job.h"

namespace stele::restore {

using nlohmann::json;

json RunReport::to_json() const {
  json out = restore::to_json(plan, facts);
  out["directory"] = directory;
  out["staging"] = staging;
  if (!extra_directory.empty()) out["extra_files"] = extra_directory;
  out["files"] = files;
  out["file_bytes"] = file_bytes;
  out["stored_bytes_read"] = stored_bytes_read;
  if (delta) out["delta"] = {{"kept_bytes", delta->kept_bytes}, {"written_bytes", delta->written_bytes}, {"removed", delta->removed}};
  out["tablespaces"] = json::array();
  for (const auto& t : tablespaces) out["tablespaces"].push_back({{"oid", t.oid}, {"source", t.source}, {"directory", t.directory}});
  out["neutralised"] = json::array();
  for (const Neutralised& n : configuration.neutralised) {
    out["neutralised"].push_back({{"name", n.name}, {"source", n.source_value}, {"now", n.now}, {"where", n.where}, {"reason", n.reason}});
  }
  out["made_files"] = configuration.made_files;
  out["missing_libraries"] = configuration.missing_libraries;
  out["port"] = configuration.port;
  out["started"] = started;
  if (recovery) {
    out["recovery_log"] = {{"target_reached", recovery->target_reached}, {"stopping", recovery->stopping}, {"last_transaction", recovery->last_transaction_time}};
    if (recovery->redo_done) out["recovery_log"]["redo_done_lsn"] = recovery->redo_done->to_string();
    if (recovery->new_timeline) out["recovery_log"]["new_timeline"] = *recovery->new_timeline;
  }
  if (end) {
    out["end"] = {{"lsn", end->replayed.to_string()}, {"timeline", end->timeline}, {"system_identifier", std::to_string(end->system_identifier)}, {"server_version", end->server_version},
                  {"last_transaction", end->last_transaction ? json(to_iso8601(*end->last_transaction)) : json(nullptr)}};
  } else if (!end_not_checked.empty()) {
    out["end_not_checked"] = end_not_checked;
  }
  out["seconds"] = {{"plan", seconds_plan}, {"files", seconds_files}, {"log", seconds_log}, {"recovery", seconds_recovery}, {"total", seconds_total}};
  out["problems"] = restore::to_json(problems);
  return out;
}

std::string RunReport::to_text() const {
  std::string out = fmt::format("restored   {} files, {} into {}\n", files, config::format_bytes(file_bytes), directory);
  if (delta) {
    out += fmt::format("delta      {} kept, {} written, {} files and directories removed\n", config::format_bytes(delta->kept_bytes), config::format_bytes(delta->written_bytes), delta->removed);
  }
  for (const auto& t : tablespaces) out += fmt::format("tablespace {} in {}\n", t.oid, t.in_place ? directory : t.directory);
  if (!extra_directory.empty()) out += fmt::format("the source's configuration files from outside the data directory: {}\n", extra_directory);
  for (const Neutralised& n : configuration.neutralised) out += fmt::format("changed    {}: {} ({}; {})\n", n.name, n.now, n.where, n.reason);
  for (const std::string& library : configuration.missing_libraries) out += fmt::format("warning: preload library {} is not on this host\n", library);
  if (started) {
    out += fmt::format("started    port {}, recovery took {:.1f} s{}\n", configuration.port, seconds_recovery,
                       recovery && !recovery->stopping.empty() ? ": " + recovery->stopping : "");
    if (end) out += fmt::format("checked    it ended at {}{}, as planned\n", end->replayed.to_string(), end->last_transaction ? ", last transaction " + to_iso8601(*end->last_transaction) : "");
    if (!end_not_checked.empty()) out += fmt::format("not checked where it ended: {}\n", end_not_checked);
  } else {
    out += fmt::format("start it with: pg_ctl -D {} start; it recovers from {}, which can be removed afterwards\n", directory, staging);
  }
  out += describe(problems);
  out += fmt::format("total      {:.1f} s\n", seconds_total);
  return out;
}

}  // namespace stele::restore
