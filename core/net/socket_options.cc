#include "core/net/socket_options.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>

namespace stele::net {

namespace {

Status set(int socket, int level, int option, int value, std::string_view name) {
  if (::setsockopt(socket, level, option, &value, sizeof(value)) != 0) return system_error("setsockopt", name, errno);
  return {};
}

}  // namespace

Status apply_socket_options(boost::asio::ip::tcp::socket& socket, const SocketOptions& o) {
  const int fd = socket.native_handle();
  auto as_int = [](std::uint32_t v) { return static_cast<int>(std::min<std::uint32_t>(v, INT32_MAX)); };
  STELE_CHECK(set(fd, IPPROTO_TCP, TCP_NODELAY, o.no_delay ? 1 : 0, "TCP_NODELAY"));
  if (o.notsent_lowat != 0) STELE_CHECK(set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, as_int(o.notsent_lowat), "TCP_NOTSENT_LOWAT"));
  if (o.user_timeout_ms != 0) STELE_CHECK(set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, as_int(o.user_timeout_ms), "TCP_USER_TIMEOUT"));
  if (o.keepalive_idle_s != 0) {
    STELE_CHECK(set(fd, SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"));
    STELE_CHECK(set(fd, IPPROTO_TCP, TCP_KEEPIDLE, as_int(o.keepalive_idle_s), "TCP_KEEPIDLE"));
    STELE_CHECK(set(fd, IPPROTO_TCP, TCP_KEEPINTVL, as_int(o.keepalive_interval_s), "TCP_KEEPINTVL"));
    STELE_CHECK(set(fd, IPPROTO_TCP, TCP_KEEPCNT, as_int(o.keepalive_probes), "TCP_KEEPCNT"));
  }
  return {};
}

std::string HostPort::to_string() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<HostPort> parse_host_port(std::string_view text) {
  const Error wrong{ErrorCode::kConfig, fmt::format("address '{}' is not host:port", text),
                    "write it as 10.0.0.7:7430, receiver.example:7430, [::1]:7430 or *:7430"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return wrong;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[' && host.size() > 2 && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of("[]: /") != std::string_view::npos) {
    return wrong;
  }
  HostPort out;
  out.host = std::string(host);
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (error != std::errc() || end != port.data() + port.size() || host.size() > 253) return wrong;
  return out;
}

}  // namespace stele::net
