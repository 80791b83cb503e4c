#include "core/net/message_stream.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/net/wakeup.h"

namespace stele::net {

namespace {

/// How many bytes of small messages are given to the transport in one write.
constexpr std::size_t kGather = 256 * 1024;

struct Outgoing {
  std::array<std::uint8_t, MessageDecoder::kHeaderSize> header{};
  std::vector<ByteView> pieces;  ///< owned by the waiting writer, or views of `body`
  Bytes body;                    ///< posted messages own their body
  std::size_t queued = 0;        ///< what it counts for in queued_bytes
  std::size_t size = 0;
  Instant deadline = kNoDeadline;
  bool done = false;
};

}  // namespace

struct MessageStream::State : std::enable_shared_from_this<State> {
  State(std::unique_ptr<ByteStream> s, MessageLimits limits, std::size_t max)
      : stream(std::move(s)), decoder(limits), max_queued(max), progress(stream->executor()) {}

  std::unique_ptr<ByteStream> stream;
  MessageDecoder decoder;
  std::size_t max_queued;
  std::size_t queued_bytes = 0;
  std::deque<std::shared_ptr<Outgoing>> queue;
  bool sending = false;
  std::optional<Error> send_error;
  Wakeup progress;  ///< told after each batch

  Status enqueue(std::uint8_t type, std::shared_ptr<Outgoing> out) {
    if (send_error) return *send_error;
    if (out->size > UINT32_MAX - 1) {
      return Error{ErrorCode::kInternal, fmt::format("send a message of type {}: {} bytes do not fit a frame", type, out->size), ""};
    }
    const std::uint32_t length = static_cast<std::uint32_t>(out->size) + 1;
    for (int i = 0; i < 4; ++i) out->header[i] = static_cast<std::uint8_t>(length >> (8 * i));
    out->header[4] = type;
    queued_bytes += out->queued;
    queue.push_back(std::move(out));
    if (!sending) {
      sending = true;
      boost::asio::co_spawn(stream->executor(), drain(shared_from_this()), [self = shared_from_this()](std::exception_ptr e) {
        if (e) self->fail(Error{ErrorCode::kInternal, "send messages: an exception left the sender", ""});
      });
    }
    return {};
  }

  void fail(Error error) {
    if (!send_error) send_error = std::move(error);
    sending = false;
    for (auto& out : queue) out->done = true;
    queue.clear();
    queued_bytes = 0;
    stream->close();
    progress.notify_all();
  }

  /// Sends until the queue is empty. Runs at most once at a time; keeps the state alive while it runs.
  static Task<void> drain(std::shared_ptr<State> self) {
    std::vector<std::shared_ptr<Outgoing>> batch;
    std::vector<ByteView> pieces;
    while (!self->queue.empty()) {
      batch.clear();
      pieces.clear();
      std::size_t bytes = 0;
      Instant deadline = kNoDeadline;
      while (!self->queue.empty() && (batch.empty() || bytes + self->queue.front()->size <= kGather)) {
        auto out = std::move(self->queue.front());
        self->queue.pop_front();
        pieces.emplace_back(out->header);
        for (ByteView piece : out->pieces) {
          if (!piece.empty()) pieces.push_back(piece);
        }
        bytes += out->size + MessageDecoder::kHeaderSize;
        deadline = std::min(deadline, out->deadline);
        batch.push_back(std::move(out));
      }
      self->stream->set_write_deadline(deadline);
      Status sent = co_await self->stream->write_all(pieces);
      for (auto& out : batch) {
        out->done = true;
        self->queued_bytes -= out->queued;
      }
      if (!sent.ok()) {
        self->queued_bytes = 0;
        self->fail(std::move(sent).error());
        co_return;
      }
      if (self->queue.empty()) self->sending = false;
      self->progress.notify_all();
    }
  }
};

MessageStream::MessageStream(std::unique_ptr<ByteStream> stream, MessageLimits limits, std::size_t max_queued)
    : state_(std::make_shared<State>(std::move(stream), limits, max_queued)) {}

MessageStream::~MessageStream() { state_->stream->close(); }

Task<Result<Message>> MessageStream::read(Instant deadline) {
  auto state = state_;
  for (;;) {
    STELE_CO_TRY(std::optional<Message> message, state->decoder.next());
    if (message) co_return std::move(*message);
    state->stream->set_read_deadline(deadline);
    Result<std::size_t> got = co_await state->stream->read_some(state->decoder.prepare());
    if (!got.ok()) {
      if (got.error().code == ErrorCode::kClosed && state->decoder.in_message()) {
        co_return Error{ErrorCode::kProtocol, "read a message: the line was cut in its middle: " + got.error().what, ""};
      }
      co_return std::move(got).error();
    }
    state->decoder.commit(*got);
  }
}

Task<Status> MessageStream::write(std::uint8_t type, std::vector<ByteView> pieces, Instant deadline) {
  auto state = state_;
  auto out = std::make_shared<Outgoing>();
  out->pieces = std::move(pieces);
  for (ByteView piece : out->pieces) out->size += piece.size();
  out->deadline = deadline;
  STELE_CO_CHECK(state->enqueue(type, out));
  while (!out->done) co_await state->progress.wait();
  if (state->send_error) co_return *state->send_error;
  co_return Status();
}

Status MessageStream::post(std::uint8_t type, Bytes body) {
  if (state_->send_error) return *state_->send_error;
  auto out = std::make_shared<Outgoing>();
  out->queued = body.size() + MessageDecoder::kHeaderSize;
  if (state_->queued_bytes + out->queued > state_->max_queued) {
    return Error{ErrorCode::kLimit,
                 fmt::format("send a message of type {}: {} bytes wait to be sent, at most {} may", type,
                             state_->queued_bytes, state_->max_queued),
                 "the peer or the line is too slow"};
  }
  out->body = std::move(body);
  out->size = out->body.size();
  out->pieces.emplace_back(out->body);
  return state_->enqueue(type, std::move(out));
}

Task<Status> MessageStream::flush() {
  auto state = state_;
  while (state->sending) co_await state->progress.wait();
  if (state->send_error) co_return *state->send_error;
  co_return Status();
}

std::size_t MessageStream::queued_bytes() const { return state_->queued_bytes; }
void MessageStream::set_limits(MessageLimits limits) { state_->decoder.set_limits(limits); }
void MessageStream::close() { state_->stream->close(); }

Task<void> MessageStream::shutdown() {
  auto state = state_;
  (void)co_await flush();
  co_await state->stream->shutdown();
}

const PeerIdentity& MessageStream::peer() const { return state_->stream->peer(); }
const std::string& MessageStream::peer_address() const { return state_->stream->peer_address(); }
boost::asio::any_io_executor MessageStream::executor() { return state_->stream->executor(); }

}  // namespace stele::net
