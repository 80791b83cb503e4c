#include "agent/snapshot/sender.h"

#include <boost/asio.hpp>

#include <algorithm>
#include <future>

#include "agent/snapshot/paced_stream.h"
#include "core/config/log.h"
#include "core/net/connector.h"
#include "core/net/spawn.h"

namespace stele::agent {

namespace asio = boost::asio;
using protocol::MessageType;

namespace {

// What the kernel may hold unsent of a snapshot: little, so that the change log's bytes find a free line.
constexpr std::uint32_t kNotSentLowat = 32 << 10;
// Longer than a connection attempt takes.
constexpr auto kAbandon = std::chrono::seconds(30);

Error stopped_error() {
  return Error{ErrorCode::kCancelled, "snapshot: given up", ""};
}

/// A new connection may do better.
bool worth_retrying(const Error& error) {
  switch (error.code) {
    case ErrorCode::kTemporary:
    case ErrorCode::kTimeout:
    case ErrorCode::kClosed:
    case ErrorCode::kUnreachable:
    case ErrorCode::kProtocol:
    case ErrorCode::kIo:
    case ErrorCode::kCancelled:  // another call found the line broken and closed it; stop() was asked for before
      return true;
    default:
      return false;
  }
}

}  // namespace

SnapshotSender::SnapshotSender(const SnapshotContext& context, SnapshotReceiver receiver, Timing timing,
                               SnapshotProgress& progress, Connect connect)
    : context_(context),
      receiver_(std::move(receiver)),
      timing_(timing),
      progress_(progress),
      connect_(std::move(connect)) {
  if (connect_) return;
  connect_ = [this]() -> net::Task<Result<std::unique_ptr<net::ByteStream>>> {
    net::ConnectOptions options;
    options.address = receiver_.address;
    options.policy.roles = {net::Role::kReceiver};
    options.policy.name = receiver_.name;
    options.socket.notsent_lowat = kNotSentLowat;
    co_return co_await net::connect_tls(context_.pool, context_.tls, context_.sessions, std::move(options));
  };
}

SnapshotSender::~SnapshotSender() {
  stop();
}

void SnapshotSender::stop() {
  stopped_ = true;
  Connection connection, pending;
  {
    std::lock_guard lock(mutex_);
    connection = connection_;
    pending = pending_;
  }
  if (connection) connection->close();
  if (pending) pending->close();
  wake_.notify_all();
}

/// Runs a task on the network's threads and waits for it here.
template <typename T>
Result<T> SnapshotSender::run(net::Task<Result<T>> task) {
  auto done = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> result = done->get_future();
  asio::co_spawn(
      context_.pool, net::as_optional(std::move(task)),
      [done](std::exception_ptr thrown, std::optional<Result<T>> value) {
        if (thrown || !value) {
          done->set_value(Error{ErrorCode::kInternal, "snapshot: a network task ended with an exception", ""});
        } else {
          done->set_value(std::move(*value));
        }
      });
  // Every task ends by its deadline, and soon after stop(), which closes the connection. Only when the program's
  // network threads are gone already does nothing come any more.
  std::optional<Instant> stopped_at;
  while (result.wait_for(std::chrono::seconds(1)) != std::future_status::ready) {
    if (!stopped_) continue;
    if (!stopped_at) stopped_at = std::chrono::steady_clock::now();
    if (std::chrono::steady_clock::now() - *stopped_at > kAbandon) return stopped_error();
  }
  return result.get();
}

void SnapshotSender::set_pending(Connection connection) {
  std::lock_guard lock(mutex_);
  pending_ = std::move(connection);
}

net::Task<Status> SnapshotSender::introduce(Connection connection) {
  const Instant deadline = net::deadline_in(timing_.request);
  auto body = co_await connection->call(MessageType::kQueryDatabase, protocol::encode_database(context_.database),
                                        MessageType::kDatabaseState, deadline);
  STELE_CO_TRY(const Bytes state_body, std::move(body));
  STELE_CO_TRY(protocol::DatabaseState state, protocol::read_database_state(state_body));
  {
    std::lock_guard lock(mutex_);
    state_ = std::move(state);
  }
  for (const Bytes* record : {&context_.enrolment, &context_.recipients, &context_.branch, &context_.epoch_record}) {
    auto stored = co_await connection->call(MessageType::kPutRecord, *record, MessageType::kStored, deadline);
    if (!stored.ok()) co_return std::move(stored).error();
  }
  co_return Status{};
}

net::Task<Result<SnapshotSender::Connection>> SnapshotSender::open() {
  auto stream = co_await connect_();
  if (!stream.ok()) co_return std::move(stream).error();
  client::ConnectionOptions options;
  options.address = receiver_.address;
  options.receiver = receiver_.name;
  options.purpose = protocol::Purpose::kSnapshot;
  options.instance = context_.instance;
  options.software = "stele-agent " STELE_VERSION;
  std::unique_ptr<net::ByteStream> paced = std::move(*stream);
  if (context_.bandwidth) paced = make_paced_stream(std::move(paced), context_.bandwidth);
  const asio::any_io_executor executor = paced->executor();
  auto opened = co_await net::run_on(
      executor, client::ReceiverConnection::start(std::move(paced), std::move(options), client::ConnectionEvents{}));
  if (!opened.ok()) co_return std::move(opened).error();
  Connection connection = std::move(*opened);
  set_pending(connection);
  Status introduced = stopped_ ? Status(stopped_error()) : co_await introduce(connection);
  set_pending(nullptr);
  if (!introduced.ok()) co_return std::move(introduced).error();
  co_return connection;
}

Result<SnapshotSender::Connection> SnapshotSender::connection() {
  std::lock_guard connecting(connecting_);
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return stopped_error();
    if (connection_ && connection_->status().ok()) return connection_;
    connection_.reset();
  }
  STELE_TRY(Connection opened, run(open()));
  std::lock_guard lock(mutex_);
  if (stopped_) {
    opened->close();
    return stopped_error();
  }
  if (std::exchange(connected_before_, true)) ++progress_.reconnects;
  connection_ = opened;
  return opened;
}

