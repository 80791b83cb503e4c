#include "tests/support/net/memory_stream.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>

namespace stele::test {

namespace {

using net::Task;

/// One direction. Whoever waits is woken by cancelling `changed`.
struct Pipe {
  Pipe(boost::asio::any_io_executor executor, MemoryPipeOptions o) : options(o), changed(executor) {}
  MemoryPipeOptions options;
  boost::asio::steady_timer changed;
  std::deque<std::uint8_t> bytes;
  std::uint64_t carried = 0;
  bool write_closed = false;  ///< the writer ended, or the line was cut
  bool read_closed = false;   ///< the reader ended

  bool cut() const { return carried >= options.cut_after; }
};

class MemoryStream final : public net::ByteStream {
 public:
  MemoryStream(boost::asio::any_io_executor executor, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out,
               net::PeerIdentity peer)
      : executor_(std::move(executor)), in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)) {}
  ~MemoryStream() override { close(); }

  Task<Result<std::size_t>> read_some(MutableByteView to) override {
    auto in = in_;
    auto closed = closed_;
    const Instant deadline = read_deadline_;
    for (;;) {
      if (*closed) co_return Error{ErrorCode::kCancelled, "read: the stream was closed", ""};
      if (!in->bytes.empty()) {
        const std::size_t n = std::min({to.size(), in->bytes.size(), in->options.max_read});
        std::copy_n(in->bytes.begin(), n, to.begin());
        in->bytes.erase(in->bytes.begin(), in->bytes.begin() + static_cast<std::ptrdiff_t>(n));
        in->changed.cancel();
        co_return n;
      }
      if (in->write_closed || in->cut()) co_return Error{ErrorCode::kClosed, "read: the peer closed the connection", ""};
      if (!co_await wait(*in, deadline)) co_return Error{ErrorCode::kTimeout, "read: nothing came in time", ""};
    }
  }

  Task<Status> write_all(std::span<const ByteView> pieces) override {
    auto out = out_;
    auto closed = closed_;
    const Instant deadline = write_deadline_;
    for (ByteView piece : pieces) {
      while (!piece.empty()) {
        if (*closed) co_return Error{ErrorCode::kCancelled, "write: the stream was closed", ""};
        if (out->read_closed || out->cut()) co_return Error{ErrorCode::kClosed, "write: the peer closed the connection", ""};
        const std::uint64_t room = out->options.capacity > out->bytes.size() ? out->options.capacity - out->bytes.size() : 0;
        const std::size_t n = std::min<std::uint64_t>({piece.size(), room, out->options.cut_after - out->carried});
        if (n == 0) {
          if (!co_await wait(*out, deadline)) co_return Error{ErrorCode::kTimeout, "write: not taken in time", ""};
          continue;
        }
        out->bytes.insert(out->bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(n));
        out->carried += n;
        piece = piece.subspan(n);
        out->changed.cancel();
      }
    }
    co_return Status();
  }

  void set_read_deadline(Instant deadline) override { read_deadline_ = deadline; }
  void set_write_deadline(Instant deadline) override { write_deadline_ = deadline; }

  void close() override {
    *closed_ = true;
    in_->read_closed = true;
    out_->write_closed = true;
    in_->changed.cancel();
    out_->changed.cancel();
  }
  Task<void> shutdown() override {
    close();
    co_return;
  }

  const net::PeerIdentity& peer() const override { return peer_; }
  const std::string& peer_address() const override { return address_; }
  boost::asio::any_io_executor executor() override { return executor_; }

 private:
  /// False when the deadline passed. A reader waits only for an empty pipe, a writer only for a full one: never both.
  static Task<bool> wait(Pipe& pipe, Instant deadline) {
    // expires_at() also wakes everyone who waits on this pipe: they look again.
    if (pipe.changed.expiry() != deadline) pipe.changed.expires_at(deadline);
    auto [error] = co_await pipe.changed.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    co_return static_cast<bool>(error) || deadline > std::chrono::steady_clock::now();
  }

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Pipe> in_, out_;
  net::PeerIdentity peer_;
  std::string address_ = "memory";
  std::shared_ptr<bool> closed_ = std::make_shared<bool>(false);
  Instant read_deadline_ = net::kNoDeadline;
  Instant write_deadline_ = net::kNoDeadline;
};

}  // namespace

std::pair<std::unique_ptr<net::ByteStream>, std::unique_ptr<net::ByteStream>> memory_stream_pair(
    boost::asio::any_io_executor executor, net::PeerIdentity peer_of_first, net::PeerIdentity peer_of_second,
    MemoryPipeOptions first_to_second, MemoryPipeOptions second_to_first) {
  auto forth = std::make_shared<Pipe>(executor, first_to_second);
  auto back = std::make_shared<Pipe>(executor, second_to_first);
  return {std::make_unique<MemoryStream>(executor, back, forth, std::move(peer_of_first)),
          std::make_unique<MemoryStream>(executor, forth, back, std::move(peer_of_second))};
}

}  // namespace stele::test
