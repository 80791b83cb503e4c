#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "core/base/time.h"
#include "tests/tools/workload/client.h"

namespace {
std::atomic<bool> stop_asked{false};
}

/// stele-demo-workload: members join, move and retire; every acknowledged commit is recorded outside the database.
int main(int argc, char** argv) {
  CLI::App app{
      "Runs transactions on the invented registry and appends every acknowledged commit to a ledger file, until "
      "SIGTERM.\n"
      "Example: stele-demo-workload --conninfo 'host=/tmp/pg dbname=postgres' --ledger ledger.tsv --clients 4",
      "stele-demo-workload"};
  std::string conninfo, path, run;
  int clients = 4;
  std::uint64_t seed = 1;
  std::int64_t members = 300'000, transactions = 0, pause_us = 0;
  bool sync = false;
  app.add_option("--conninfo", conninfo, "libpq connection string")->required();
  app.add_option("--ledger", path, "file that acknowledged commits are appended to")->required();
  app.add_option("--run", run, "name of this run, a-z 0-9 -; default: the time")->check([](const std::string& text) {
    const bool good = !text.empty() && text.size() <= 40 &&
                      text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
    return good ? std::string() : std::string("1 to 40 of a-z 0-9 -");
  });
  app.add_option("--clients", clients, "connections")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--seed", seed, "the registry's seed")->capture_default_str();
  app.add_option("--members", members, "the registry's size")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{200'000'000}))
      ->capture_default_str();
  app.add_option("--transactions", transactions, "stop each client after so many acknowledged; 0: never")
      ->capture_default_str();
  app.add_option("--pause-us", pause_us, "microseconds between a client's transactions")->capture_default_str();
  app.add_flag("--sync", sync, "fdatasync the ledger after every line");
  CLI11_PARSE(app, argc, argv);

  prctl(PR_SET_PDEATHSIG, SIGTERM);
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = true; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const std::int64_t now = stele::SystemClock().now().micros;
  if (run.empty()) run = fmt::format("{:x}", now);
  auto ledger = stele::workload::LedgerFile::open(path, sync);
  if (!ledger.ok()) {
    std::cerr << "stele-demo-workload: error: " << ledger.error().to_string() << "\n";
    return 1;
  }
  // Ids of new members: above all generated ones, apart for each client, and other ones in each run of about a second.
  const std::int64_t first = members + now / 1'000'000 % 997 * 90'000 + 1;
  std::vector<std::unique_ptr<stele::workload::Client>> all;
  std::vector<std::thread> threads;
  std::atomic<int> failed{0}, running{clients};
  for (int c = 0; c < clients; ++c) {
    stele::workload::ClientOptions options{
        conninfo,    run, c, seed, members, first + c * (90'000 / clients), std::chrono::microseconds(pause_us),
        transactions};
    all.push_back(std::make_unique<stele::workload::Client>(options, *ledger));
  }
  for (auto& client : all) {
    threads.emplace_back([&] {
      const stele::Status ended = client->run(stop_asked);
      if (!ended.ok()) {
        ++failed;
        std::cerr << "stele-demo-workload: error: " << ended.error().to_string() << "\n";
      }
      --running;
    });
  }
  for (auto& thread : threads) thread.join();
  std::int64_t acknowledged = 0, unknown = 0;
  for (auto& client : all) {
    acknowledged += client->acknowledged();
    unknown += client->unknown();
  }
  std::cout << fmt::format("run {}: {} commits acknowledged, {} with unknown outcome\n", run, acknowledged, unknown);
  return failed > 0 ? 1 : 0;
}
