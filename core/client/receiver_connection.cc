#include "core/client/receiver_connection.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <mutex>
#include <optional>

#include "core/net/activity_stream.h"
#include "core/net/connector.h"
#include "core/net/spawn.h"
#include "core/net/wakeup.h"

namespace stele::client {

namespace asio = boost::asio;
using net::Task;
using protocol::MessageType;

namespace {

net::MessageLimits limits_of(const std::vector<protocol::MessageLimit>& list) {
  net::MessageLimits limits;
  for (const protocol::MessageLimit& l : list) limits.allow(static_cast<std::uint8_t>(l.type), l.max_body);
  return limits;
}

bool costs_credit(MessageType type) { return type == MessageType::kFrame || type == MessageType::kPutPack; }

/// A request on its way. Its timer is the deadline and, cancelled, the bell.
struct Pending {
  explicit Pending(const asio::any_io_executor& executor) : bell(executor) {}
  asio::steady_timer bell;
  std::optional<Result<net::Message>> answer;
};

}  // namespace

struct ReceiverConnection::State : std::enable_shared_from_this<State> {
  State(std::unique_ptr<net::ByteStream> byte_stream, ConnectionOptions o, ConnectionEvents e)
      : options(std::move(o)), activity(std::make_shared<net::Activity>()),
        stream(std::make_unique<net::ActivityStream>(std::move(byte_stream), activity),
               limits_of({{MessageType::kHelloReply, protocol::kMaxControl}, {MessageType::kFailure, protocol::kMaxControl}})),
        progress(stream.executor()), heartbeat_timer(stream.executor()), events(std::move(e)) {}

  ConnectionOptions options;
  std::shared_ptr<net::Activity> activity;
  net::MessageStream stream;
  protocol::HelloReply greeting;
  std::deque<std::shared_ptr<Pending>> pending;
  net::Wakeup progress;  ///< credit came, or the end
  asio::steady_timer heartbeat_timer;
  std::optional<Error> last_failure;  ///< the last message was a failure: if the session ends now, that is why

  std::mutex events_mutex;  ///< held while an event runs, so that the destructor can wait for it
  ConnectionEvents events;
  mutable std::mutex mutex;  ///< what other threads look at
  std::uint64_t credit = 0;
  std::optional<Error> end;

  Status status() const {
    std::lock_guard lock(mutex);
    return end ? Status(*end) : Status();
  }
  std::uint64_t available() const {
    std::lock_guard lock(mutex);
    return credit;
  }

  template <typename Member, typename... Args>
  void tell(Member member, Args&&... args) {
    std::lock_guard lock(events_mutex);
    if (auto& event = events.*member; event) event(std::forward<Args>(args)...);
  }

  /// Ends the session once; everybody who waits gets the reason.
  void finish(Error why, bool by_us) {
    {
      std::lock_guard lock(mutex);
      if (end) return;
      end = why;
    }
    stream.close();
    heartbeat_timer.cancel();
    for (auto& waiting : pending) {
      if (!waiting->answer) waiting->answer.emplace(why);
      waiting->bell.cancel();
    }
    pending.clear();
    progress.notify_all();
    if (!by_us) tell(&ConnectionEvents::on_end, why);
  }

  Task<Status> greet(Instant deadline) {
    protocol::Hello hello;
    hello.software = options.software;
    hello.purpose = options.purpose;
    hello.instance = options.instance;
    const Bytes body = protocol::encode(hello);
    std::vector<ByteView> pieces = {ByteView(body)};
    STELE_CO_CHECK(co_await stream.write(static_cast<std::uint8_t>(MessageType::kHello), std::move(pieces), deadline));
    STELE_CO_TRY(net::Message reply, co_await stream.read(deadline));
    if (static_cast<MessageType>(reply.type) == MessageType::kFailure) co_return protocol::read_failure(reply.body);
    STELE_CO_TRY(greeting, protocol::read_hello_reply(reply.body));
    if (greeting.version < protocol::kMinVersion || greeting.version > protocol::kMaxVersion || greeting.heartbeat_seconds == 0) {
      co_return Error{ErrorCode::kProtocol, fmt::format("receiver {}: answers with version {}", greeting.receiver, greeting.version), ""};
    }
    stream.set_limits(limits_of(protocol::client_accepts(options.purpose)));
    std::lock_guard lock(mutex);
    credit = greeting.credit_bytes;
    co_return Status();
  }

  static Task<void> read_loop(std::shared_ptr<State> self) {
    const auto silence = std::chrono::seconds(3) * self->greeting.heartbeat_seconds;
    for (;;) {
      Result<net::Message> message = co_await self->stream.read(self->activity->received + silence);
      if (self->end) co_return;
      if (!message.ok()) {
        if (message.error().code == ErrorCode::kTimeout && std::chrono::steady_clock::now() < self->activity->received + silence) continue;
        self->finish(self->last_failure ? *self->last_failure : message.error().in("receiver " + self->options.receiver), false);
        co_return;
      }
      if (Status taken = self->take(std::move(*message)); !taken.ok()) {
        self->finish(taken.error(), false);
        co_return;
      }
    }
  }

