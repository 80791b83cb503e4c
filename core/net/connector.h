#pragma once

#include <memory>
#include <string>

#include "core/net/socket_options.h"
#include "core/net/tls.h"

namespace stele::net {

struct ConnectOptions {
  std::string address;  ///< "host:port"
  PeerPolicy policy;    ///< whom we expect: role receiver and the configured name (not the host name)
  std::chrono::milliseconds deadline{10'000};  ///< for looking up, connecting and the handshake together
  SocketOptions socket;
};

/// Looks the host up (on Asio's resolver thread), tries its addresses in order, and does the TLS handshake. The stream
/// lives on a strand of its own over `pool`, which may differ from the caller's executor: continue with
/// co_spawn(stream->executor(), ...). kConfig (address), kUnreachable (name, refused, no route), kTimeout, and tls_connect's.
[[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> connect_tls(boost::asio::any_io_executor pool,
                                                                    std::shared_ptr<TlsContext> tls,
                                                                    std::shared_ptr<SessionRegistry> sessions,
                                                                    ConnectOptions options);

}  // namespace stele::net
