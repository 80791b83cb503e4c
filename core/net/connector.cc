#include "core/net/connector.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/net/spawn.h"

namespace stele::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// Runs on the stream's strand.
Task<Result<std::unique_ptr<ByteStream>>> connect_here(std::shared_ptr<TlsContext> tls, std::shared_ptr<SessionRegistry> sessions,
                                                       ConnectOptions options) {
  const Instant deadline = deadline_in(options.deadline);
  STELE_CO_TRY(const HostPort where, parse_host_port(options.address));
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, deadline);
  const Error late{ErrorCode::kTimeout, fmt::format("connect to {}: no answer until the deadline", options.address),
                   "a firewall may drop the packets, or the host is down"};

  tcp::resolver resolver(executor);
  const std::string service = std::to_string(where.port);
  auto lookup = asio::experimental::make_parallel_group(
      resolver.async_resolve(where.host, service, tcp::resolver::numeric_service, asio::deferred), timer.async_wait(asio::deferred));
  auto [order, resolve_error, found, timer_error] =
      co_await lookup.async_wait(asio::experimental::wait_for_one(), asio::as_tuple(asio::use_awaitable));
  if (order[0] != 0) co_return late;
  if (resolve_error) {
    co_return Error{ErrorCode::kUnreachable, fmt::format("look up {}: {}", where.host, resolve_error.message()),
                    "check the address in the configuration and this host's name service"};
  }

  std::optional<boost::system::error_code> last;
  std::size_t left = found.size();
  for (const auto& entry : found) {
    tcp::socket socket(executor);
    // An address that stays silent must not use up the others' time.
    const Instant now = std::chrono::steady_clock::now();
    timer.expires_at(now + (deadline - now) / static_cast<int>(left--));
    auto attempt = asio::experimental::make_parallel_group(socket.async_connect(entry.endpoint(), asio::deferred), timer.async_wait(asio::deferred));
    auto [first, connect_error, wait_error] =
        co_await attempt.async_wait(asio::experimental::wait_for_one(), asio::as_tuple(asio::use_awaitable));
    if (connect_error) {
      if (first[0] != 0 && left == 0) co_return late;
      last = first[0] != 0 ? asio::error::timed_out : connect_error;
      continue;
    }
    STELE_CO_CHECK(apply_socket_options(socket, options.socket));
    co_return co_await tls_connect(std::move(socket), tls, options.policy, sessions, deadline);
  }
  co_return Error{ErrorCode::kUnreachable,
                  fmt::format("connect to {}: {}", options.address, last ? last->message() : "the name has no address"),
                  "is the receiver running, and does it listen on this address?"};
}

}  // namespace

Task<Result<std::unique_ptr<ByteStream>>> connect_tls(asio::any_io_executor pool, std::shared_ptr<TlsContext> tls,
                                                      std::shared_ptr<SessionRegistry> sessions, ConnectOptions options) {
  asio::any_io_executor strand = asio::make_strand(pool);
  co_return co_await run_on(strand, connect_here(std::move(tls), std::move(sessions), std::move(options)));
}

}  // namespace stele::net
