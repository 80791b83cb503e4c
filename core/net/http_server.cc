#include "core/net/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <sstream>
#include <unordered_map>

#include "core/net/gzip.h"
#include "core/net/listener.h"
#include "core/net/pacing.h"
#include "core/net/plain_stream.h"
#include "core/net/tls_connection.h"

namespace stele::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kMaxHeader = 8 * 1024;
constexpr std::size_t kReadPiece = 4 * 1024;
// Larger answers go in pieces of this size, so that those who are sent much wait for each other; smaller ones do not wait.
constexpr std::size_t kWritePiece = 256 * 1024, kSmallAnswer = 16 * 1024;

using Parser = http::request_parser<http::empty_body>;

std::string_view text(boost::beast::string_view v) { return {v.data(), v.size()}; }

/// True when one of the listed validators is this one.
bool has_validator(std::string_view listed, const std::string& etag) {
  return !etag.empty() && (listed == "*" || listed.find("\"" + etag + "\"") != std::string_view::npos);
}

/// The head of the answer as sent.
std::string make_head(const HttpResponse& response, const http::request<http::empty_body>& request, std::size_t body_size, bool keep) {
  http::response<http::empty_body> head{static_cast<http::status>(response.status), request.version()};
  if (response.status != 304) head.set(http::field::content_type, response.content_type);
  if (response.gzip) {
    head.set(http::field::content_encoding, "gzip");
    head.set(http::field::vary, "Accept-Encoding");
  }
  bool caching = false;
  for (const auto& [name, value] : response.headers) {
    head.set(name, value);
    caching = caching || name == "Cache-Control";
  }
  if (!caching) head.set(http::field::cache_control, response.etag.empty() ? "no-store" : "no-cache");
  if (!response.etag.empty()) head.set(http::field::etag, "\"" + response.etag + "\"");
  head.set("X-Content-Type-Options", "nosniff");
  if (response.status == 405) head.set(http::field::allow, "GET, HEAD");
  head.keep_alive(keep);
  if (response.status != 304) head.content_length(body_size);
  std::ostringstream out;
  out << head.base();
  return out.str();
}

/// Feeds the parser until the request is whole. False: nothing more to say to this client; an error of the parser's is in `wrong`.
Task<bool> read_request(ByteStream& stream, beast::flat_buffer& buffer, Parser& parser, beast::error_code& wrong) {
  for (;;) {
    if (buffer.size() > 0) {
      const std::size_t used = parser.put(buffer.data(), wrong);
      buffer.consume(used);
      if (wrong == http::error::need_more) wrong = {};
      if (wrong || parser.is_done()) co_return true;
    }
    if (buffer.size() > kMaxHeader) {
      wrong = http::error::header_limit;
      co_return true;
    }
    auto space = buffer.prepare(kReadPiece);
    auto n = co_await stream.read_some({static_cast<std::uint8_t*>(space.data()), space.size()});
    if (!n.ok()) co_return false;
    buffer.commit(*n);
  }
}

}  // namespace

