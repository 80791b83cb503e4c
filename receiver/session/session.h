#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>

#include "core/net/activity_stream.h"
#include "core/net/message_stream.h"
#include "receiver/session/context.h"

namespace stele::receiver {

/// What sessions of all purposes share: greeting, heartbeat, answers in the order of requests, credit, the end. On one strand.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(SessionContext& context, std::unique_ptr<net::MessageStream> stream, std::shared_ptr<net::Activity> activity);
  virtual ~Session() = default;

  /// Reads and handles messages until the session ends; returns why.
  [[nodiscard]] net::Task<Status> run();
  /// Tells the peer why and ends. Any thread.
  void end_with(const Error& why);

 protected:
  /// One message. An error ends the session; a refused request is answered with answer_failure() and is no error.
  [[nodiscard]] virtual net::Task<Status> handle(net::Message message) = 0;
  /// The session ended; nothing is read any more.
  virtual void ended() {}

  /// The place of one answer among the others.
  struct Slot {
    bool done = false;
    protocol::MessageType type{};
    Bytes body;
    std::uint64_t credit = 0;  ///< given back with the answer
  };
  std::shared_ptr<Slot> reserve_slot();
  void fill(const std::shared_ptr<Slot>& slot, protocol::MessageType type, Bytes body);
  void fill(const std::shared_ptr<Slot>& slot, const Error& failure);
  /// Answers at once (after earlier ones).
  void answer(protocol::MessageType type, Bytes body) { fill(reserve_slot(), type, std::move(body)); }
  void answer_failure(const Error& failure) { fill(reserve_slot(), failure); }
  bool has_open_slots() const { return !slots_.empty(); }

  Status post(protocol::MessageType type, Bytes body);
  /// Counts bytes that cost credit; kProtocol when the peer sent more than it may.
  Status take_credit(std::uint64_t bytes, std::uint64_t window);
  /// Gives credit back, in pieces worth a message. `largest`: bytes of the largest message that costs credit here.
  void give_credit(std::uint64_t bytes, std::uint64_t window, std::uint64_t largest);
  /// Ends early when the session does: look at over() then. One at a time: within handle().
  [[nodiscard]] net::Task<void> pause(std::chrono::nanoseconds how_long);
  /// Waits as long as the site's rate asks for.
  [[nodiscard]] net::Task<void> pace(SiteState& site, std::uint64_t bytes);
  /// Keeps a record that an agent sent; kUnauthorised for those that only restore hosts write.
  Result<Digest> put_agent_record(Database& database, ByteView bytes);
  /// The agent's database, checked against certificate and configuration; nullptr with an error.
  Result<Database*> own_database(const DatabaseName& name);

  SessionContext& context_;
  std::unique_ptr<net::MessageStream> stream_;

 private:
  [[nodiscard]] net::Task<void> heartbeat();
  void flush_slots();
  void give_up();
  std::shared_ptr<net::Activity> activity_;
  boost::asio::steady_timer beat_, pause_;
  std::deque<std::shared_ptr<Slot>> slots_;
  std::uint64_t credit_out_ = 0;   ///< bytes received and not given back
  std::uint64_t credit_back_ = 0;  ///< to be given back with the next message
  bool over_ = false;
  bool given_up_ = false;          ///< nothing can be sent any more, or the peer was told why it ends
  std::optional<Error> told_;      ///< what end_with() was given

 protected:
  /// The session ended or is about to: whatever waits within handle() returns.
  bool over() const { return over_ || given_up_; }
};

std::shared_ptr<Session> make_log_session(SessionContext& context, std::unique_ptr<net::MessageStream> stream, std::shared_ptr<net::Activity> activity,
                                          const protocol::InstanceId& instance);
std::shared_ptr<Session> make_snapshot_session(SessionContext& context, std::unique_ptr<net::MessageStream> stream,
                                               std::shared_ptr<net::Activity> activity, const protocol::InstanceId& instance);
std::shared_ptr<Session> make_read_session(SessionContext& context, std::unique_ptr<net::MessageStream> stream, std::shared_ptr<net::Activity> activity);

}  // namespace stele::receiver
