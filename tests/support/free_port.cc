#include "tests/support/free_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <random>

namespace stele::test {

namespace {

bool can_listen(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool good = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return good;
}

}  // namespace

Result<int> free_port() {
  // Debian's range for outgoing connections begins at 32768.
  std::random_device random;
  std::uniform_int_distribution<int> ports(10'240, 32'767);
  for (int i = 0; i < 1000; ++i) {
    const int port = ports(random);
    if (can_listen(port)) return port;
  }
  return Error{ErrorCode::kIo, "find a free port on 127.0.0.1: none of 1000 tried", ""};
}

}  // namespace stele::test
