#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/net/byte_stream.h"
#include "core/net/message_stream.h"
#include "core/net/socket_options.h"
#include "core/net/tls.h"
#include "core/protocol/messages.h"

namespace stele::client {

/// Whom to connect to and what for.
struct ConnectionOptions {
  std::string address;   ///< "host:port"
  std::string receiver;  ///< the name that its certificate must carry (URI SAN stele:receiver:NAME)
  protocol::Purpose purpose = protocol::Purpose::kLog;
  protocol::InstanceId instance;  ///< of this start of the program
  std::string software;           ///< "stele-agent 0.1.0"
  std::chrono::milliseconds open_deadline{10'000};  ///< connecting, handshake and greeting together
  net::SocketOptions socket;
};

/// What comes without having been asked for. Called on the connection's strand, in the order of arrival; must not block, must not
/// destroy the connection. Any of them may be empty.
struct ConnectionEvents {
  std::function<void(const protocol::Ack&)> on_ack;
  std::function<void()> on_credit;            ///< more may be sent: available_credit() has grown
  std::function<void(const Error&)> on_end;   ///< once, when the connection ended for whatever reason but close()
};

/// One session with a receiver, seen from the client (PROTOCOL.md): greeting, requests answered in order, heartbeat, credit.
///
/// Thread-safe: every function may be called on any executor or thread; the work happens on the connection's own strand.
/// Destroying it closes the session; tasks under way end with kCancelled.
class ReceiverConnection {
 public:
  /// Connects, checks the receiver's certificate, greets. Errors: connect_tls's, the receiver's failure, kProtocol, kTimeout.
  [[nodiscard]] static net::Task<Result<std::unique_ptr<ReceiverConnection>>> open(boost::asio::any_io_executor pool,
                                                                                   std::shared_ptr<net::TlsContext> tls,
                                                                                   std::shared_ptr<net::SessionRegistry> sessions,
                                                                                   ConnectionOptions options, ConnectionEvents events);
  /// The same over a stream that is there already; its executor must be a strand (tests: memory streams).
  [[nodiscard]] static net::Task<Result<std::unique_ptr<ReceiverConnection>>> start(std::unique_ptr<net::ByteStream> stream,
                                                                                    ConnectionOptions options, ConnectionEvents events);
  ~ReceiverConnection();
  ReceiverConnection(const ReceiverConnection&) = delete;
  ReceiverConnection& operator=(const ReceiverConnection&) = delete;

  /// Version, name, heartbeat and first credit, as the receiver said.
  const protocol::HelloReply& greeting() const;

  /// Sends one request, whose body is the pieces one after the other, and waits for its answer. Several may be under way. kPutPack first
  /// waits for credit. The pieces stay valid until the task ends; do not cancel it, use the deadline. A kFailure becomes the error it
  /// carries; kTimeout leaves the session as it is (a late answer is dropped).
  [[nodiscard]] net::Task<Result<net::Message>> request(protocol::MessageType type, std::vector<ByteView> pieces,
                                                        Instant deadline);
  /// The same for one owned body, and the answer must have the expected type (else kProtocol, and the session ends). Gives its body.
  [[nodiscard]] net::Task<Result<Bytes>> call(protocol::MessageType type, Bytes body, protocol::MessageType expected, Instant deadline);

  /// Sends one message that has no answer of its own: kFrame (waits for credit first), kStatus. Returns when it was handed to the
  /// operating system. The same rules as for request().
  [[nodiscard]] net::Task<Status> send(protocol::MessageType type, std::vector<ByteView> pieces, Instant deadline);

  /// Bytes of frames or packs that may be sent now.
  std::uint64_t available_credit() const;

  /// Nothing while the session lives; then why it ended.
  Status status() const;
  /// Ends at once. Idempotent.
  void close();
  /// Tells the receiver that nothing follows, then closes.
  [[nodiscard]] net::Task<void> shutdown();

 private:
  struct State;
  explicit ReceiverConnection(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace stele::client
