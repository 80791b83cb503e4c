#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "core/net/socket_options.h"
#include "receiver/status/report.h"

namespace stele::receiver {

namespace beast = boost::beast;

Result<std::string> http_get(const std::string& address, const std::string& path) {
  STELE_TRY(net::HostPort target, net::parse_host_port(address));
  if (target.host == "*" || target.host == "0.0.0.0" || target.host == "::") target.host = "127.0.0.1";
  boost::asio::io_context io;
  beast::tcp_stream stream(io);
  boost::system::error_code failed;
  std::string body;
  unsigned answered = 0;
  stream.expires_after(std::chrono::seconds(10));
  boost::system::error_code ec;
  const auto ip = boost::asio::ip::make_address(target.host == "localhost" ? "127.0.0.1" : target.host, ec);
  if (ec) return Error{ErrorCode::kConfig, fmt::format("{}: the metrics address is not an IP address", address), ""};
  beast::http::request<beast::http::empty_body> request{beast::http::verb::get, path, 11};
  request.set(beast::http::field::host, target.host);
  request.set(beast::http::field::connection, "close");
  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> response;
  response.body_limit(64 << 20);
  // Asynchronous only so that the deadline holds.
  stream.async_connect({ip, target.port}, [&](boost::system::error_code connect_error) {
    if ((failed = connect_error)) return;
    beast::http::async_write(stream, request, [&](boost::system::error_code write_error, std::size_t) {
      if ((failed = write_error)) return;
      beast::http::async_read(stream, buffer, response, [&](boost::system::error_code read_error, std::size_t) {
        if ((failed = read_error)) return;
        answered = response.get().result_int();
        body = response.get().body();
      });
    });
  });
  io.run();
  if (failed) {
    return Error{ErrorCode::kUnreachable, fmt::format("ask http://{}{}: {}", address, path, failed.message()), "is the receiver running?"};
  }
  if (answered != 200) return Error{ErrorCode::kProtocol, fmt::format("ask http://{}{}: answer {}", address, path, answered), ""};
  return body;
}

}  // namespace stele::receiver
