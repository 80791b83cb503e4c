#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/net/acceptor.h"
#include "core/net/socket_options.h"
#include "core/net/tls.h"

namespace stele::net {

struct ListenerOptions {
  std::string address = "127.0.0.1:0";  ///< "host:port"; port 0 takes a free one
  AcceptLimits limits;
  std::chrono::milliseconds handshake_deadline{10'000};
  SocketOptions socket;
  PeerPolicy policy;  ///< which roles may connect at all
  /// Where connections run (Acceptor); none: on the pool.
  std::vector<boost::asio::any_io_executor> connection_executors;
};

/// The receiver's TLS port: accepts, does the handshake, gives each authenticated stream to the handler.
///
/// The handler runs on the stream's strand and must return when its stream fails: stop() closes every stream and then
/// waits for the handlers. Refused connections are given to on_refused(address, error) for logs and metrics. Thread-safe.
class Listener {
 public:
  using Handler = std::function<Task<void>(std::unique_ptr<ByteStream>)>;
  using OnRefused = std::function<void(const std::string& address, const Error& error)>;

  Listener(boost::asio::any_io_executor pool, std::shared_ptr<TlsContext> tls, std::shared_ptr<SessionRegistry> sessions,
           ListenerOptions options);
  ~Listener();

  /// Binds, listens and begins to accept. kConfig or kIo.
  Status start(Handler handler, OnRefused on_refused);
  std::uint16_t port() const;
  std::size_t connections() const;
  std::uint64_t refused_by_limit() const;
  /// Stops accepting, closes handshakes and sessions under way, waits until every handler has returned.
  [[nodiscard]] Task<void> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stele::net
