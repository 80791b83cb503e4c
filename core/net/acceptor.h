#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/net/byte_stream.h"

namespace stele::net {

struct AcceptLimits {
  std::size_t max_connections = 1024;
  std::size_t max_per_address = 256;  ///< connections from one IP address, handshakes included
};

/// Accepts TCP connections within limits, runs a coroutine for each on its own strand, and can wait for all of them.
/// Shared by the TLS listener and the HTTP server. Connections beyond a limit are closed at once and counted.
/// Use: make_shared, open(), start(); later stop() and co_await stopped(). Thread-safe.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  using Handler = std::function<Task<void>(boost::asio::ip::tcp::socket)>;
  /// `connections`: where connections run, each on the one with the fewest; none: on `pool`. They outlive every handler.
  Acceptor(boost::asio::any_io_executor pool, AcceptLimits limits, std::vector<boost::asio::any_io_executor> connections = {});

  /// Binds and listens on "host:port"; a name is looked up, "*" is every address, port 0 takes a free one. kConfig for a
  /// malformed address, kIo (address in use, no permission, unknown host).
  Status open(const std::string& address);
  std::uint16_t port() const { return port_; }
  /// An exception that leaves a handler ends its connection and is given to `on_exception`.
  void start(Handler handler, std::function<void(const Error&)> on_exception);
  /// No new connections from now on; those there are go on.
  void stop();
  /// Returns when stop() was called and every handler has ended.
  [[nodiscard]] Task<void> stopped();

  std::size_t connections() const;
  std::uint64_t refused() const;  ///< turned away by a limit, since start

 private:
  Task<void> accept_loop();
  std::size_t least_loaded() const;
  void session_ended(const std::string& ip, std::size_t place);
  boost::asio::any_io_executor pool_;
  AcceptLimits limits_;
  boost::asio::any_io_executor strand_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  Handler handler_;
  std::function<void(const Error&)> on_exception_;
  mutable std::mutex mutex_;
  bool running_ = false;  ///< the accept loop exists
  bool stopping_ = false;
  std::size_t connections_ = 0;
  std::uint64_t refused_ = 0;
  std::map<std::string, std::size_t> per_address_;
  struct Place {
    boost::asio::any_io_executor executor;
    std::size_t connections = 0;
  };
  std::vector<Place> places_;
};

}  // namespace stele::net
