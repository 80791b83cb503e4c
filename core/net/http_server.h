#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/net/acceptor.h"
#include "core/net/tls.h"

namespace stele::net {

struct HttpRequest {
  std::string path;          ///< exactly as requested, before '?', not decoded
  std::string query;         ///< after '?', not decoded
  std::string host;          ///< the Host header; may be empty
  std::string peer_address;  ///< "127.0.0.1:41234"
  bool accepts_gzip = false; ///< the client takes a body that is compressed with gzip
  std::optional<PeerIdentity> peer;  ///< who the certificate says it is; nothing without TLS
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  /// Instead of `body`: many answers share it, and a slow client holds no copy.
  std::shared_ptr<const std::string> shared;
  bool gzip = false;  ///< the body is compressed with gzip: only for a client that accepts it
  /// A strong validator without quotes; the server answers 304 to a client that has it. Empty: none.
  std::string etag;
  std::vector<std::pair<std::string, std::string>> headers;  ///< further ones
};

struct HttpServerOptions {
  std::string address = "127.0.0.1:0";
  AcceptLimits limits{64, 64};
  std::chrono::milliseconds deadline{10'000};  ///< for a whole request and its answer, and for an idle kept connection
  /// What all connections together are sent, 0: unlimited. Beyond it answers wait: who asks for much and often slows down himself only.
  std::uint64_t bytes_per_second = 32 << 20, burst = 16 << 20;
  /// HTTPS for peers that `policy` accepts; null: plain HTTP.
  std::shared_ptr<TlsContext> tls;
  std::shared_ptr<SessionRegistry> sessions;
  PeerPolicy policy;
};

/// The program's one small HTTP server (metrics, health, the receiver's page): exact paths, GET and HEAD only.
/// Header at most 8 KiB (431), no bodies (413), other methods 405, unknown paths 404. Slow clients are dropped.
class HttpServer {
 public:
  /// Runs on one of the pool's threads; must not block for long. What it throws becomes a 500.
  using Handler = std::function<HttpResponse(const HttpRequest&)>;

  HttpServer(boost::asio::any_io_executor pool, HttpServerOptions options);
  ~HttpServer();

  /// Before start().
  void route(std::string path, Handler handler);
  /// kConfig or kIo.
  Status start();
  std::uint16_t port() const;
  std::vector<std::string> routes() const;
  [[nodiscard]] Task<void> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A body that costs something to make, for many who ask at once: it is made again when it is older than ten times what making it took (at
/// most a second), so however many ask, one thread spends a tenth of its time on it. Who asks while it is made gets the last one. It is
/// compressed once, when the first client asks that takes it so. Thread-safe.
class SharedBody {
 public:
  explicit SharedBody(std::function<std::string()> make, std::function<Instant()> now = &std::chrono::steady_clock::now)
      : make_(std::move(make)), now_(std::move(now)) {}
  /// 200 with the body; content type and validator are the caller's to fill in.
  HttpResponse answer(const HttpRequest& request);

 private:
  using Body = std::shared_ptr<const std::string>;
  Body get(bool gzip);
  Body kept(bool gzip, Instant at);  ///< null: there is none that is good at that moment
  Body made(bool gzip);              ///< with making_ held

  const std::function<std::string()> make_;
  const std::function<Instant()> now_;
  std::mutex making_, mutex_;  ///< making_ first; mutex_ guards everything below
  Body plain_, gzip_;          ///< of one moment; gzip_ is null until somebody asks for it
  Instant good_until_{};
};

}  // namespace stele::net
