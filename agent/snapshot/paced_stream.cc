#include "agent/snapshot/paced_stream.h"

#include <boost/asio.hpp>

namespace stele::agent {
namespace {

namespace asio = boost::asio;

class PacedStream final : public net::ByteStream {
 public:
  PacedStream(std::unique_ptr<net::ByteStream> inner, std::shared_ptr<SharedBandwidth> bandwidth)
      : inner_(std::move(inner)), bandwidth_(std::move(bandwidth)), pause_(inner_->executor()) {}

  net::Task<Result<std::size_t>> read_some(MutableByteView out) override { return inner_->read_some(out); }
  net::Task<Status> write_all(std::span<const ByteView> pieces) override;
  void set_read_deadline(Instant deadline) override { inner_->set_read_deadline(deadline); }
  void set_write_deadline(Instant deadline) override {
    write_deadline_ = deadline;
    inner_->set_write_deadline(deadline);
  }
  void close() override {
    closed_ = true;
    pause_.cancel();
    inner_->close();
  }
  net::Task<void> shutdown() override {
    closed_ = true;
    pause_.cancel();
    return inner_->shutdown();
  }
  const net::PeerIdentity& peer() const override { return inner_->peer(); }
  const std::string& peer_address() const override { return inner_->peer_address(); }
  asio::any_io_executor executor() override { return inner_->executor(); }

 private:
  net::Task<Result<std::size_t>> admit(std::size_t wanted);
  std::unique_ptr<net::ByteStream> inner_;
  std::shared_ptr<SharedBandwidth> bandwidth_;
  asio::steady_timer pause_;
  Instant write_deadline_ = net::kNoDeadline;
  bool closed_ = false;
};

net::Task<Result<std::size_t>> PacedStream::admit(std::size_t wanted) {
  while (true) {
    if (closed_) co_return Error{ErrorCode::kCancelled, "send: the connection was closed", ""};
    std::chrono::nanoseconds wait{};
    if (const std::size_t now = bandwidth_->take(wanted, wait); now > 0) co_return now;
    if (std::chrono::steady_clock::now() >= write_deadline_) {
      co_return Error{ErrorCode::kTimeout, "send: the bandwidth limit left no room in time", "raise [bandwidth] limit"};
    }
    pause_.expires_after(wait);
    (void)co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

net::Task<Status> PacedStream::write_all(std::span<const ByteView> pieces) {
  std::size_t total = 0;
  for (const ByteView& piece : pieces) total += piece.size();
  std::vector<ByteView> slice;
  std::size_t piece = 0, offset = 0;
  while (total > 0) {
    auto admitted = co_await admit(total);
    if (!admitted.ok()) co_return std::move(admitted).error();
    total -= *admitted;
    slice.clear();
    for (std::size_t left = *admitted; left > 0;) {
      const std::size_t n = std::min(left, pieces[piece].size() - offset);
      if (n > 0) slice.push_back(pieces[piece].subspan(offset, n));
      left -= n;
      offset += n;
      if (offset == pieces[piece].size()) {
        ++piece;
        offset = 0;
      }
    }
    STELE_CO_CHECK(co_await inner_->write_all(slice));
  }
  co_return Status{};
}

}  // namespace

std::unique_ptr<net::ByteStream> make_paced_stream(std::unique_ptr<net::ByteStream> inner,
                                                   std::shared_ptr<SharedBandwidth> bandwidth) {
  return std::make_unique<PacedStream>(std::move(inner), std::move(bandwidth));
}

}  // namespace stele::agent
