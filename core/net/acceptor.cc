#include "core/net/acceptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/net/socket_options.h"

namespace stele::net {

namespace asio = boost::asio;
using asio::ip::tcp;

Acceptor::Acceptor(asio::any_io_executor pool, AcceptLimits limits, std::vector<asio::any_io_executor> connections)
    : pool_(std::move(pool)), limits_(limits), strand_(asio::make_strand(pool_)), acceptor_(strand_) {
  if (connections.empty()) connections.push_back(pool_);
  for (auto& executor : connections) places_.push_back({std::move(executor)});
}

Status Acceptor::open(const std::string& address) {
  STELE_TRY(HostPort where, parse_host_port(address));
  boost::system::error_code error;
  tcp::endpoint endpoint;
  if (where.host == "*") {
    endpoint = tcp::endpoint(tcp::v6(), where.port);
  } else {
    // Before the program serves anybody, so a slow name server holds up nothing.
    tcp::resolver resolver(pool_);
    auto found = resolver.resolve(where.host, std::to_string(where.port), tcp::resolver::passive, error);
    if (error || found.empty()) {
      return Error{ErrorCode::kIo, fmt::format("listen on {}: {}", address, error.message()), "use an address of this host"};
    }
    endpoint = found.begin()->endpoint();
  }
  auto failed = [&](std::string_view hint) {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    return Error{ErrorCode::kIo, fmt::format("listen on {}: {}", address, error.message()), std::string(hint)};
  };
  acceptor_.open(endpoint.protocol(), error);
  if (error && where.host == "*") {
    // A kernel without IPv6.
    endpoint = tcp::endpoint(tcp::v4(), where.port);
    acceptor_.open(endpoint.protocol(), error);
  }
  if (error) return failed("");
  acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && where.host == "*" && endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false), error);
  if (error) return failed("");
  acceptor_.bind(endpoint, error);
  if (error) return failed("another program may have the port, or the address is not this host's");
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return failed("");
  port_ = acceptor_.local_endpoint(error).port();
  return {};
}

void Acceptor::start(Handler handler, std::function<void(const Error&)> on_exception) {
  handler_ = std::move(handler);
  on_exception_ = std::move(on_exception);
  {
    std::lock_guard lock(mutex_);
    running_ = true;
  }
  asio::co_spawn(strand_, accept_loop(), [self = shared_from_this()](std::exception_ptr e) {
    if (e && self->on_exception_) self->on_exception_(Error{ErrorCode::kInternal, "accept connections: an exception ended it", ""});
    std::lock_guard lock(self->mutex_);
    self->running_ = false;
  });
}

Task<void> Acceptor::accept_loop() {
  auto self = shared_from_this();
  asio::steady_timer pause(strand_);
  for (;;) {
    const std::size_t place = least_loaded();
    auto [error, socket] = co_await acceptor_.async_accept(asio::make_strand(places_[place].executor), asio::as_tuple(asio::use_awaitable));
    {
      std::lock_guard lock(mutex_);
      if (stopping_) co_return;
    }
    if (error) {
      // Out of descriptors or memory: connections wait in the kernel until some end. Others concern one connection only.
      pause.expires_after(std::chrono::milliseconds(50));
      (void)co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    boost::system::error_code ignored;
    const std::string ip = socket.remote_endpoint(ignored).address().to_string();
    {
      std::lock_guard lock(mutex_);
      if (connections_ >= limits_.max_connections || per_address_[ip] >= limits_.max_per_address) {
        if (per_address_[ip] == 0) per_address_.erase(ip);
        ++refused_;
        continue;
      }
      ++connections_;
      ++per_address_[ip];
      ++places_[place].connections;
    }
    auto executor = socket.get_executor();
    asio::co_spawn(executor, handler_(std::move(socket)), [self, ip, place](std::exception_ptr e) {
      if (e && self->on_exception_) {
        std::string what = "unknown exception";
        try {
          std::rethrow_exception(e);
        } catch (const std::exception& known) {
          what = known.what();
        } catch (...) {
        }
        self->on_exception_(Error{ErrorCode::kInternal, fmt::format("connection from {}: {}", ip, what), ""});
      }
      self->session_ended(ip, place);
    });
  }
}

std::size_t Acceptor::least_loaded() const {
  std::lock_guard lock(mutex_);
  auto least = std::min_element(places_.begin(), places_.end(), [](const Place& a, const Place& b) { return a.connections < b.connections; });
  return static_cast<std::size_t>(least - places_.begin());
}

void Acceptor::session_ended(const std::string& ip, std::size_t place) {
  std::lock_guard lock(mutex_);
  --connections_;
  --places_[place].connections;
  if (auto it = per_address_.find(ip); it != per_address_.end() && --it->second == 0) per_address_.erase(it);
}

void Acceptor::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asio::post(strand_, [self = shared_from_this()] {
    boost::system::error_code ignored;
    self->acceptor_.close(ignored);
  });
}

Task<void> Acceptor::stopped() {
  auto self = shared_from_this();
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopping_ && !running_ && connections_ == 0) co_return;
    }
    timer.expires_after(std::chrono::milliseconds(5));
    (void)co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

std::size_t Acceptor::connections() const {
  std::lock_guard lock(mutex_);
  return connections_;
}

std::uint64_t Acceptor::refused() const {
  std::lock_guard lock(mutex_);
  return refused_;
}

}  // namespace stele::net
