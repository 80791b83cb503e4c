#include "core/net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/contract/net/loopback.h"

namespace stele::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Http : public ::testing::Test {
 protected:
  test::Loopback loop_;
  std::unique_ptr<HttpServer> server_;

  void serve(HttpServerOptions options = {}) {
    server_ = std::make_unique<HttpServer>(loop_.executor(), options);
    server_->route("/metrics", [](const HttpRequest& r) { return HttpResponse{200, "text/plain", "up 1 " + r.query + "\n"}; });
    server_->route("/broken", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("secret"); });
    ASSERT_TRUE(server_->start().ok());
  }
  ~Http() override {
    const auto stop = [](HttpServer& server) -> Task<Status> {
      co_await server.stop();
      co_return Status();
    };
    if (server_) EXPECT_TRUE(loop_.run(stop(*server_)).ok());
  }
  std::string ask(const std::string& request) {
    test::RawClient client(server_->port());
    client.send(request);
    bool ended = false;
    std::string answer = client.read_all(ended);
    EXPECT_TRUE(ended) << request.substr(0, 60);
    return answer;
  }
  std::string get(const std::string& path, const std::string& method = "GET") {
    return ask(method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
};

TEST_F(Http, ServesExactPathsForGetAndHead) {
  serve();
  EXPECT_THAT(get("/metrics?a=1"), testing::AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\n\r\nup 1 a=1\n")));
  const std::string head = get("/metrics", "HEAD");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  for (const char* path : {"/", "/metrics/", "//metrics", "/../metrics", "/x/../metrics", "/%6detrics", "/metrics%00", "/etc/passwd", "*", "http://x/metrics"}) {
    EXPECT_THAT(get(path), StartsWith("HTTP/1.1 404 ")) << path;
  }
}

TEST_F(Http, RefusesOtherMethodsBodiesHugeHeadersAndRubbish) {
  serve();
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE"}) EXPECT_THAT(get("/metrics", method), StartsWith("HTTP/1.1 405 ")) << method;
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'a') + "\r\n\r\n"), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("GET /" + std::string(100'000, 'a') + " HTTP/1.1\r\n\r\n"), Not(HasSubstr(" 200 ")));
  EXPECT_THAT(ask("rubbish\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(get("/metrics"), StartsWith("HTTP/1.1 200 ")) << "and goes on serving";
}

TEST_F(Http, AHandlersExceptionIsA500WithoutItsWords) {
  serve();
  EXPECT_THAT(get("/broken"), testing::AllOf(StartsWith("HTTP/1.1 500 "), Not(HasSubstr("secret"))));
}

TEST_F(Http, CompressesASharedBodyForClientsThatTakeIt) {
  SharedBody body([] { return std::string(1000, 'x'); });
  server_ = std::make_unique<HttpServer>(loop_.executor(), HttpServerOptions{});
  server_->route("/metrics", [&](const HttpRequest& r) { return body.answer(r); });
  ASSERT_TRUE(server_->start().ok());
  const std::string plain = get("/metrics");
  EXPECT_THAT(plain, testing::AllOf(HasSubstr("Content-Length: 1000\r\n"), Not(HasSubstr("Content-Encoding")), HasSubstr("\r\n\r\nxxx")));
  const std::string packed = ask("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(packed, testing::AllOf(HasSubstr("Content-Encoding: gzip\r\n"), HasSubstr("Vary: Accept-Encoding\r\n"), HasSubstr("\r\n\r\n\x1f\x8b")));
  EXPECT_LT(packed.size(), plain.size());
}

TEST_F(Http, ALargeAnswerThatWaitsForOthersIsNotASlowClients) {
  HttpServerOptions options;
  options.deadline = 3s;
  options.bytes_per_second = options.burst = 256 << 10;  // waiting alone takes longer than the deadline
  server_ = std::make_unique<HttpServer>(loop_.executor(), options);
  server_->route("/large", [](const HttpRequest&) { return HttpResponse{200, "text/plain", std::string((5 << 18) + 1, 'x')}; });
  ASSERT_TRUE(server_->start().ok());
  const std::string answer = get("/large");
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, (5u << 18) + 1);
}

TEST_F(Http, KeepsAConnectionForSeveralRequests) {
  serve();
  const std::string one = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answers = ask(one + one + "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
  std::size_t count = 0;
  for (std::size_t at = answers.find("200 OK"); at != std::string::npos; at = answers.find("200 OK", at + 1)) ++count;
  EXPECT_EQ(count, 3u);
}

TEST_F(Http, DropsSlowClientsEvenWhenTheySendAByteNowAndThen) {
  HttpServerOptions options;
  options.deadline = 300ms;
  serve(options);
  test::RawClient silent(server_->port());
  test::RawClient slow(server_->port());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 40 && slow.send("G"); ++i) std::this_thread::sleep_for(50ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1900ms) << "was dropped while it was sending";
  bool ended = false;
  (void)silent.read_all(ended);
  EXPECT_TRUE(ended);
}

TEST_F(Http, LimitsConnections) {
  HttpServerOptions options;
  options.limits = {2, 2};
  serve(options);
  test::RawClient a(server_->port()), b(server_->port()), c(server_->port());
  bool ended = false;
  EXPECT_EQ(c.read_all(ended), "");
  EXPECT_TRUE(ended);
  a.send("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(a.read_all(ended), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace stele::net
