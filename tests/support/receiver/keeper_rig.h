#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "core/store/local_store.h"
#include "receiver/ingest/keeper.h"
#include "tests/support/agent/scripted_agent.h"
#include "tests/support/fault_file_system.h"

namespace stele::test {

/// A catalog engine in memory.
class MemoryKeyValues final : public receiver::KeyValues {
 public:
  Status write(const std::vector<receiver::Change>& changes) override;
  Result<std::vector<std::optional<std::string>>> get(const std::vector<std::string>& keys) override;
  Status scan(std::string_view prefix, std::string_view after, const std::function<bool(std::string_view, std::string_view)>& visit) override;

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> map_;
};

/// A clock that tests move.
class TestClock final : public Clock {
 public:
  Timestamp now() override { return {micros.load()}; }
  Instant steady_now() override { return Instant(std::chrono::microseconds(micros.load())); }
  void advance(Duration by) { micros += by.count(); }
  std::atomic<std::int64_t> micros{1'700'000'100'000'000};
};

/// A receiver without network: a disk in memory that can fail and crash, store, journal, catalog.
class KeeperRig {
 public:
  explicit KeeperRig(const ScriptedAgent& agent, std::uint64_t seed = 1);
  ~KeeperRig() { stop(); }

  /// Opens store, catalog and keeper over what the disk holds. `keep_catalog`: as after a restart of a healthy host; else it is empty.
  Status start(bool keep_catalog = true);
  void stop();
  /// The process (and, unless kProcessOnly, the host) dies; what was not synced may be gone.
  void crash(FaultFileSystem::Crash how);

  receiver::Keeper& keeper() { return *keeper_; }
  receiver::Catalog& catalog() { return *catalog_; }
  store::LocalStore& store() { return *store_; }
  receiver::Database& database() { return *keeper_->find(agent_.database); }

  /// Puts enrolment, recipients, branch and epoch.
  Status put_trust(const ScriptedAgent& agent);
  Result<protocol::StreamState> open(const ScriptedAgent& agent, std::uint64_t session = 1, std::uint8_t instance = 1);
  /// One session's way of a frame; gives what was acknowledged (nothing while unsigned). Needs open() before.
  Result<std::optional<protocol::Ack>> send(format::Frame frame, std::uint64_t session = 1);
  /// A manifest from the agent's instance.
  Result<std::variant<Digest, protocol::MissingChunks>> commit(ByteView manifest, std::uint8_t instance = 1);
  /// A new session begins: chain state is forgotten.
  void reset_ingest() { ingest_.reset(); }

  /// What a reader of the store directory finds of the agent's log: runs and journal, verified with the agent's key, decrypted. Maps every
  /// byte that is there; a position that differs from agent.log() throws.
  receiver::RangeSet readable(const ScriptedAgent& agent);
  std::uint64_t readable_end(const ScriptedAgent& agent);

  FaultFileSystem fs;
  TestClock clock;
  SeededRandom random;
  receiver::KeeperOptions options;
  receiver::ReceiverMetrics metrics;

 private:
  const ScriptedAgent& agent_;
  crypto::SigningKey signer_;
  std::unique_ptr<store::LocalStore> store_;
  std::unique_ptr<receiver::Catalog> catalog_;
  std::unique_ptr<receiver::Keeper> keeper_;
  std::optional<receiver::StreamIngest> ingest_;
};

}  // namespace stele::test