  Status take(net::Message message) {
    const auto type = static_cast<MessageType>(message.type);
    if (type == MessageType::kPing) return stream.post(static_cast<std::uint8_t>(MessageType::kPong), {});
    if (type == MessageType::kPong) return {};
    last_failure.reset();
    if (type == MessageType::kAck) {
      STELE_TRY(protocol::Ack ack, protocol::read_ack(message.body));
      tell(&ConnectionEvents::on_ack, ack);
      return {};
    }
    if (type == MessageType::kCredit) {
      STELE_TRY(std::uint64_t bytes, protocol::read_credit(message.body));
      {
        std::lock_guard lock(mutex);
        credit += bytes;
      }
      progress.notify_all();
      tell(&ConnectionEvents::on_credit);
      return {};
    }
    Result<net::Message> answer = std::move(message);
    if (type == MessageType::kFailure) {
      last_failure = protocol::read_failure(answer->body);
      answer = *last_failure;
      if (pending.empty()) return *last_failure;
    }
    if (pending.empty()) {
      return Error{ErrorCode::kProtocol, fmt::format("receiver {}: sent \"{}\" unasked", options.receiver, protocol::message_name(type)), ""};
    }
    auto waiting = std::move(pending.front());
    pending.pop_front();
    if (!waiting->answer) waiting->answer.emplace(std::move(answer));
    waiting->bell.cancel();
    return {};
  }

  static Task<void> heartbeat_loop(std::shared_ptr<State> self) {
    const auto beat = std::chrono::seconds(self->greeting.heartbeat_seconds);
    while (!self->end) {
      self->heartbeat_timer.expires_after(beat / 2);
      (void)co_await self->heartbeat_timer.async_wait(asio::as_tuple(asio::use_awaitable));
      if (self->end) co_return;
      if (std::chrono::steady_clock::now() - self->activity->sent < beat / 2 || self->stream.queued_bytes() != 0) continue;
      if (Status sent = self->stream.post(static_cast<std::uint8_t>(MessageType::kPing), {}); !sent.ok()) {
        self->finish(sent.error(), false);
      }
    }
  }

  void spawn(Task<void> task) {
    asio::co_spawn(stream.executor(), std::move(task), [self = shared_from_this()](std::exception_ptr e) {
      if (e) self->finish(Error{ErrorCode::kInternal, "session with a receiver: an exception left it", ""}, false);
    });
  }

  Task<Status> take_credit(std::size_t size, Instant deadline) {
    asio::steady_timer limit(stream.executor(), deadline);
    std::weak_ptr<State> weak = weak_from_this();
    limit.async_wait([weak](boost::system::error_code ec) {
      auto self = weak.lock();
      if (!ec && self) self->progress.notify_all();
    });
    for (;;) {
      STELE_CO_CHECK(status());
      {
        // A message larger than the whole window goes when the window is whole.
        std::lock_guard lock(mutex);
        if (credit >= size || credit >= greeting.credit_bytes) {
          credit -= std::min<std::uint64_t>(credit, size);
          co_return Status();
        }
      }
      if (deadline != net::kNoDeadline && std::chrono::steady_clock::now() >= deadline) {
        co_return Error{ErrorCode::kTimeout, fmt::format("receiver {}: gives no credit for {} bytes", options.receiver, size), ""};
      }
      co_await progress.wait();
    }
  }

  static std::size_t size_of(const std::vector<ByteView>& pieces) {
    std::size_t size = 0;
    for (ByteView piece : pieces) size += piece.size();
    return size;
  }

  static Task<Status> send(std::shared_ptr<State> self, MessageType type, std::vector<ByteView> pieces, Instant deadline) {
    // A half-sent message cannot be continued: whoever gives up waiting does it by the deadline.
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    STELE_CO_CHECK(self->status());
    if (costs_credit(type)) STELE_CO_CHECK(co_await self->take_credit(size_of(pieces), deadline));
    Status sent = co_await self->stream.write(static_cast<std::uint8_t>(type), std::move(pieces), deadline);
    if (!sent.ok()) {
      // Why the session ended says more than that a write failed.
      STELE_CO_CHECK(self->status());
      self->finish(sent.error(), false);
    }
    co_return sent;
  }

