#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/contract/receiver/receiver_process.h"

namespace stele::bench {

/// How one invented database fares.
enum class Mood { kWell, kAway, kDrillFailed, kDrillLate, kGap, kSpoolFilling, kNoSnapshot, kCertificateEnding };

/// A real receiver with many databases that have data: for each an agent that is only bytes (tests/support/agent), which sends records, log,
/// daily snapshots and drills over the real protocol, and then lives on: a signed status message every five seconds, an as-of every ten.
/// What a real fleet would have seen of recovery points is put into the receiver's history before it starts. Failures throw.
class Fleet {
 public:
  struct Options {
    int databases = 1;
    int days = 3;        ///< of history, a snapshot each
    int page_port = 0;
    bool trouble = true; ///< some databases have one; else all are well
  };
  explicit Fleet(Options options);
  ~Fleet();

  test::ReceiverProcess& receiver() { return *receiver_; }
  /// Sends frames of 20 kB of the first database one after the other, `count` of them, 20 ms apart: how long each was not acknowledged, in
  /// milliseconds.
  std::vector<double> acknowledgements(int count);

 private:
  struct Member;
  void write_history();
  std::string sites_config() const;
  void begin(Member& member, test::ClientThread& thread);
  void add_day(Member& member, test::AgentLine& snapshots, Timestamp day);
  void add_drills(Member& member, client::RemoteReader& operators);
  Status say(Member& member);
  void live();

  const Options options_;
  crypto::SigningKey restore_host_;
  std::vector<std::unique_ptr<test::ClientThread>> threads_;
  std::vector<std::unique_ptr<Member>> members_;
  std::unique_ptr<test::ReceiverProcess> receiver_;
  std::map<std::string, std::shared_ptr<net::TlsContext>> identities_;  ///< of sites
  std::atomic<bool> stop_{false};
  std::thread life_;
};

}  // namespace stele::bench