void SnapshotSender::drop(const Connection& broken) {
  broken->close();
  std::lock_guard lock(mutex_);
  if (connection_ == broken) connection_.reset();
}

template <typename Call>
auto SnapshotSender::with_retries(OnLimit on_limit, Call call) -> decltype(call(std::declval<Connection>(), 0)) {
  Duration pause = timing_.first_pause;
  for (int attempt = 0;; ++attempt) {
    if (stopped_) return stopped_error();
    Error why;
    bool limited = false;
    auto connected = connection();
    if (connected.ok()) {
      auto result = call(*connected, attempt);
      if (result.ok()) {
        std::lock_guard lock(mutex_);
        failing_since_.reset();
        return result;
      }
      why = result.error();
      const bool line_broke = !(*connected)->status().ok();
      if (!line_broke && why.code == ErrorCode::kLimit && on_limit == OnLimit::kWait) {
        limited = true;
      } else {
        if (!line_broke && !worth_retrying(why)) return why;
        drop(*connected);
      }
    } else {
      why = connected.error();
    }
    if (stopped_) return stopped_error();
    if (!limited && !worth_retrying(why)) return why;
    std::unique_lock lock(mutex_);
    const Instant now = std::chrono::steady_clock::now();
    if (!failing_since_) failing_since_ = now;
    if (now - *failing_since_ >= (connected_before_ ? timing_.patience : timing_.connect_patience)) {
      return Error{ErrorCode::kTemporary, fmt::format("snapshot: receiver {}: {}", receiver_.name, why.what), why.hint};
    }
    if (!limited) {
      log::warning("the line to the receiver broke; the snapshot goes on when it is back",
                   {{"receiver", receiver_.name}, {"why", why.what}});
    }
    wake_.wait_for(lock, pause, [&] { return stopped_.load(); });
    pause = std::min(pause * 2, timing_.longest_pause);
  }
}

