#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "restore/drill/metrics.h"

namespace stele::restore {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::chrono::seconds kPatience{10};

asio::awaitable<unsigned> put(std::string host, std::uint16_t port, std::string target, std::string body) {
  const auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver(executor);
  const auto addresses = co_await resolver.async_resolve(host, std::to_string(port), asio::use_awaitable);
  beast::tcp_stream stream(executor);
  stream.expires_after(kPatience);
  co_await stream.async_connect(addresses, asio::use_awaitable);
  http::request<http::string_body> request(http::verb::put, target, 11);
  request.set(http::field::host, host);
  request.set(http::field::user_agent, "stele-restore " STELE_VERSION);
  request.set(http::field::content_type, "text/plain; version=0.0.4");
  request.body() = std::move(body);
  request.prepare_payload();
  co_await http::async_write(stream, request, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  co_await http::async_read(stream, buffer, response, asio::use_awaitable);
  co_return response.result_int();
}

}  // namespace

Status push_metrics(const std::string& host, std::uint16_t port, const DatabaseName& database, std::string_view text) {
  asio::io_context io(1);
  unsigned status = 0;
  std::string problem;
  const std::string target = fmt::format("/metrics/job/stele_drill/site/{}/database/{}", database.site, database.database);
  asio::co_spawn(io, put(host, port, target, std::string(text)), [&](std::exception_ptr e, unsigned answer) {
    status = answer;
    try {
      if (e) std::rethrow_exception(e);
    } catch (const std::exception& caught) {
      problem = caught.what();
    }
  });
  io.run();
  const std::string what = fmt::format("push metrics to {}:{}", host, port);
  if (!problem.empty()) return Error{ErrorCode::kClosed, fmt::format("{}: {}", what, problem), "is the Pushgateway running?"};
  if (status / 100 != 2) return Error{ErrorCode::kProtocol, fmt::format("{}: it answered {}", what, status), "look at the Pushgateway's log"};
  return {};
}

}  // namespace stele::restore
