#include "core/net/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <unordered_map>

#include "core/net/tls_connection.h"

namespace stele::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kMaxHeader = 8 * 1024;

using Stream = beast::tcp_stream;
using Answer = http::response<http::string_body>;

Answer make_answer(const HttpResponse& response, const http::request<http::empty_body>& request) {
  Answer answer{static_cast<http::status>(response.status), request.version()};
  answer.set(http::field::content_type, response.content_type);
  answer.set(http::field::cache_control, "no-store");
  answer.set("X-Content-Type-Options", "nosniff");
  if (response.status == 405) answer.set(http::field::allow, "GET, HEAD");
  answer.keep_alive(request.keep_alive() && response.status < 400);
  answer.body() = response.body;
  answer.prepare_payload();
  if (request.method() == http::verb::head) answer.body().clear();
  return answer;
}

}  // namespace

struct HttpServer::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor pool, HttpServerOptions o)
      : options(std::move(o)), acceptor(std::make_shared<Acceptor>(std::move(pool), options.limits)) {}

  HttpServerOptions options;
  std::shared_ptr<Acceptor> acceptor;
  std::map<std::string, Handler, std::less<>> routes;
  std::mutex mutex;
  bool stopping = false;
  std::uint64_t next = 0;
  std::unordered_map<std::uint64_t, std::weak_ptr<Stream>> live;

  HttpResponse respond(const http::request<http::empty_body>& request, const std::string& address) {
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      return {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
    }
    const std::string_view target(request.target().data(), request.target().size());
    const std::size_t mark = target.find('?');
    HttpRequest r;
    r.path = std::string(target.substr(0, mark));
    r.query = mark == std::string_view::npos ? "" : std::string(target.substr(mark + 1));
    r.peer_address = address;
    const auto route = routes.find(r.path);
    if (route == routes.end()) return {404, "text/plain; charset=utf-8", "no such page\n"};
    try {
      return route->second(r);
    } catch (const std::exception&) {
      return {500, "text/plain; charset=utf-8", "internal error\n"};
    }
  }

  /// The status that tells why a request could not be read, 0 when the connection is simply to be closed.
  static int status_for(const beast::error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
    if (error == http::error::body_limit || error == http::error::unexpected_body) return 413;
    if (error == http::error::end_of_stream || error == http::error::partial_message || error == beast::error::timeout) return 0;
    return error.category() == make_error_code(http::error::bad_method).category() ? 400 : 0;
  }

  static Task<void> talk(std::shared_ptr<State> self, std::shared_ptr<Stream> stream, std::string address) {
    beast::flat_buffer buffer(2 * kMaxHeader);
    for (;;) {
      http::request_parser<http::empty_body> parser;
      parser.header_limit(kMaxHeader);
      parser.body_limit(0);
      // One deadline for the whole request and its answer: a client that sends a byte now and then gains nothing.
      stream->expires_after(self->options.deadline);
      auto [read_error, read] = co_await http::async_read(*stream, buffer, parser, asio::as_tuple(asio::use_awaitable));
      HttpResponse response;
      if (read_error) {
        response.status = status_for(read_error);
        if (response.status == 0) co_return;
        response.body = std::string(http::obsolete_reason(static_cast<http::status>(response.status))) + "\n";
      } else {
        response = self->respond(parser.get(), address);
      }
      const Answer answer = make_answer(response, parser.get());
      auto [write_error, written] = co_await http::async_write(*stream, answer, asio::as_tuple(asio::use_awaitable));
      if (write_error || !answer.keep_alive()) co_return;
    }
  }

  static Task<void> serve(std::shared_ptr<State> self, asio::ip::tcp::socket socket) {
    const std::string address = remote_address(socket);
    auto stream = std::make_shared<Stream>(std::move(socket));
    std::uint64_t id = 0;
    {
      std::lock_guard lock(self->mutex);
      if (self->stopping) co_return;
      id = self->next++;
      self->live.emplace(id, stream);
    }
    co_await talk(self, stream, address);
    {
      std::lock_guard lock(self->mutex);
      self->live.erase(id);
    }
    // A socket closed with unread bytes resets the connection, and the client never sees the answer: read on for a moment.
    beast::error_code ignored;
    stream->socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    stream->expires_after(std::min<std::chrono::milliseconds>(self->options.deadline, std::chrono::milliseconds(500)));
    std::array<char, 4096> rest;
    for (std::size_t total = 0; total < (1 << 20);) {
      auto [error, n] = co_await stream->async_read_some(asio::buffer(rest), asio::as_tuple(asio::use_awaitable));
      if (error) break;
      total += n;
    }
    stream->close();
  }
};

HttpServer::HttpServer(asio::any_io_executor pool, HttpServerOptions options)
    : state_(std::make_shared<State>(std::move(pool), std::move(options))) {}

HttpServer::~HttpServer() { state_->acceptor->stop(); }

void HttpServer::route(std::string path, Handler handler) { state_->routes.insert_or_assign(std::move(path), std::move(handler)); }

Status HttpServer::start() {
  STELE_CHECK(state_->acceptor->open(state_->options.address));
  std::weak_ptr<State> weak = state_;
  auto serve = [weak](asio::ip::tcp::socket socket) -> Task<void> {
    auto state = weak.lock();
    return state ? State::serve(std::move(state), std::move(socket)) : []() -> Task<void> { co_return; }();
  };
  state_->acceptor->start(std::move(serve), nullptr);
  return {};
}

std::uint16_t HttpServer::port() const { return state_->acceptor->port(); }

std::vector<std::string> HttpServer::routes() const {
  std::vector<std::string> out;
  for (const auto& [path, handler] : state_->routes) out.push_back(path);
  return out;
}

Task<void> HttpServer::stop() {
  auto state = state_;
  state->acceptor->stop();
  std::vector<std::shared_ptr<Stream>> live;
  {
    std::lock_guard lock(state->mutex);
    state->stopping = true;
    for (const auto& [id, weak] : state->live) {
      if (auto stream = weak.lock()) live.push_back(std::move(stream));
    }
  }
  for (auto& stream : live) {
    auto executor = stream->get_executor();
    asio::post(executor, [stream = std::move(stream)] { stream->close(); });
  }
  co_await state->acceptor->stopped();
}

}  // namespace stele::net
