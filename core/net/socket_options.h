#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace stele::net {

/// TCP settings of a connection (man 7 tcp). Applied before the TLS handshake.
struct SocketOptions {
  bool no_delay = true;
  /// TCP_NOTSENT_LOWAT in bytes, 0 = the system's: how much unsent data the kernel takes. Small on a snapshot's connection,
  /// so that what is queued in the kernel does not delay the change log on a thin line.
  std::uint32_t notsent_lowat = 0;
  /// TCP_USER_TIMEOUT in milliseconds, 0 = the system's: a line that acknowledges nothing for so long is dead.
  std::uint32_t user_timeout_ms = 30'000;
  /// Keepalive: first probe after so many idle seconds, then every so many, given up after so many probes.
  std::uint32_t keepalive_idle_s = 20;
  std::uint32_t keepalive_interval_s = 5;
  std::uint32_t keepalive_probes = 4;
};

Status apply_socket_options(boost::asio::ip::tcp::socket& socket, const SocketOptions& options);

/// "host:port", "[::1]:port", "*:port" (every address, for listening). kConfig when it is not one.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  std::string to_string() const;
};
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace stele::net