Result<protocol::DatabaseState> SnapshotSender::database_state() {
  return with_retries(OnLimit::kFail, [this](const Connection&, int) -> Result<protocol::DatabaseState> {
    std::lock_guard lock(mutex_);
    return state_;
  });
}

/// One question on this connection: at most protocol::kMaxQueryNames names.
Result<std::vector<bool>> SnapshotSender::ask(const Connection& connection, std::span<const ChunkName> names) {
  Bytes body;
  body.reserve(names.size() * ChunkName::kSize);
  for (const ChunkName& name : names) ByteWriter(body).raw(name.view());
  // Packs may stand before it on the line.
  STELE_TRY(const Bytes bits, run(connection->call(MessageType::kQueryChunks, std::move(body),
                                                   MessageType::kChunksKnown, net::deadline_in(timing_.transfer))));
  if (bits.size() != (names.size() + 7) / 8) {
    return Error{ErrorCode::kProtocol,
                 fmt::format("ask receiver {} for {} chunks: {} bytes came", receiver_.name, names.size(), bits.size()),
                 ""};
  }
  std::vector<bool> out(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) out[i] = (bits[i / 8] >> (i % 8) & 1) != 0;
  return out;
}

Result<std::vector<bool>> SnapshotSender::known(const std::vector<ChunkName>& names) {
  return with_retries(OnLimit::kWait, [&](const Connection& connection, int) { return ask(connection, names); });
}

Status SnapshotSender::put(const OutgoingObject& object) {
  return with_retries(OnLimit::kFail, [&](const Connection& connection, int attempt) -> Status {
    // After a broken line: perhaps only the answer was lost.
    bool arrived = attempt > 0 && !object.names.empty() && !distrusted_;
    for (std::span<const ChunkName> left(object.names); arrived && !left.empty();) {
      const auto piece = left.first(std::min(left.size(), protocol::kMaxQueryNames));
      STELE_TRY(const std::vector<bool> known, ask(connection, piece));
      arrived = std::all_of(known.begin(), known.end(), [](bool k) { return k; });
      left = left.subspan(piece.size());
    }
    if (arrived) return {};
    progress_.sent_bytes += object.bytes.size();
    std::vector<ByteView> pieces{ByteView(object.bytes)};
    STELE_TRY(const net::Message answer,
              run(connection->request(object.type, std::move(pieces), net::deadline_in(timing_.transfer))));
    if (answer.type != static_cast<std::uint8_t>(MessageType::kStored)) {
      return Error{ErrorCode::kProtocol, fmt::format("send to receiver {}: an unexpected answer", receiver_.name), ""};
    }
    return {};
  });
}

Result<std::optional<protocol::MissingChunks>> SnapshotSender::commit(const Bytes& manifest) {
  using Answer = std::optional<protocol::MissingChunks>;
  return with_retries(OnLimit::kFail, [&](const Connection& connection, int) -> Result<Answer> {
    std::vector<ByteView> pieces{ByteView(manifest)};
    STELE_TRY(const net::Message answer, run(connection->request(MessageType::kCommitSnapshot, std::move(pieces),
                                                                 net::deadline_in(timing_.transfer))));
    if (answer.type == static_cast<std::uint8_t>(MessageType::kStored)) return Answer{};
    if (answer.type == static_cast<std::uint8_t>(MessageType::kMissingChunks)) {
      STELE_TRY(protocol::MissingChunks missing, protocol::read_missing_chunks(answer.body));
      return Answer(std::move(missing));
    }
    return Error{ErrorCode::kProtocol, fmt::format("commit at receiver {}: an unexpected answer", receiver_.name), ""};
  });
}

}  // namespace stele::agent
