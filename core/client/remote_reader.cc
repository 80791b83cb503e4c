#include "core/client/remote_reader.h"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "core/client/receiver_connection.h"
#include "core/net/spawn.h"

namespace stele::client {

namespace asio = boost::asio;
using protocol::MessageType;

namespace {
constexpr std::chrono::milliseconds kFirstPause{100}, kLongestPause{2000};
constexpr std::chrono::seconds kCallDeadline{60};
constexpr std::chrono::milliseconds kLook{50};  ///< how often those who wait look at `cancelled`: a signal handler may set it

/// Errors of a line or of a moment; the others come back at once.
bool worth_a_retry(ErrorCode code) {
  switch (code) {
    case ErrorCode::kClosed:
    case ErrorCode::kTimeout:
    case ErrorCode::kTemporary:
    case ErrorCode::kUnreachable:
    case ErrorCode::kCancelled:
    case ErrorCode::kIo: return true;
    default: return false;
  }
}
}  // namespace

struct RemoteReader::Impl {
  explicit Impl(Options o) : options(std::move(o)), sessions(std::make_shared<net::SessionRegistry>()), work(asio::make_work_guard(io)) {
    thread = std::thread([this] { io.run(); });
  }
  ~Impl() {
    idle.clear();
    sessions->close_all();
    work.reset();
    io.stop();
    thread.join();
  }

  Options options;
  std::shared_ptr<net::SessionRegistry> sessions;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::thread thread;
  std::mutex mutex;
  std::condition_variable returned;
  std::vector<std::unique_ptr<ReceiverConnection>> idle;
  std::size_t connections = 0;  ///< idle and lent

  bool cancelled() const { return options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed); }
  Error stopped() const { return {ErrorCode::kCancelled, fmt::format("read from receiver {}: stopped", options.receiver), ""}; }

  /// Runs a task on the network thread and waits for it here. `over`: the connection that the task uses.
  template <typename T>
  T wait_for(net::Task<T> task, ReceiverConnection* over) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    asio::co_spawn(io, net::as_optional(std::move(task)), [promise](std::exception_ptr e, std::optional<T> result) {
      if (e) promise->set_value(Error{ErrorCode::kInternal, "read from a receiver: an exception left the session", ""});
      else promise->set_value(std::move(*result));
    });
    while (future.wait_for(kLook) != std::future_status::ready) {
      if (!cancelled()) continue;
      // A connection that is being opened ends by its own deadline; nobody needs it any more.
      if (over == nullptr) return stopped();
      over->close();
      break;
    }
    return future.get();
  }

  Result<std::unique_ptr<ReceiverConnection>> connect() {
    ConnectionOptions c;
    c.address = options.address;
    c.receiver = options.receiver;
    c.purpose = protocol::Purpose::kRead;
    c.software = options.software;
    return wait_for(ReceiverConnection::open(io.get_executor(), options.tls, sessions, c, {}), nullptr);
  }

  Result<std::unique_ptr<ReceiverConnection>> borrow() {
    {
      std::unique_lock lock(mutex);
      returned.wait(lock, [&] { return !idle.empty() || connections < options.connections; });
      while (!idle.empty()) {
        auto connection = std::move(idle.back());
        idle.pop_back();
        if (connection->status().ok()) return connection;
        --connections;
      }
      ++connections;
    }
    auto made = connect();
    if (!made.ok()) give_back(nullptr);
    return made;
  }

  void give_back(std::unique_ptr<ReceiverConnection> connection) {
    {
      std::lock_guard lock(mutex);
      if (connection && connection->status().ok()) idle.push_back(std::move(connection));
      else --connections;
    }
    returned.notify_one();
  }

  Result<Bytes> call(MessageType type, Bytes body, MessageType expected) {
    const Instant limit = net::deadline_in(options.patience);
    std::chrono::milliseconds pause = kFirstPause;
    for (;;) {
      Result<Bytes> answer = Error{ErrorCode::kInternal, "", ""};
      auto connection = borrow();
      if (connection.ok()) {
        answer = wait_for((*connection)->call(type, body, expected, std::min(limit, net::deadline_in(kCallDeadline))), connection->get());
        const bool late = !answer.ok() && answer.error().code == ErrorCode::kTimeout;
        give_back(late ? nullptr : std::move(*connection));
      } else {
        answer = connection.error();
      }
      if (answer.ok() || !worth_a_retry(answer.error().code)) return answer;
      if (cancelled()) return stopped();
      if (std::chrono::steady_clock::now() + pause >= limit) {
        return Error{ErrorCode::kTemporary, answer.error().what, answer.error().hint.empty() ? "is the receiver running and reachable?" : answer.error().hint};
      }
      const Instant again = net::deadline_in(pause);
      while (std::chrono::steady_clock::now() < again) {
        std::this_thread::sleep_for(std::min(kLook, pause));
        if (cancelled()) return stopped();
      }
      pause = std::min(pause * 2, kLongestPause);
    }
  }
};