struct HttpServer::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor pool, HttpServerOptions o)
      : options(std::move(o)), sent(options.bytes_per_second, options.burst, std::chrono::steady_clock::now()) {
    if (options.tls) {
      ListenerOptions l;
      l.address = options.address;
      l.limits = options.limits;
      l.handshake_deadline = options.deadline;
      l.policy = options.policy;
      if (!options.sessions) options.sessions = std::make_shared<SessionRegistry>();
      listener = std::make_unique<Listener>(std::move(pool), options.tls, options.sessions, std::move(l));
    } else {
      acceptor = std::make_shared<Acceptor>(std::move(pool), options.limits);
    }
  }

  HttpServerOptions options;
  std::shared_ptr<Acceptor> acceptor;    ///< plain
  std::unique_ptr<Listener> listener;    ///< TLS
  std::map<std::string, Handler, std::less<>> routes;
  std::mutex mutex;  ///< guards everything below
  TokenBucket sent;
  bool stopping = false;
  std::uint64_t next = 0;
  std::unordered_map<std::uint64_t, std::weak_ptr<ByteStream>> live;  ///< plain ones

  HttpResponse respond(const http::request<http::empty_body>& request, const ByteStream& stream) {
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      return {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
    }
    const std::string_view target = text(request.target());
    const std::size_t mark = target.find('?');
    HttpRequest r;
    r.path = std::string(target.substr(0, mark));
    r.query = mark == std::string_view::npos ? "" : std::string(target.substr(mark + 1));
    r.host = std::string(text(request[http::field::host]));
    r.peer_address = stream.peer_address();
    r.accepts_gzip = accepts_gzip(text(request[http::field::accept_encoding]));
    if (options.tls) r.peer = stream.peer();
    const auto route = routes.find(r.path);
    if (route == routes.end()) return {404, "text/plain; charset=utf-8", "no such page\n"};
    try {
      HttpResponse response = route->second(r);
      if (response.status == 200 && has_validator(text(request[http::field::if_none_match]), response.etag)) {
        response.status = 304;
        response.gzip = false;
        response.body.clear();
        response.shared.reset();
      }
      return response;
    } catch (const std::exception&) {
      return {500, "text/plain; charset=utf-8", "internal error\n"};
    }
  }

  /// How long these bytes must wait for those of others.
  std::chrono::nanoseconds reserve(std::size_t bytes) {
    const Instant now = std::chrono::steady_clock::now();
    std::lock_guard lock(mutex);
    const auto wait = sent.delay(bytes, now);
    sent.take(bytes, now);
    return wait;
  }

  static Task<Status> send(std::shared_ptr<State> self, ByteStream& stream, std::string_view head, std::string_view body, Instant deadline) {
    const bool paced = body.size() > kSmallAnswer;
    asio::steady_timer timer(co_await asio::this_coro::executor);
    std::vector<ByteView> pieces = {as_bytes(head)};
    do {
      const std::string_view piece = body.substr(0, kWritePiece);
      body.remove_prefix(piece.size());
      pieces.push_back(as_bytes(piece));
      if (const auto wait = paced ? self->reserve(piece.size()) : std::chrono::nanoseconds(0); wait.count() > 0) {
        timer.expires_after(wait);
        (void)co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        // It is not this client that was slow.
        deadline += wait;
        stream.set_write_deadline(deadline);
      }
      STELE_CO_CHECK(co_await stream.write_all(pieces));
      pieces.clear();
    } while (!body.empty());
    co_return Status();
  }

  /// The status that tells why a request could not be read.
  static int status_for(const beast::error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
    if (error == http::error::body_limit || error == http::error::unexpected_body) return 413;
    return 400;
  }

  static Task<void> talk(std::shared_ptr<State> self, std::shared_ptr<ByteStream> stream) {
    beast::flat_buffer buffer(kMaxHeader + 2 * kReadPiece);
    for (;;) {
      Parser parser;
      parser.header_limit(kMaxHeader);
      parser.body_limit(0);
      // One deadline for the whole request and its answer: a client that sends a byte now and then gains nothing.
      const Instant deadline = deadline_in(self->options.deadline);
      stream->set_read_deadline(deadline);
      stream->set_write_deadline(deadline);
      beast::error_code wrong;
      if (!co_await read_request(*stream, buffer, parser, wrong)) break;
      HttpResponse response;
      if (wrong) {
        response.status = status_for(wrong);
        response.body = std::string(text(http::obsolete_reason(static_cast<http::status>(response.status)))) + "\n";
      } else {
        response = self->respond(parser.get(), *stream);
      }
      const std::string_view body = response.shared ? std::string_view(*response.shared) : std::string_view(response.body);
      const bool keep = parser.get().keep_alive() && response.status < 400;
      const std::string head = make_head(response, parser.get(), body.size(), keep);
      const std::string_view sent_body = parser.get().method() == http::verb::head ? std::string_view() : body;
      if (Status written = co_await send(self, *stream, head, sent_body, deadline); !written.ok() || !keep) break;
    }
    co_await stream->shutdown();
  }

  static Task<void> serve_plain(std::shared_ptr<State> self, asio::ip::tcp::socket socket) {
    std::shared_ptr<ByteStream> stream = make_plain_stream(std::move(socket));
    std::uint64_t id = 0;
    {
      std::lock_guard lock(self->mutex);
      if (self->stopping) co_return;
      id = self->next++;
      self->live.emplace(id, stream);
    }
    co_await talk(self, stream);
    std::lock_guard lock(self->mutex);
    self->live.erase(id);
  }

  void close_plain() {
    std::vector<std::shared_ptr<ByteStream>> open;
    {
      std::lock_guard lock(mutex);
      stopping = true;
      for (const auto& [id, weak] : live) {
        if (auto stream = weak.lock()) open.push_back(std::move(stream));
      }
    }
    for (auto& stream : open) {
      auto executor = stream->executor();
      asio::post(executor, [stream = std::move(stream)] { stream->close(); });
    }
  }
};

