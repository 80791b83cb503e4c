#include "tests/support/programs/relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace stele::test {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

bool send_all(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

struct Pair {
  int a = -1, b = -1;
};

}  // namespace

Result<std::unique_ptr<RecordingRelay>> RecordingRelay::start(int target_port, const std::string& record_file) {
  std::unique_ptr<RecordingRelay> relay(new RecordingRelay);
  relay->target_port_ = target_port;
  relay->record_ = open(record_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (relay->record_ < 0) return system_error("open", record_file, errno);
  relay->listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  if (relay->listener_ < 0 || bind(relay->listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(relay->listener_, 16) != 0 ||
      getsockname(relay->listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return system_error("listen for", "relay", errno);
  }
  relay->port_ = ntohs(address.sin_port);
  relay->thread_ = std::thread([raw = relay.get()] { raw->run(); });
  return relay;
}

RecordingRelay::~RecordingRelay() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  if (listener_ >= 0) close(listener_);
  if (record_ >= 0) close(record_);
}

void RecordingRelay::run() {
  std::vector<Pair> pairs;
  std::vector<char> buffer(1 << 16);
  while (!stop_) {
    if (cut_) {
      for (const Pair& p : pairs) {
        close(p.a);
        close(p.b);
      }
      pairs.clear();
    }
    std::vector<pollfd> waiting{{listener_, POLLIN, 0}};
    for (const Pair& p : pairs) {
      waiting.push_back({p.a, POLLIN, 0});
      waiting.push_back({p.b, POLLIN, 0});
    }
    if (poll(waiting.data(), waiting.size(), 50) <= 0) continue;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      for (int side = 0; side < 2 && pairs[i].a >= 0; ++side) {
        if (waiting[1 + 2 * i + static_cast<std::size_t>(side)].revents == 0) continue;
        const int from = side == 0 ? pairs[i].a : pairs[i].b, to = side == 0 ? pairs[i].b : pairs[i].a;
        const ssize_t n = recv(from, buffer.data(), buffer.size(), 0);
        if (n > 0 && write(record_, buffer.data(), static_cast<std::size_t>(n)) == n &&
            send_all(to, buffer.data(), static_cast<std::size_t>(n))) {
          bytes_ += static_cast<std::uint64_t>(n);
          continue;
        }
        close(pairs[i].a);
        close(pairs[i].b);
        pairs[i] = {};
      }
    }
    std::erase_if(pairs, [](const Pair& p) { return p.a < 0; });
    if (waiting[0].revents & POLLIN) {
      Pair p;
      p.a = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      p.b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address = loopback(target_port_);
      if (!cut_ && p.a >= 0 && p.b >= 0 && connect(p.b, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
        pairs.push_back(p);
      } else {
        if (p.a >= 0) close(p.a);
        if (p.b >= 0) close(p.b);
      }
    }
  }
  for (const Pair& p : pairs) {
    close(p.a);
    close(p.b);
  }
}

}  // namespace stele::test
