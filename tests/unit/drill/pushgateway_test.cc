#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "restore/drill/metrics.h"

namespace stele::restore {
namespace {

using testing::HasSubstr;

/// Takes one request on a free port of loopback and answers it.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] {
      const int peer = accept(listener_, nullptr, nullptr);
      char buffer[4096];
      // The body is the request's last part and ends with "end".
      for (ssize_t n = 0; !request_.ends_with("end\n") && (n = read(peer, buffer, sizeof(buffer))) > 0;) request_.append(buffer, static_cast<std::size_t>(n));
      EXPECT_EQ(write(peer, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
      close(peer);
    });
  }
  ~OneAnswer() {
    wait();
    close(listener_);
  }
  std::string wait() {
    if (thread_.joinable()) thread_.join();
    return request_;
  }
  std::uint16_t port() const { return port_; }

 private:
  int listener_;
  std::uint16_t port_ = 0;
  std::string request_;
  std::thread thread_;
};

TEST(Pushgateway, GetsThePutOfSiteAndDatabase) {
  OneAnswer gateway("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
  const Status done = push_metrics("127.0.0.1", gateway.port(), {"440000", "registry"}, "stele_drill_success 1\n# end\n");
  EXPECT_TRUE(done.ok()) << done.error().to_string();
  const std::string request = gateway.wait();
  EXPECT_TRUE(request.starts_with("PUT /metrics/job/stele_drill/site/440000/database/registry HTTP/1.1\r\n")) << request;
  EXPECT_THAT(request, HasSubstr("\r\nContent-Type: text/plain; version=0.0.4\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\n\r\nstele_drill_success 1\n# end\n"));
}

TEST(Pushgateway, ThatRefusesOrIsNotThereIsToldAsAnError) {
  OneAnswer gateway("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  const Status refused = push_metrics("127.0.0.1", gateway.port(), {"440000", "registry"}, "# end\n");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().what, HasSubstr("it answered 400"));
  gateway.wait();
  OneAnswer gone("");
  const std::uint16_t port = gone.port();
  const Status closed = push_metrics("127.0.0.1", port, {"440000", "registry"}, "# end\n");
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.error().code, ErrorCode::kClosed);
}

}  // namespace
}  // namespace stele::restore