RemoteReader::RemoteReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RemoteReader::~RemoteReader() = default;

Result<std::unique_ptr<RemoteReader>> RemoteReader::open(Options options) {
  if (options.connections == 0) options.connections = 1;
  auto impl = std::make_unique<Impl>(std::move(options));
  STELE_TRY(auto first, impl->borrow());
  impl->give_back(std::move(first));
  return std::unique_ptr<RemoteReader>(new RemoteReader(std::move(impl)));
}

const std::string& RemoteReader::receiver() const { return impl_->options.receiver; }

Result<std::vector<store::ObjectInfo>> RemoteReader::list(std::string_view prefix) {
  std::vector<store::ObjectInfo> out;
  protocol::ListObjects request;
  request.prefix = std::string(prefix);
  for (bool more = true; more;) {
    if (!out.empty()) request.start_after = out.back().name;
    STELE_TRY(Bytes body, impl_->call(MessageType::kListObjects, protocol::encode(request), MessageType::kObjectList));
    STELE_TRY(protocol::ObjectList page, protocol::read_object_list(body));
    for (auto& entry : page.objects) {
      // A receiver is not trusted to end: names must grow.
      if (!out.empty() && entry.name <= out.back().name) return Error{ErrorCode::kProtocol, "receiver: its listing is not in order", ""};
      out.push_back({std::move(entry.name), entry.size});
    }
    more = page.more && !page.objects.empty();
  }
  return out;
}

Result<Bytes> RemoteReader::read(std::string_view name, std::uint64_t offset, std::size_t length) {
  if (length > store::kMaxReadBytes) return Error{ErrorCode::kLimit, fmt::format("{}: a read of {} bytes is over the limit", name, length), ""};
  Bytes out;
  out.reserve(length);
  while (out.size() < length) {
    protocol::ReadObject request;
    request.name = std::string(name);
    request.offset = offset + out.size();
    request.length = static_cast<std::uint32_t>(std::min<std::size_t>(length - out.size(), protocol::kMaxRead));
    STELE_TRY(Bytes piece, impl_->call(MessageType::kReadObject, protocol::encode(request), MessageType::kObjectData));
    if (piece.size() != request.length) {
      return Error{ErrorCode::kProtocol, fmt::format("{}: the receiver sent {} bytes, {} were asked for", name, piece.size(), request.length), ""};
    }
    out.insert(out.end(), piece.begin(), piece.end());
  }
  return out;
}

Result<std::uint64_t> RemoteReader::size(std::string_view name) {
  protocol::ListObjects request;
  request.prefix = std::string(name);
  request.limit = 1;
  STELE_TRY(Bytes body, impl_->call(MessageType::kListObjects, protocol::encode(request), MessageType::kObjectList));
  STELE_TRY(protocol::ObjectList page, protocol::read_object_list(body));
  // The name itself sorts before every longer one.
  if (page.objects.empty() || page.objects.front().name != name) return Error{ErrorCode::kNotFound, fmt::format("{}: there is no such object", name), ""};
  return page.objects.front().size;
}

Result<std::uint32_t> RemoteReader::seal_runs(const DatabaseName& database) {
  STELE_TRY(Bytes body, impl_->call(MessageType::kSealRuns, protocol::encode_database(database), MessageType::kSealed));
  return protocol::read_sealed(body);
}

Result<std::uint32_t> RemoteReader::reserve_timeline(const DatabaseName& database, std::uint32_t above) {
  protocol::ReserveTimeline request;
  request.database = database;
  request.above = above;
  STELE_TRY(Bytes body, impl_->call(MessageType::kReserveTimeline, protocol::encode(request), MessageType::kReservedTimeline));
  return protocol::read_reserved_timeline(body);
}

Result<Digest> RemoteReader::put_record(ByteView record) {
  STELE_TRY(Bytes body, impl_->call(MessageType::kPutRecord, to_bytes(record), MessageType::kStored));
  return protocol::read_stored(body);
}

Result<protocol::DatabaseState> RemoteReader::query_database(const DatabaseName& database) {
  STELE_TRY(Bytes body, impl_->call(MessageType::kQueryDatabase, protocol::encode_database(database), MessageType::kDatabaseState));
  return protocol::read_database_state(body);
}

}  // namespace stele::client
