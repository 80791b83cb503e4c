#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <iostream>

#include "tests/tools/pq/session.h"
#include "tests/tools/workload/ledger.h"

using namespace stele;

namespace {

Result<std::set<workload::CommitName>> commits_of(const std::string& conninfo) {
  STELE_TRY(pq::Session session, pq::Session::connect(conninfo));
  STELE_TRY(auto rows, session.query("SELECT run, client, sequence FROM registry.commit_ledger"));
  std::set<workload::CommitName> out;
  for (const auto& row : rows) out.insert({*row[0], std::stoi(*row[1]), std::stoll(*row[2])});
  return out;
}

}  // namespace

/// stele-demo-ledger-check: is every commit that was acknowledged in this database? Exit 0: all are; 1: not; 2: usage.
int main(int argc, char** argv) {
  CLI::App app{
      "Compares a ledger of acknowledged commits with a (restored) database.\n"
      "Example: stele-demo-ledger-check --ledger ledger.tsv --conninfo 'host=/tmp/pg dbname=postgres'",
      "stele-demo-ledger-check"};
  std::string conninfo, path, until_text;
  bool json = false;
  app.add_option("--conninfo", conninfo, "libpq connection string of the restored database")->required();
  app.add_option("--ledger", path, "file written by stele-demo-workload")->required();
  app.add_option("--until", until_text, "expect only commits up to this WAL position, e.g. 0/5000028");
  app.add_flag("--json", json, "one JSON object");
  CLI11_PARSE(app, argc, argv);

  std::optional<std::uint64_t> until;
  if (!until_text.empty()) {
    until = workload::position_number(until_text);
    if (!until) {
      std::cerr << "stele-demo-ledger-check: error: --until " << until_text << ": not a WAL position\n";
      return 2;
    }
  }
  auto recorded = workload::read_ledger(path);
  auto present = recorded.ok() ? commits_of(conninfo) : Result<std::set<workload::CommitName>>(recorded.error());
  if (!present.ok()) {
    std::cerr << "stele-demo-ledger-check: error: " << present.error().to_string() << "\n";
    return 1;
  }
  const workload::Comparison c = workload::compare(*recorded, *present, until);
  if (json) {
    std::cout << nlohmann::json{{"acknowledged", c.acknowledged},
                                {"found", c.found},
                                {"missing", c.missing.size()},
                                {"warned", c.warned},
                                {"unknown", c.unknown},
                                {"unknown_and_present", c.unknown_and_present},
                                {"after", c.after},
                                {"not_recorded", c.not_recorded}}
              << "\n";
  } else {
    std::cout << fmt::format(
        "acknowledged {}, found {}, missing {}; unknown {} (of these present {}); with a warning {}; after the target "
        "{}\n",
        c.acknowledged, c.found, c.missing.size(), c.unknown, c.unknown_and_present, c.warned, c.after);
  }
  for (std::size_t i = 0; i < c.missing.size() && i < 20; ++i) {
    std::cerr << fmt::format("missing: run {} client {} sequence {}\n", c.missing[i].run, c.missing[i].client,
                             c.missing[i].sequence);
  }
  return c.complete() ? 0 : 1;
}
