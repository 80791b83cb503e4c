/// stele-metrics-catalogue: what agent and receiver define, from their own registries, as one JSON array on standard output. For the tests
/// that compare code, monitoring/METRICS.md, rules and dashboards.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "agent/program/agent_metrics.h"
#include "agent/program/agent_program.h"
#include "receiver/metrics/receiver_metrics.h"

namespace {

using stele::metrics::MetricRegistry;

struct Defined {
  stele::metrics::CatalogueEntry entry;
  std::set<std::string> programs;
};

void collect(const MetricRegistry& registry, const std::string& program, std::map<std::string, Defined>& out) {
  for (const auto& entry : registry.list_catalogue()) {
    Defined& d = out[entry.definition.name];
    d.entry = entry;
    d.programs.insert(program);
  }
}

}  // namespace

int main() {
  const stele::config::AgentConfig config;
  stele::agent::AgentMetrics agent(config, [] { return stele::agent::AgentView(); });
  MetricRegistry receiver_registry;
  stele::receiver::ReceiverMetrics receiver(receiver_registry);
  for (const MetricRegistry* registry : {&agent.registry(), &receiver_registry}) {
    if (auto good = registry->check(); !good.ok()) {
      fmt::print(stderr, "{}\n", good.error().to_string());
      return 1;
    }
  }
  std::map<std::string, Defined> all;
  collect(agent.registry(), "agent", all);
  collect(receiver_registry, "receiver", all);
  auto out = nlohmann::json::array();
  for (const auto& [name, d] : all) {
    out.push_back({{"name", name},
                   {"type", stele::metrics::metric_type_name(d.entry.type)},
                   {"unit", d.entry.definition.unit},
                   {"labels", d.entry.definition.labels},
                   {"help", d.entry.definition.help},
                   {"programs", d.programs}});
  }
  fmt::print("{}\n", out.dump(1));
}
