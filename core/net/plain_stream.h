#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "core/net/byte_stream.h"

namespace stele::net {

/// TCP without TLS as the transport seam, for the HTTP server's local address. Nobody is authenticated: peer() must not be asked.
/// One deadline at a time holds for reads and writes: HTTP takes turns.
std::unique_ptr<ByteStream> make_plain_stream(boost::asio::ip::tcp::socket socket);

}  // namespace stele::net
