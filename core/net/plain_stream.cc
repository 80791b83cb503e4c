#include "core/net/plain_stream.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "core/net/tls_connection.h"

namespace stele::net {

namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(asio::ip::tcp::socket socket) : address_(remote_address(socket)), stream_(std::move(socket)) {}

  Task<Result<std::size_t>> read_some(MutableByteView out) override {
    expire(read_deadline_);
    auto [error, n] = co_await stream_.async_read_some(asio::buffer(out.data(), out.size()), asio::as_tuple(asio::use_awaitable));
    if (error) co_return failure("read", error);
    co_return n;
  }

  Task<Status> write_all(std::span<const ByteView> pieces) override {
    expire(write_deadline_);
    std::vector<asio::const_buffer> buffers;
    for (const ByteView& piece : pieces) buffers.emplace_back(piece.data(), piece.size());
    auto [error, n] = co_await asio::async_write(stream_, buffers, asio::as_tuple(asio::use_awaitable));
    if (error) co_return failure("write", error);
    co_return Status();
  }

  void set_read_deadline(Instant deadline) override { read_deadline_ = deadline; }
  void set_write_deadline(Instant deadline) override { write_deadline_ = deadline; }
  void close() override { stream_.close(); }

  Task<void> shutdown() override {
    // A socket closed with unread bytes resets the connection, and the client never sees the answer: read on for a moment.
    beast::error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    stream_.expires_at(std::min(write_deadline_, deadline_in(std::chrono::milliseconds(500))));
    std::array<char, 4096> rest;
    for (std::size_t total = 0; total < (1 << 20);) {
      auto [error, n] = co_await stream_.async_read_some(asio::buffer(rest), asio::as_tuple(asio::use_awaitable));
      if (error) break;
      total += n;
    }
    stream_.close();
  }

  const PeerIdentity& peer() const override { return nobody_; }
  const std::string& peer_address() const override { return address_; }
  asio::any_io_executor executor() override { return stream_.get_executor(); }

 private:
  void expire(Instant deadline) {
    if (deadline == kNoDeadline) stream_.expires_never();
    else stream_.expires_at(deadline);
  }
  Error failure(std::string_view tried, const beast::error_code& error) const {
    ErrorCode code = ErrorCode::kIo;
    if (error == beast::error::timeout) code = ErrorCode::kTimeout;
    else if (error == asio::error::eof || error == asio::error::connection_reset || error == asio::error::broken_pipe) code = ErrorCode::kClosed;
    else if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) code = ErrorCode::kCancelled;
    return {code, std::string(tried) + " " + address_ + ": " + error.message(), ""};
  }

  std::string address_;
  PeerIdentity nobody_;
  beast::tcp_stream stream_;
  Instant read_deadline_ = kNoDeadline, write_deadline_ = kNoDeadline;
};

}  // namespace

std::unique_ptr<ByteStream> make_plain_stream(asio::ip::tcp::socket socket) { return std::make_unique<PlainStream>(std::move(socket)); }

}  // namespace stele::net
