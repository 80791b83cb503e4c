#pragma once

#include <sys/types.h>

#include "restore/drill/result.h"

namespace stele::restore {

/// What the kernel says about the network namespace of a running server: interfaces, routes, and whether it is another one than ours.
IsolationProof look_at_isolation(pid_t server);
/// True where nothing but loopback and what the kernel puts into every new namespace, down, is among the interfaces (comma-separated): the
/// fallback devices of tunnel modules (Documentation/admin-guide/sysctl/net.rst, fb_tunnels_only_for_init_net). One that were up would have routes.
bool only_what_every_namespace_has(std::string_view interfaces);
/// Interfaces in the text of /proc/PID/net/dev, and routes of /proc/PID/net/route and ipv6_route that are not loopback's. Pure.
std::string interfaces_in(std::string_view net_dev);
int routes_in(std::string_view route, std::string_view ipv6_route);

/// True where a PostgreSQL server of this user runs on the host: namespaces of the network do not hide unix sockets in the file system, and peer
/// authentication lets in whoever runs as the same user.
bool runs_servers(uid_t user);

/// A process' network namespace, kept open: its number is given to no other namespace while this lives, so that processes can be counted
/// after the server has gone (namespaces(7): device and inode name one only while it exists).
class HeldNetwork {
 public:
  HeldNetwork() = default;
  /// Waits (a second at most) until a process that was just started has left our namespace for its own. Holds nothing when that cannot be seen.
  explicit HeldNetwork(pid_t process);
  ~HeldNetwork();
  HeldNetwork(HeldNetwork&& other) noexcept;
  HeldNetwork& operator=(HeldNetwork&& other) noexcept;

  bool held() const { return fd_ >= 0; }
  /// Processes of this host that are in it.
  int processes() const;

 private:
  int fd_ = -1;
};

}  // namespace stele::restore
