#pragma once

#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agent/log/agent_keys.h"
#include "agent/snapshot/service.h"
#include "agent/stream/log_streamer.h"
#include "agent/uplink/uplink.h"
#include "core/config/agent_config.h"
#include "core/crypto/random.h"
#include "core/net/http_server.h"
#include "core/net/runtime.h"

namespace stele::agent {

/// The running agent as it stands; a copy for status, metrics and the status message.
struct AgentView {
  LogStatus log;
  std::vector<UplinkState> uplinks;
  SnapshotStatus snapshot;
  Generation generation;
  std::uint64_t spool_bytes = 0, spool_disk_bytes = 0, spool_capacity = 0;
  bool spool_failed = false;
  Position off_site_end;      ///< end of what the quorum of receivers holds of the current stream
  Timestamp off_site_time;    ///< everything until this moment is at or before it
  Timestamp started, enrolled;
  std::size_t recovery_keys = 0;
  std::uint64_t log_lines_dropped = 0;
  net::TlsFacts tls;
  Timestamp now;
};

/// The agent: spool, log, uplinks and snapshots put together. One in a process.
class AgentProgram {
 public:
  /// Opens everything that needs no network: keys, TLS material, spool, state. Errors are the first thing an operator sees.
  static Result<std::unique_ptr<AgentProgram>> open(config::AgentConfig config);
  ~AgentProgram();

  /// Runs until SIGTERM or SIGINT.
  Status run();

  AgentView view() const;
  const config::AgentConfig& config() const { return config_; }
  SnapshotService& snapshots() { return *snapshots_; }

 private:
  explicit AgentProgram(config::AgentConfig config);
  Status open_parts();
  void make_uplinks();
  Status make_snapshots();
  Result<SnapshotContext> snapshot_context();
  net::Task<Status> main();
  net::Task<Generation> choose_generation();
  net::Task<void> housekeeping();
  net::Task<void> finish();
  void release_spool();
  void need_snapshot_for(const std::string& receiver, const StreamId& stream, Position from, bool lost);
  void save_marks();
  void post_status();
  std::string render_metrics();
  Status start_http();

  config::AgentConfig config_;
  mutable SystemClock clock_;
  crypto::SodiumRandom random_;
  io::PosixFileSystem fs_;
  std::unique_ptr<io::FileLock> lock_;  ///< one agent for each directory, also without a spool
  std::optional<AgentKeys> keys_;
  std::shared_ptr<const crypto::SigningKey> signing_;
  std::unique_ptr<AgentState> state_;
  std::unique_ptr<FrameSpool> spool_;
  std::shared_ptr<net::TlsContext> tls_;
  std::shared_ptr<net::SessionRegistry> sessions_;
  AgentIdentity identity_;
  net::Runtime runtime_{1};  ///< one thread: what an uplink hands over to itself wakes no other
  boost::asio::thread_pool disk_{1};  ///< what waits for a sync: acknowledgements and commits never wait behind it
  std::atomic<bool> saving_marks_{false};
  boost::asio::thread_pool snapshot_network_{1};  ///< apart, so that encrypting a pack does not keep the log waiting
  std::shared_ptr<PageImages> page_images_;
  std::shared_ptr<SharedBandwidth> bandwidth_;
  std::unique_ptr<LogStreamer> log_;
  std::vector<std::shared_ptr<Uplink>> uplinks_;
  std::unique_ptr<SnapshotService> snapshots_;
  std::unique_ptr<class AgentMetrics> metrics_;
  std::unique_ptr<class ControlServer> control_;
  /// Shared by all who scrape: the thread that makes it serves the uplinks too.
  net::SharedBody metrics_text_{[this] { return render_metrics(); }};
  std::unique_ptr<net::HttpServer> http_;
  std::vector<ServerAddress> snapshot_hosts_;
  Generation generation_;
  Timestamp started_;
  std::atomic<bool> stopping_{false};
  boost::asio::steady_timer tick_;
  std::map<std::string, ReceiverMark> saved_marks_;  ///< the disk thread's
  std::map<std::string, LogStreamer::Lack> lacking_at_snapshot_;  ///< when the running snapshot began; its thread's
};

/// DIRECTORY/control.sock of the spool's directory: how `status` and `snapshot` reach the running agent.
std::string control_socket_path(const config::AgentConfig& config);

}  // namespace stele::agent
