#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/net/byte_stream.h"
#include "core/net/openssl.h"
#include "core/net/tls.h"
#include "core/net/wakeup.h"

namespace stele::net {

/// One TLS connection over a TCP socket: OpenSSL works on a pair of memory rings, so that many records go out in one
/// system call (Asio's ssl::stream sends each 16 KiB record alone). Used inside core/net; others see ByteStream.
/// Everything on the socket's executor. Shared, because close() may be asked for by SessionRegistry.
class TlsConnection : public std::enable_shared_from_this<TlsConnection> {
 public:
  enum class Side { kServer, kClient };

  static Result<std::shared_ptr<TlsConnection>> make(boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context,
                                                     PeerPolicy policy, Side side);
  ~TlsConnection();

  /// The handshake; on success registers with `sessions` (may be null).
  Task<Status> handshake(std::shared_ptr<SessionRegistry> sessions, Instant deadline);
  Task<Result<std::size_t>> read_some(MutableByteView out);
  Task<Status> write_all(std::span<const ByteView> pieces);
  Task<void> shutdown();
  void close();

  Instant read_deadline = kNoDeadline;
  Instant write_deadline = kNoDeadline;
  const PeerIdentity& peer() const { return handshake_.peer; }
  const std::string& peer_address() const { return address_; }
  boost::asio::any_io_executor executor() { return socket_.get_executor(); }
  std::uint64_t key_updates() const { return key_updates_; }

 private:
  TlsConnection(boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context, PeerPolicy policy);
  Task<Status> run_handshake(Instant deadline);
  Task<Status> encrypt(ByteView bytes, Instant deadline);
  /// Sends what OpenSSL has put into its ring; one sender at a time, the others wait for it.
  Task<Status> flush(Instant deadline);
  /// Reads from the socket into OpenSSL's ring.
  Task<Status> fill(Instant deadline);
  /// Lets the peer read what was sent last before the socket is closed: a socket closed with unread bytes resets.
  Task<void> linger(Instant deadline);
  Status update_key();
  Error socket_failure(std::string_view tried, const boost::system::error_code& error, bool timed_out) const;

  boost::asio::ip::tcp::socket socket_;
  std::shared_ptr<TlsContext> context_;
  std::shared_ptr<const TlsContext::Material> material_;
  HandshakeState handshake_;
  std::string address_;
  Owned<SSL> ssl_;
  Owned<BIO> ring_;  ///< the socket's side of the pair
  boost::asio::steady_timer read_timer_, write_timer_;
  Wakeup flushed_;
  Bytes staging_;  ///< small pieces become one record
  std::optional<Error> read_error_;
  bool flushing_ = false;
  bool reading_ = false;
  bool closed_ = false;
  std::uint64_t sent_since_update_ = 0;
  std::uint64_t key_updates_ = 0;
  std::shared_ptr<SessionRegistry> sessions_;
  std::uint64_t session_id_ = 0;
};

/// The connection as the transport seam; closes it when destroyed.
std::unique_ptr<ByteStream> as_byte_stream(std::shared_ptr<TlsConnection> connection);

/// "192.0.2.7:41234", or "unknown peer".
std::string remote_address(const boost::asio::ip::tcp::socket& socket);

}  // namespace stele::net
