#include "tests/scenario/monitoring/watch.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>


namespace stele::scenario {

namespace fs = std::filesystem;

namespace {

// Five minutes become a second; a day of "look at it" becomes 12 seconds, and 21 days of a certificate four minutes.
constexpr const char* kDurations = "300";
constexpr const char* kAges = "7200";

const std::string kMonitoring = std::string(STELE_SOURCE_DIR) + "/monitoring";

/// Replaces, and fails where there is nothing to replace: the shipped file changed.
Result<std::string> replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& changes) {
  for (const auto& [pattern, with] : changes) {
    const std::regex expression(pattern);
    if (!std::regex_search(text, expression)) return Error{ErrorCode::kConfig, "nothing matches " + pattern, ""};
    text = std::regex_replace(text, expression, with);
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<Watch>> Watch::start(const test::StelePrograms& stele) {
  std::string root = fs::temp_directory_path() / "stele-watch-XXXXXX";
  if (mkdtemp(root.data()) == nullptr) return system_error("create directory", root, errno);
  std::unique_ptr<Watch> w(new Watch(root));
  STELE_TRY(w->prometheus_port_, test::free_port());
  STELE_TRY(w->alertmanager_port_, test::free_port());
  STELE_TRY(w->sink_port_, test::free_port());
  STELE_CHECK(w->write_files(stele));
  STELE_CHECK(w->sink_.start({"python3", std::string(STELE_SOURCE_DIR) + "/tests/scenario/monitoring/sink.py", std::to_string(w->sink_port_),
                              root + "/notes", root + "/drill.prom"}, root + "/sink.log"));
  STELE_CHECK(w->alertmanager_.start({"prometheus-alertmanager", "--config.file=" + root + "/alertmanager.yml", "--storage.path=" + root + "/alertmanager",
                                      fmt::format("--web.listen-address=127.0.0.1:{}", w->alertmanager_port_), "--cluster.listen-address="},
                                     root + "/alertmanager.log"));
  STELE_CHECK(w->prometheus_.start({"prometheus", "--config.file=" + root + "/prometheus.yml", "--storage.tsdb.path=" + root + "/prometheus",
                                    fmt::format("--web.listen-address=127.0.0.1:{}", w->prometheus_port_), "--rules.alert.resend-delay=1s"},
                                   root + "/prometheus.log"));
  Status ready = test::wait_for("Prometheus and Alertmanager are ready", 60, [&] {
    return !test::http_get(w->prometheus_port_, "/-/ready").empty() && !test::http_get(w->alertmanager_port_, "/-/ready").empty();
  });
  if (!ready.ok()) return Error{ErrorCode::kTimeout, ready.error().what + "\n" + w->logs(), ""};
  return w;
}

Watch::~Watch() {
  prometheus_.kill_hard();
  alertmanager_.kill_hard();
  sink_.kill_hard();
  std::error_code ignored;
  if (std::getenv("STELE_KEEP") == nullptr) fs::remove_all(root_, ignored);
}

Status Watch::write_files(const test::StelePrograms& stele) {
  for (const char* name : {"stele-records.rules.yml", "stele-alerts.rules.yml"}) {
    STELE_TRY(const std::string scaled, test::run_checked({"python3", kMonitoring + "/prometheus/scale-rules.py", "--durations", kDurations, "--ages", kAges},
                                                          {.input = test::read_file_text(kMonitoring + "/prometheus/" + name)}));
    STELE_CHECK(test::write_file_text(root_ + "/" + name, scaled));
  }
  STELE_TRY(const std::string prometheus, replaced(test::read_file_text(kMonitoring + "/prometheus/prometheus.yml"),
                                                   {{"scrape_interval: 15s", "scrape_interval: 1s"},
                                                    {"evaluation_interval: 15s", "evaluation_interval: 1s"},
                                                    {"scrape_timeout: 10s", "scrape_timeout: 1s"},
                                                    {"127.0.0.1:9093", fmt::format("127.0.0.1:{}", alertmanager_port_)},
                                                    {"127.0.0.1:9552", fmt::format("127.0.0.1:{}", stele.receiver_metrics_port())},
                                                    {"127.0.0.1:9551", fmt::format("127.0.0.1:{}", stele.agent_metrics_port())},
                                                    {"127.0.0.1:9091", fmt::format("127.0.0.1:{}", sink_port_)}}));
  STELE_CHECK(test::write_file_text(root_ + "/prometheus.yml", prometheus));
  STELE_TRY(const std::string alertmanager, replaced(test::read_file_text(kMonitoring + "/alertmanager/alertmanager.yml"),
                                                     {{"group_wait: \\d+s", "group_wait: 1s"},
                                                      {"group_interval: \\d+m", "group_interval: 1s"},
                                                      {"127.0.0.1:8060", fmt::format("127.0.0.1:{}", sink_port_)}}));
  STELE_CHECK(test::write_file_text(root_ + "/alertmanager.yml", alertmanager));
  return test::write_file_text(root_ + "/drill.prom", stele.drill_metrics());
}

std::string Watch::notes() const { return test::read_file_text(root_ + "/notes"); }

std::string Watch::prometheus_url() const { return fmt::format("http://127.0.0.1:{}", prometheus_port_); }

std::string Watch::last_status(const std::string& alert) const {
  std::istringstream lines(notes());
  std::string status;
  for (std::string line; std::getline(lines, line);) {
    const auto note = nlohmann::json::parse(line, nullptr, false);
    if (!note.is_discarded() && note["labels"]["alertname"] == alert) status = note["status"];
  }
  return status;
}

std::set<std::string> Watch::firing_in_prometheus() const {
  std::set<std::string> out;
  auto body = test::run_checked({"curl", "-sS", prometheus_url() + "/api/v1/alerts"});
  const auto answer = nlohmann::json::parse(body.ok() ? *body : "", nullptr, false);
  if (answer.is_discarded()) return out;
  for (const auto& alert : answer["data"]["alerts"]) {
    if (alert["state"] == "firing") out.insert(alert["labels"]["alertname"]);
  }
  return out;
}

std::string Watch::logs() const {
  std::string out;
  for (const char* name : {"prometheus.log", "alertmanager.log", "sink.log"}) {
    const std::string text = test::read_file_text(root_ + "/" + name);
    out += fmt::format("--- {}\n{}\n", name, text.substr(text.size() > 2000 ? text.size() - 2000 : 0));
  }
  return out;
}

}  // namespace stele::scenario
