#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace stele::agent {

/// One host of a connection string, with everything that is needed to connect to it. Holds the password when the
/// connection string did: never log `keywords`; `label()` is made for messages.
struct ServerAddress {
  std::string host;      ///< name, IP address or socket directory; empty: libpq's default (PGHOST or the local socket)
  std::string hostaddr;  ///< IP address that replaces the look-up, may be empty
  std::string port;      ///< empty: libpq's default
  std::vector<std::pair<std::string, std::string>>
      keywords;  ///< everything else of the connection string (user, sslmode, ...)

  /// "host:port", "[::1]:5432" or "/run/postgresql:5432"; stable, used as the host's name in messages, state files and
  /// metrics.
  std::string label() const;
  const std::string* keyword(std::string_view name) const;
};

/// Splits a libpq connection string (`key=value ...` or a URI) with several hosts into one address for each, in their
/// order. A single port counts for every host, as in libpq. `target_session_attrs`, `load_balance_hosts` and
/// `replication` are left out: which host to use is this program's decision. kConfig when it cannot be parsed (without
/// libpq's reason, which may quote a piece of a password).
Result<std::vector<ServerAddress>> split_hosts(std::string_view conninfo);

}  // namespace stele::agent
