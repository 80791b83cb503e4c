#include "restore/drill/metrics.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/io/durable_file.h"

namespace stele::restore {
namespace {

std::string escape_label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

double unix_seconds(Timestamp t) { return static_cast<double>(t.micros) / 1e6; }

class Text {
 public:
  explicit Text(const DatabaseName& database) : labels_(fmt::format("site=\"{}\",database=\"{}\"", database.site, database.database)) {}
  void metric(std::string_view name, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", name, help);
  }
  void value(double value, std::string_view label = "", std::string_view label_value = "") {
    text_ += fmt::format("{}{{{}{}}} {}\n", name_, labels_, label.empty() ? "" : fmt::format(",{}=\"{}\"", label, escape_label(label_value)), value);
  }
  void one(std::string_view name, std::string_view help, double v) {
    metric(name, help);
    value(v);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string labels_, name_, text_;
};

}  // namespace

std::string metrics_text(const DrillResult& r, const History& earlier) {
  Text out(r.database);
  out.one("stele_drill_last_run_timestamp_seconds", "When the last drill ended, whatever came of it.", unix_seconds(r.finished));
  const Timestamp success = r.passed() ? r.finished : earlier.last_success();
  if (!success.is_none()) out.one("stele_drill_last_success_timestamp_seconds", "When the last drill that passed ended.", unix_seconds(success));
  out.one("stele_drill_success", "1: the last drill ran and every check passed.", r.passed() ? 1 : 0);
  if (r.rto) out.one("stele_drill_rto_seconds", "Time to a checked database in the last drill.", *r.rto);
  if (r.rpo) out.one("stele_drill_rpo_seconds", "Time whose commits a disaster would have lost, seen by the last drill.", *r.rpo);
  out.metric("stele_drill_phase_seconds", "Time of each phase of the last drill.");
  for (const Phase phase : kPhases) out.value(r.seconds(phase), "phase", phase_name(phase));
  out.one("stele_drill_rto_target_seconds", "Longest time to a checked database, as configured.", r.rto_target);
  out.one("stele_drill_rpo_target_seconds", "Longest time whose commits may be lost, as configured.", r.rpo_target);
  out.one("stele_drill_interval_seconds", "How often drills are due, as configured.", r.interval);
  out.metric("stele_drill_checks", "Checks of the last drill by their result.");
  for (const CheckResult result : {CheckResult::kPassed, CheckResult::kFailed, CheckResult::kSkipped}) {
    out.value(static_cast<double>(r.count(result)), "result", check_result_name(result));
  }
  std::map<std::string, Timestamp> proven, newest;
  for (const EarlierDrill& d : earlier.drills) {
    for (const auto& [name, epoch] : d.keys) {
      if (d.passed) proven[name] = d.finished;
      newest[name] = std::max(newest[name], epoch);
    }
  }
  for (const ProvenKey& key : r.keys) {
    if (r.passed()) proven[key.name] = r.finished;
    newest[key.name] = std::max(newest[key.name], key.newest_epoch);
  }
  if (!proven.empty()) out.metric("stele_recovery_key_proven_timestamp_seconds", "When a drill that passed last opened the store with this key.");
  for (const auto& [name, time] : proven) out.value(unix_seconds(time), "key", name);
  if (!newest.empty()) out.metric("stele_recovery_key_newest_epoch_timestamp_seconds", "When the newest epoch that this key really opened began.");
  for (const auto& [name, time] : newest) out.value(unix_seconds(time), "key", name);
  return out.take();
}

Status write_textfile(const std::string& directory, const DatabaseName& database, std::string_view text) {
  io::PosixFileSystem fs;
  const std::string path = fmt::format("{}/stele_drill_{}_{}.prom", directory, database.site, database.database);
  STELE_CHECK(io::write_file_durably(fs, path, as_bytes(text), io::WriteMode::kReplace));
  // node_exporter runs as another user.
  if (chmod(path.c_str(), 0644) != 0) return system_error("change the mode of", path, errno);
  return {};
}

}  // namespace stele::restore
