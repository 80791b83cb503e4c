#pragma once

#include <boost/asio.hpp>

#include <thread>

#include "agent/snapshot/context.h"
#include "core/format/branch.h"
#include "core/format/trust_records.h"
#include "tests/support/net/test_ca.h"
#include "tests/support/seeded_random.h"
#include "tests/support/snapshot/scripted_receiver.h"

namespace stele::test {

/// An agent's side of a snapshot: keys, signed records, network threads, and receivers to send to.
class SnapshotRig {
 public:
  SnapshotRig();
  ~SnapshotRig();

  ScriptedReceiver& add_receiver(const std::string& name);
  /// For all receivers added so far; the server is the caller's.
  agent::SnapshotContext context(std::size_t quorum = 1);

  SeededRandom random{42};
  SystemClock clock;
  DatabaseName database{"440000", "registry"};
  format::EpochSecrets secrets;
  crypto::SigningKey signing;
  config::BandwidthPlan plan;
  std::uint64_t system_identifier = 7;
  std::uint32_t timeline = 1;
  std::shared_ptr<agent::PageImages> page_images = std::make_shared<agent::PageImages>();

 private:
  std::filesystem::path directory_;
  std::unique_ptr<TestCa> ca_;
  std::shared_ptr<net::TlsContext> tls_;
  std::shared_ptr<net::SessionRegistry> sessions_ = std::make_shared<net::SessionRegistry>();
  boost::asio::io_context io_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::vector<std::thread> threads_;
  std::vector<std::unique_ptr<ScriptedReceiver>> receivers_;
};

}  // namespace stele::test
