#pragma once

#include <memory>
#include <utility>

#include "core/net/byte_stream.h"

namespace stele::net {

/// When bytes last moved on a connection. Read and written on the stream's executor.
struct Activity {
  Instant received, sent;
};

/// A stream that notes when bytes moved: heartbeats count any byte as life, so that a large message on a thin line is not
/// taken for silence.
class ActivityStream final : public ByteStream {
 public:
  ActivityStream(std::unique_ptr<ByteStream> inner, std::shared_ptr<Activity> activity)
      : inner_(std::move(inner)), activity_(std::move(activity)) {
    activity_->received = activity_->sent = std::chrono::steady_clock::now();
  }

  Task<Result<std::size_t>> read_some(MutableByteView out) override {
    auto got = co_await inner_->read_some(out);
    if (got.ok()) activity_->received = std::chrono::steady_clock::now();
    co_return got;
  }
  Task<Status> write_all(std::span<const ByteView> pieces) override {
    auto sent = co_await inner_->write_all(pieces);
    if (sent.ok()) activity_->sent = std::chrono::steady_clock::now();
    co_return sent;
  }
  void set_read_deadline(Instant deadline) override { inner_->set_read_deadline(deadline); }
  void set_write_deadline(Instant deadline) override { inner_->set_write_deadline(deadline); }
  void close() override { inner_->close(); }
  Task<void> shutdown() override { co_await inner_->shutdown(); }
  const PeerIdentity& peer() const override { return inner_->peer(); }
  const std::string& peer_address() const override { return inner_->peer_address(); }
  boost::asio::any_io_executor executor() override { return inner_->executor(); }

 private:
  std::unique_ptr<ByteStream> inner_;
  std::shared_ptr<Activity> activity_;
};

}  // namespace stele::net
