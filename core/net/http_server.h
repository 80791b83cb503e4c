#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/net/acceptor.h"

namespace stele::net {

struct HttpRequest {
  std::string path;          ///< exactly as requested, before '?', not decoded
  std::string query;         ///< after '?', not decoded
  std::string peer_address;  ///< "127.0.0.1:41234"
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpServerOptions {
  std::string address = "127.0.0.1:0";
  AcceptLimits limits{64, 64};
  std::chrono::milliseconds deadline{10'000};  ///< for a whole request and its answer, and for an idle kept connection
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

}  // namespace stele::net
