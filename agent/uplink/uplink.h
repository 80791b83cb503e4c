#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "agent/spool/agent_state.h"
#include "agent/spool/frame_spool.h"
#include "agent/uplink/sent_log.h"
#include "core/client/receiver_connection.h"

namespace stele::agent {

/// What every uplink of this agent says about itself.
struct AgentIdentity {
  DatabaseName database;
  protocol::InstanceId instance;
  Bytes enrolment;   ///< signed records, as stored
  Bytes recipients;
  std::function<Result<Bytes>(const StreamId&)> branch_record;  ///< thread-safe
  std::function<Result<Bytes>(const EpochId&)> epoch_record;    ///< thread-safe
};

/// How an uplink stands, for status, metrics and the acknowledgement policy. A copy.
struct UplinkState {
  std::string receiver;
  bool connected = false;
  StreamId stream;
  Position durable_end;       ///< contiguous at the receiver, of `stream`
  Digest head;
  bool claimed = false;       ///< `durable_end` is what the receiver says; this process has not sent it
  std::uint64_t acknowledged = 0;  ///< spool sequence; everything up to it is held
  std::uint64_t sent_bytes = 0;
  std::uint64_t reconnects = 0;
  std::string last_error;     ///< of the last attempt, empty while connected
  bool refused = false;       ///< another agent took over, or not authorised: a person must act
  bool gap = false;           ///< the receiver lacks a range that the spool no longer has, or lost what it held: it does not count
};

struct UplinkCallbacks {
  /// The receiver holds what this process sent, up to there.
  std::function<void(const std::string& receiver, const StreamId&, Position end, const Digest& head)> on_durable;
  /// It says that it holds what this process did not send: from before a crash of this host, or from another life of it.
  std::function<void(const std::string& receiver, const protocol::StreamState&)> on_claim;
  /// It refuses the stream, for it holds another log of it. True: the stream was given up; its frames are passed over.
  std::function<bool(const std::string& receiver, const StreamId&)> on_fork;
  std::function<void(const std::string& receiver, const StreamId&, Position held, Position was)> on_rolled_back;
  /// The receiver takes the log from the middle, from this position on: it lacks a range that the spool no longer has.
  std::function<void(const std::string& receiver, const StreamId&, Position from)> on_gap;
  std::function<void(const std::string& receiver)> on_connected;  ///< introduced: what it lacks was told
  std::function<void(const std::string& receiver, const Error&)> on_disconnected;
  std::function<void(double seconds)> on_ack_latency;
  std::function<void(std::uint64_t bytes)> on_sent;  ///< of the change log, handed to the operating system
};

/// The line to one receiver: connects, resumes, sends what the spool holds in order, takes acknowledgements; reconnects with growing
/// pauses for as long as the agent runs. Everything happens on its own strand; the public functions are thread-safe.
class Uplink : public std::enable_shared_from_this<Uplink> {
 public:
  Uplink(boost::asio::any_io_executor pool, std::shared_ptr<net::TlsContext> tls, std::shared_ptr<net::SessionRegistry> sessions,
         std::string receiver, std::string address, FrameSpool& spool, const AgentIdentity& identity, Clock& clock, UplinkCallbacks callbacks);

  /// What this receiver held at the last start, for the check that it did not roll back.
  void remember(const ReceiverMark& mark);
  /// The generation with which streams are opened; before start().
  void set_generation(Generation generation);
  /// Runs until stop().
  [[nodiscard]] net::Task<void> run();
  void stop();
  /// The spool has something new.
  void notify();
  /// Sends the newest status message when there is a session; an older one that was not sent is forgotten.
  void post_status(Bytes record);
  UplinkState state() const;

 private:
  net::Task<void> follow();
  net::Task<Status> session();
  net::Task<Status> introduce(client::ReceiverConnection& connection);
  net::Task<Status> open_stream(client::ReceiverConnection& connection, const StreamId& stream);
  net::Task<Status> put_epoch(client::ReceiverConnection& connection, const EpochId& epoch);
  net::Task<Status> put_record(client::ReceiverConnection& connection, Bytes record);
  net::Task<Status> send_entries(client::ReceiverConnection& connection);
  net::Task<Status> send_pending_status(client::ReceiverConnection& connection);
  net::Task<void> wait_for_work(Duration at_most);
  void on_ack(const protocol::Ack& ack);
  bool lacks_beginning(const FrameSpool::Resume& resume, const std::map<StreamId, FrameSpool::Held>& held) const;
  void check_rollback(const protocol::DatabaseState& state);
  bool take_held(const protocol::StreamState& held);
  void pass_over(std::uint64_t sequence);

  boost::asio::any_io_executor pool_;
  boost::asio::any_io_executor strand_;
  std::shared_ptr<net::TlsContext> tls_;
  std::shared_ptr<net::SessionRegistry> sessions_;
  const std::string receiver_, address_;
  FrameSpool& spool_;
  const AgentIdentity& identity_;
  Clock& clock_;
  UplinkCallbacks callbacks_;
  Generation generation_;
  boost::asio::steady_timer work_;

  // The strand's.
  SentLog sent_;
  std::set<StreamId> forked_;  ///< given up, and refused here
  std::uint64_t cursor_ = 0;
  std::optional<StreamId> open_stream_;
  std::optional<EpochId> put_epoch_;
  ReceiverMark mark_;
  Bytes pending_status_;

  mutable std::mutex mutex_;
  UplinkState state_;
  std::atomic<bool> stopping_{false};
};

/// Asks a receiver what it holds of this database, without opening a stream: the agent's generation is one more than the highest seen.
/// kTimeout when the connection or the answer takes longer than `patience`.
[[nodiscard]] net::Task<Result<protocol::DatabaseState>> query_receiver(boost::asio::any_io_executor pool, std::shared_ptr<net::TlsContext> tls,
                                                                        std::shared_ptr<net::SessionRegistry> sessions, std::string receiver,
                                                                        std::string address, const AgentIdentity& identity,
                                                                        std::chrono::milliseconds patience);

}  // namespace stele::agent
