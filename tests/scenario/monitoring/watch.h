#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/programs/stele_programs.h"

namespace stele::scenario {

/// A real Prometheus and Alertmanager on loopback with the shipped rules and configuration, made quicker (monitoring/prometheus/
/// scale-rules.py), and a sink for what they tell. Scrapes agent and receiver of one StelePrograms. Use from the test's main thread.
class Watch {
 public:
  /// What a drill of `stele` wrote for Prometheus until now is served in the place of a restore host's Pushgateway.
  static Result<std::unique_ptr<Watch>> start(const test::StelePrograms& stele);
  ~Watch();

  /// Whether the sink was told last that this alert fires (or, told once, that it does not any more).
  bool fires(const std::string& alert) const { return last_status(alert) == "firing"; }
  bool resolved(const std::string& alert) const { return last_status(alert) == "resolved"; }
  /// Whether the sink ever heard of it.
  bool heard(const std::string& alert) const { return !last_status(alert).empty(); }
  /// Alerts that fire in Prometheus, told or not.
  std::set<std::string> firing_in_prometheus() const;
  /// Every line that the sink wrote.
  std::string notes() const;
  /// "http://127.0.0.1:PORT" of Prometheus.
  std::string prometheus_url() const;
  const std::string& root() const { return root_; }
  std::string logs() const;

 private:
  explicit Watch(std::string root) : root_(std::move(root)) {}
  std::string last_status(const std::string& alert) const;
  Status write_files(const test::StelePrograms& stele);
  std::string root_;
  int prometheus_port_ = 0, alertmanager_port_ = 0, sink_port_ = 0;
  test::Daemon prometheus_{"prometheus"}, alertmanager_{"alertmanager"}, sink_{"sink"};
};

}  // namespace stele::scenario
