#pragma once

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "core/format/manifest.h"
#include "core/format/pack.h"
#include "core/net/listener.h"
#include "core/net/message_stream.h"
#include "core/protocol/messages.h"

namespace stele::test {

/// A receiver for snapshots, in memory, over real TLS on loopback: it checks what it gets as PROTOCOL.md says, and
/// misbehaves when told.
class ScriptedReceiver {
 public:
  ScriptedReceiver(std::string name, const net::TlsConfig& tls, DatabaseName database, const crypto::VerifyKey& agent);
  ~ScriptedReceiver();
  Status start();
  std::string address() const;
  const std::string& name() const { return name_; }

  /// Closes the listener and every session, as a host that goes away; start_again() listens on the same port.
  void go_away();
  Status start_again();

  // What it is to do. Set before or while it runs.
  std::atomic<int> cut_after_stored{
      0};  ///< the n-th pack from now on is stored, and the line is cut instead of an answer
  std::atomic<int> cut_before_stored{0};  ///< the n-th pack from now on is lost with the line
  std::atomic<int> gaps{0};               ///< so many commits are answered by kGap
  std::atomic<int> limited_queries{0};    ///< so many chunk queries are answered by kLimit
  std::atomic<bool> refuse_packs{false};  ///< kUnauthorised
  std::atomic<std::uint64_t> credit{32 << 20};
  void forget(const ChunkName& name);  ///< no longer there at the commit
  void claim(const ChunkName& name);   ///< says it has it
  void set_latest_manifest(const Digest& id);

  // What it holds and saw.
  struct Seen {
    std::map<ChunkName, Bytes> chunks;  ///< header and payload
    std::map<ChunkName, int> copies;
    std::map<Digest, Bytes> lists;
    std::vector<Bytes> manifests;
    std::map<format::RecordKind, Bytes> records;
    std::uint64_t packs = 0, pack_bytes = 0, connections = 0, queries = 0, commits = 0;
    std::string protocol_error;  ///< what the client did wrong
  };
  Seen seen() const;
  /// Counters begin anew; what is held stays.
  void reset_counters();

 private:
  struct Session;
  net::Task<void> serve(std::unique_ptr<net::ByteStream> stream);
  std::optional<Error> handle(Session& session, const net::Message& message, bool& cut);
  std::optional<Error> put_pack(Session& session, const Bytes& body, bool& cut);
  std::optional<Error> commit(Session& session, const Bytes& body);

  const std::string name_;
  const net::TlsConfig tls_config_;
  const DatabaseName database_;
  const crypto::VerifyKey agent_;
  boost::asio::io_context io_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::vector<std::thread> threads_;
  std::shared_ptr<net::SessionRegistry> sessions_ = std::make_shared<net::SessionRegistry>();
  std::unique_ptr<net::Listener> listener_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  Seen seen_;
  std::set<ChunkName> claimed_;
  Digest latest_;
};

}  // namespace stele::test
