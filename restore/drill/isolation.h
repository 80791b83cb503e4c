#pragma once

#include <sys/types.h>

#include "restore/drill/result.h"

namespace stele::restore {

/// What the kernel says about the network namespace of a running server: interfaces, routes, and whether it is another one than ours.
IsolationProof look_at_isolation(pid_t server);
/// Interfaces in the text of /proc/PID/net/dev, and routes of /proc/PID/net/route and ipv6_route that are not loopback's. Pure.
std::string interfaces_in(std::string_view net_dev);
int routes_in(std::string_view route, std::string_view ipv6_route);

/// Identity of a process' network namespace; 0: it cannot be seen.
std::uint64_t network_namespace(pid_t process);
/// Processes of this host whose network namespace is this one.
int processes_in(std::uint64_t network_namespace);

}  // namespace stele::restore
