#include "core/net/tls_connection.h"

namespace stele::net {

namespace {

class TlsStream final : public ByteStream {
 public:
  explicit TlsStream(std::shared_ptr<TlsConnection> connection) : connection_(std::move(connection)) {}
  ~TlsStream() override { connection_->close(); }

  Task<Result<std::size_t>> read_some(MutableByteView out) override { return connection_->read_some(out); }
  Task<Status> write_all(std::span<const ByteView> pieces) override { return connection_->write_all(pieces); }
  void set_read_deadline(Instant deadline) override { connection_->read_deadline = deadline; }
  void set_write_deadline(Instant deadline) override { connection_->write_deadline = deadline; }
  void close() override { connection_->close(); }
  Task<void> shutdown() override { return connection_->shutdown(); }
  const PeerIdentity& peer() const override { return connection_->peer(); }
  const std::string& peer_address() const override { return connection_->peer_address(); }
  boost::asio::any_io_executor executor() override { return connection_->executor(); }

 private:
  std::shared_ptr<TlsConnection> connection_;
};

Task<Result<std::unique_ptr<ByteStream>>> start(boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context,
                                                PeerPolicy policy, std::shared_ptr<SessionRegistry> sessions,
                                                Instant deadline, TlsConnection::Side side) {
  STELE_CO_TRY(auto connection, TlsConnection::make(std::move(socket), std::move(context), std::move(policy), side));
  STELE_CO_CHECK(co_await connection->handshake(std::move(sessions), deadline));
  co_return as_byte_stream(std::move(connection));
}

}  // namespace

std::unique_ptr<ByteStream> as_byte_stream(std::shared_ptr<TlsConnection> connection) {
  return std::make_unique<TlsStream>(std::move(connection));
}

Task<Result<std::unique_ptr<ByteStream>>> tls_accept(boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context,
                                                     PeerPolicy policy, std::shared_ptr<SessionRegistry> sessions,
                                                     Instant deadline) {
  return start(std::move(socket), std::move(context), std::move(policy), std::move(sessions), deadline, TlsConnection::Side::kServer);
}

Task<Result<std::unique_ptr<ByteStream>>> tls_connect(boost::asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context,
                                                      PeerPolicy policy, std::shared_ptr<SessionRegistry> sessions,
                                                      Instant deadline) {
  return start(std::move(socket), std::move(context), std::move(policy), std::move(sessions), deadline, TlsConnection::Side::kClient);
}

}  // namespace stele::net