  static Task<Result<net::Message>> request(std::shared_ptr<State> self, MessageType type, std::vector<ByteView> pieces, Instant deadline) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    STELE_CO_CHECK(self->status());
    if (costs_credit(type)) STELE_CO_CHECK(co_await self->take_credit(size_of(pieces), deadline));
    auto waiting = std::make_shared<Pending>(self->stream.executor());
    waiting->bell.expires_at(deadline);
    // Nothing runs between these two: the order of answers is the order of requests.
    self->pending.push_back(waiting);
    Status sent = co_await self->stream.write(static_cast<std::uint8_t>(type), std::move(pieces), deadline);
    if (!sent.ok()) self->finish(self->last_failure ? *self->last_failure : sent.error(), false);
    while (!waiting->answer && std::chrono::steady_clock::now() < deadline) {
      (void)co_await waiting->bell.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (!waiting->answer) {
      Error late{ErrorCode::kTimeout, fmt::format("receiver {}: no answer to \"{}\" in time", self->options.receiver, protocol::message_name(type)), ""};
      waiting->answer.emplace(late);  // a later answer is dropped
      co_return late;
    }
    co_return std::move(*waiting->answer);
  }
};

ReceiverConnection::ReceiverConnection(std::shared_ptr<State> state) : state_(std::move(state)) {}

ReceiverConnection::~ReceiverConnection() {
  {
    std::lock_guard lock(state_->events_mutex);
    state_->events = {};
  }
  close();
}

Task<Result<std::unique_ptr<ReceiverConnection>>> ReceiverConnection::open(asio::any_io_executor pool, std::shared_ptr<net::TlsContext> tls,
                                                                           std::shared_ptr<net::SessionRegistry> sessions,
                                                                           ConnectionOptions options, ConnectionEvents events) {
  net::ConnectOptions connect;
  connect.address = options.address;
  connect.policy.roles = {net::Role::kReceiver};
  connect.policy.name = options.receiver;
  connect.deadline = options.open_deadline;
  connect.socket = options.socket;
  STELE_CO_TRY(std::unique_ptr<net::ByteStream> stream, co_await net::connect_tls(pool, std::move(tls), std::move(sessions), std::move(connect)));
  co_return co_await start(std::move(stream), std::move(options), std::move(events));
}

Task<Result<std::unique_ptr<ReceiverConnection>>> ReceiverConnection::start(std::unique_ptr<net::ByteStream> stream, ConnectionOptions options,
                                                                            ConnectionEvents events) {
  const Instant deadline = net::deadline_in(options.open_deadline);
  asio::any_io_executor executor = stream->executor();
  auto state = std::make_shared<State>(std::move(stream), std::move(options), std::move(events));
  Status greeted = co_await net::run_on(executor, state->greet(deadline));
  if (!greeted.ok()) {
    asio::post(executor, [state] { state->stream.close(); });
    co_return greeted.error().in("receiver " + state->options.receiver);
  }
  asio::post(executor, [state] {
    state->spawn(State::read_loop(state));
    state->spawn(State::heartbeat_loop(state));
  });
  co_return std::unique_ptr<ReceiverConnection>(new ReceiverConnection(state));
}

const protocol::HelloReply& ReceiverConnection::greeting() const { return state_->greeting; }
std::uint64_t ReceiverConnection::available_credit() const { return state_->available(); }
Status ReceiverConnection::status() const { return state_->status(); }

Task<Result<net::Message>> ReceiverConnection::request(MessageType type, std::vector<ByteView> pieces, Instant deadline) {
  auto state = state_;
  co_return co_await net::run_on(state->stream.executor(), State::request(state, type, std::move(pieces), deadline));
}

Task<Result<Bytes>> ReceiverConnection::call(MessageType type, Bytes body, MessageType expected, Instant deadline) {
  auto state = state_;
  std::vector<ByteView> pieces = {ByteView(body)};
  STELE_CO_TRY(net::Message answer, co_await net::run_on(state->stream.executor(), State::request(state, type, std::move(pieces), deadline)));
  if (static_cast<MessageType>(answer.type) != expected) {
    Error wrong{ErrorCode::kProtocol, fmt::format("receiver {}: answers \"{}\" with \"{}\"", state->options.receiver, protocol::message_name(type),
                                                  protocol::message_name(static_cast<MessageType>(answer.type))), ""};
    asio::post(state->stream.executor(), [state, wrong] { state->finish(wrong, false); });
    co_return wrong;
  }
  co_return std::move(answer.body);
}

Task<Status> ReceiverConnection::send(MessageType type, std::vector<ByteView> pieces, Instant deadline) {
  auto state = state_;
  co_return co_await net::run_on(state->stream.executor(), State::send(state, type, std::move(pieces), deadline));
}

void ReceiverConnection::close() {
  asio::post(state_->stream.executor(), [state = state_] { state->finish(Error{ErrorCode::kCancelled, "the session was closed", ""}, true); });
}

Task<void> ReceiverConnection::shutdown() {
  auto state = state_;
  auto polite = [](std::shared_ptr<State> s) -> Task<Status> {
    if (s->status().ok()) {
      co_await s->stream.shutdown();
      s->finish(Error{ErrorCode::kCancelled, "the session was closed", ""}, true);
    }
    co_return Status();
  };
  (void)co_await net::run_on(state->stream.executor(), polite(state));
}

}  // namespace stele::client