HttpServer::HttpServer(asio::any_io_executor pool, HttpServerOptions options)
    : state_(std::make_shared<State>(std::move(pool), std::move(options))) {}

HttpServer::~HttpServer() {
  if (state_->acceptor) state_->acceptor->stop();
}

void HttpServer::route(std::string path, Handler handler) { state_->routes.insert_or_assign(std::move(path), std::move(handler)); }

Status HttpServer::start() {
  std::weak_ptr<State> weak = state_;
  if (state_->listener) {
    return state_->listener->start(
        [weak](std::unique_ptr<ByteStream> stream) -> Task<void> {
          auto state = weak.lock();
          return state ? State::talk(std::move(state), std::move(stream)) : []() -> Task<void> { co_return; }();
        },
        nullptr);
  }
  STELE_CHECK(state_->acceptor->open(state_->options.address));
  auto serve = [weak](asio::ip::tcp::socket socket) -> Task<void> {
    auto state = weak.lock();
    return state ? State::serve_plain(std::move(state), std::move(socket)) : []() -> Task<void> { co_return; }();
  };
  state_->acceptor->start(std::move(serve), nullptr);
  return {};
}

std::uint16_t HttpServer::port() const { return state_->listener ? state_->listener->port() : state_->acceptor->port(); }

std::vector<std::string> HttpServer::routes() const {
  std::vector<std::string> out;
  for (const auto& [path, handler] : state_->routes) out.push_back(path);
  return out;
}

Task<void> HttpServer::stop() {
  auto state = state_;
  if (state->listener) {
    co_await state->listener->stop();
    co_return;
  }
  state->acceptor->stop();
  state->close_plain();
  co_await state->acceptor->stopped();
}

HttpResponse SharedBody::answer(const HttpRequest& request) {
  HttpResponse out;
  out.shared = get(request.accepts_gzip);
  out.gzip = request.accepts_gzip;
  return out;
}

SharedBody::Body SharedBody::kept(bool gzip, Instant at) {
  std::lock_guard lock(mutex_);
  return at < good_until_ ? gzip ? gzip_ : plain_ : nullptr;
}

SharedBody::Body SharedBody::get(bool gzip) {
  if (Body held = kept(gzip, now_())) return held;
  std::unique_lock making(making_, std::try_to_lock);
  if (!making.owns_lock()) {
    if (Body held = kept(gzip, Instant{})) return held;
    making.lock();  // nothing of the kind was made before
  }
  if (Body held = kept(gzip, now_())) return held;
  return made(gzip);
}

SharedBody::Body SharedBody::made(bool gzip) {
  const Instant begin = now_();
  Body plain = kept(false, begin);
  const bool again = plain == nullptr;
  if (again) plain = std::make_shared<const std::string>(make_());
  Body zipped = gzip ? std::make_shared<const std::string>(net::gzip(*plain)) : nullptr;
  const Instant end = now_();
  std::lock_guard lock(mutex_);
  plain_ = plain;
  gzip_ = zipped;
  if (again) good_until_ = end + std::min<Instant::duration>((end - begin) * 9, std::chrono::seconds(1));
  return gzip ? zipped : plain;
}

}  // namespace stele::net
