/// stele-fleet-load: a real receiver with many databases that live (fleet.h). Prints one JSON line when it is ready, then answers lines of
/// standard input until it ends: "ack COUNT" gives the times of so many acknowledgements in milliseconds, as one JSON line. For tests/bench/fleet.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/bench/load/fleet.h"

namespace {

/// A thousand connections, and the receiver's: the children inherit it.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int serve(const stele::bench::Fleet::Options& options) {
  stele::bench::Fleet fleet(options);
  auto& receiver = fleet.receiver();
  std::cout << nlohmann::json{{"pid", receiver.pid()}, {"metrics_port", receiver.metrics_port()}, {"page_port", options.page_port}, {"databases", options.databases}} << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    int count = 0;
    if (std::sscanf(line.c_str(), "ack %d", &count) != 1) {
      fmt::print(stderr, "not a command: {}\n", line);
      return 2;
    }
    std::cout << nlohmann::json(fleet.acknowledgements(count)) << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  stele::bench::Fleet::Options options;
  bool well = false;
  CLI::App app("A receiver with many invented databases, for measurements of its metrics and its page.");
  app.add_option("--databases", options.databases, "How many")->check(CLI::Range(1, 2000));
  app.add_option("--days", options.days, "Days of history, a snapshot each")->check(CLI::Range(1, 60));
  app.add_option("--page-port", options.page_port, "Where the page is served on 127.0.0.1")->required();
  app.add_flag("--well", well, "Nothing is wrong with any of them");
  CLI11_PARSE(app, argc, argv);
  options.trouble = !well;
  raise_file_limit();
  try {
    return serve(options);
  } catch (const std::exception& e) {
    fmt::print(stderr, "stele-fleet-load: {}\n", e.what());
    return 1;
  }
}
