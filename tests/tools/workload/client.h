#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "tests/tools/pq/session.h"
#include "tests/tools/registry/generator.h"
#include "tests/tools/workload/ledger.h"

namespace stele::workload {

struct ClientOptions {
  std::string conninfo;
  std::string run;
  int client = 0;
  std::uint64_t seed = 1;
  std::int64_t members = 300'000;      ///< size of the registry that was generated
  std::int64_t first_new_member = 0;   ///< this client's own range of ids for members who join
  std::chrono::microseconds pause{0};  ///< between transactions
  std::int64_t transactions = 0;       ///< stop after this many acknowledged; 0: when asked
};

/// One connection that lets members join, move and retire for ever, and records every commit whose answer it saw.
class Client {
 public:
  Client(ClientOptions options, LedgerFile& ledger)
      : options_(std::move(options)), ledger_(ledger), generator_(options_.seed, options_.members) {}

  /// Runs until `stop` (looked at between transactions), reconnecting whenever the server is away. Ends with an error
  /// only when the ledger cannot be written or the server refuses a transaction for a reason that is not its state.
  Status run(const std::atomic<bool>& stop);

  std::int64_t acknowledged() const { return acknowledged_.load(); }
  std::int64_t unknown() const { return unknown_.load(); }

 private:
  Status transaction(pq::Session& session);
  std::string change();
  ClientOptions options_;
  LedgerFile& ledger_;
  registry::Generator generator_;
  std::int64_t sequence_ = 0;
  std::int64_t joined_ = 0;
  std::atomic<std::int64_t> acknowledged_{0}, unknown_{0};
};

}  // namespace stele::workload
