#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "tests/tools/registry/load.h"

/// stele-demo-registry: fills a database with an invented member registry.
int main(int argc, char** argv) {
  CLI::App app{
      "Makes the schema \"registry\" with invented organisations and members (deterministic; valid check characters).\n"
      "Example: stele-demo-registry --conninfo 'host=/tmp/pg dbname=postgres' --members 300000",
      "stele-demo-registry"};
  std::string conninfo;
  std::uint64_t seed = 1;
  std::int64_t members = 300'000;
  bool no_checks = false;
  app.add_option("--conninfo", conninfo, "libpq connection string")->required();
  app.add_option("--members", members, "how many members")
      ->check(CLI::Range(std::int64_t{1}, stele::registry::Generator::kMostMembers))
      ->capture_default_str();
  app.add_option("--seed", seed, "the same seed gives the same rows")->capture_default_str();
  app.add_flag("--no-checks", no_checks, "leave out the check constraints: much faster, for large benchmarks");
  CLI11_PARSE(app, argc, argv);

  const auto begin = std::chrono::steady_clock::now();
  const stele::registry::Generator generator(seed, members);
  auto session = stele::pq::Session::connect(conninfo);
  stele::Status done = session.ok() ? stele::registry::load(*session, generator, [](std::int64_t, std::int64_t) {}, !no_checks)
                                    : stele::Status(stele::Error(session.error()));
  if (!done.ok()) {
    std::cerr << "stele-demo-registry: error: " << done.error().to_string() << "\n";
    return 1;
  }
  std::cout << fmt::format("{} organisations, {} members, seed {}, {:.1f} s\n", generator.organisations(),
                           generator.members(), seed,
                           std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  return 0;
}
