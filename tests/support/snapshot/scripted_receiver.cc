#include "tests/support/snapshot/scripted_receiver.h"

#include <boost/asio.hpp>
#include <fmt/format.h>

#include <future>

#include "core/crypto/hash.h"
#include "core/net/spawn.h"

namespace stele::test {

namespace asio = boost::asio;
using protocol::MessageType;

namespace {

std::uint8_t number(MessageType type) {
  return static_cast<std::uint8_t>(type);
}

net::MessageLimits limits_of(const std::vector<protocol::MessageLimit>& list) {
  net::MessageLimits out;
  for (const protocol::MessageLimit& l : list) out.allow(number(l.type), l.max_body);
  return out;
}

}  // namespace

struct ScriptedReceiver::Session {
  explicit Session(std::unique_ptr<net::ByteStream> stream)
      : messages(std::move(stream), limits_of(protocol::receiver_accepts_first()), 8 << 20) {}
  net::MessageStream messages;
  std::uint64_t credit = 0;
  bool introduced = false;
  void answer(MessageType type, Bytes body) { (void)messages.post(number(type), std::move(body)).ok(); }
};

ScriptedReceiver::ScriptedReceiver(std::string name, const net::TlsConfig& tls, DatabaseName database,
                                   const crypto::VerifyKey& agent)
    : name_(std::move(name)), tls_config_(tls), database_(std::move(database)), agent_(agent) {
  work_.emplace(io_.get_executor());
  for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { io_.run(); });
}

ScriptedReceiver::~ScriptedReceiver() {
  go_away();
  work_.reset();
  io_.stop();
  for (std::thread& thread : threads_) thread.join();
}

Status ScriptedReceiver::start() {
  STELE_TRY(auto tls, net::TlsContext::load(tls_config_));
  net::ListenerOptions options;
  options.address = fmt::format("127.0.0.1:{}", port_);
  options.policy.roles = {net::Role::kAgent};
  listener_ = std::make_unique<net::Listener>(io_.get_executor(), tls, sessions_, options);
  STELE_CHECK(listener_->start([this](std::unique_ptr<net::ByteStream> stream) { return serve(std::move(stream)); },
                               [](const std::string&, const Error&) {}));
  port_ = listener_->port();
  return {};
}

Status ScriptedReceiver::start_again() {
  return start();
}

std::string ScriptedReceiver::address() const {
  return fmt::format("127.0.0.1:{}", port_);
}

void ScriptedReceiver::go_away() {
  if (!listener_) return;
  std::promise<void> done;
  asio::co_spawn(io_, listener_->stop(), [&](std::exception_ptr) { done.set_value(); });
  done.get_future().wait();
  listener_.reset();
}

void ScriptedReceiver::forget(const ChunkName& name) {
  std::lock_guard lock(mutex_);
  seen_.chunks.erase(name);
}
void ScriptedReceiver::claim(const ChunkName& name) {
  std::lock_guard lock(mutex_);
  claimed_.insert(name);
}
void ScriptedReceiver::set_latest_manifest(const Digest& id) {
  std::lock_guard lock(mutex_);
  latest_ = id;
}
ScriptedReceiver::Seen ScriptedReceiver::seen() const {
  std::lock_guard lock(mutex_);
  return seen_;
}
void ScriptedReceiver::reset_counters() {
  std::lock_guard lock(mutex_);
  seen_.packs = seen_.pack_bytes = seen_.connections = seen_.queries = seen_.commits = 0;
  seen_.copies.clear();
}

net::Task<void> ScriptedReceiver::serve(std::unique_ptr<net::ByteStream> stream) {
  auto session = std::make_shared<Session>(std::move(stream));
  auto first = co_await session->messages.read(net::deadline_in(std::chrono::seconds(10)));
  if (!first.ok()) co_return;
  auto hello = protocol::read_hello(first->body);
  if (!hello.ok() || hello->purpose != protocol::Purpose::kSnapshot) {
    std::lock_guard lock(mutex_);
    seen_.protocol_error = "the first message is no hello for a snapshot";
    co_return;
  }
  {
    std::lock_guard lock(mutex_);
    ++seen_.connections;
  }
  session->messages.set_limits(limits_of(protocol::receiver_accepts(hello->purpose)));
  protocol::HelloReply reply;
  reply.receiver = name_;
  reply.software = "test";
  reply.credit_bytes = session->credit = credit;
  reply.heartbeat_seconds = 10;
  session->answer(MessageType::kHelloReply, protocol::encode(reply));
  while (true) {
    auto message = co_await session->messages.read();
    if (!message.ok()) {
      if (message.error().code == ErrorCode::kProtocol && message.error().what.find("cut") == std::string::npos) {
        std::lock_guard lock(mutex_);
        seen_.protocol_error = message.error().what;
      }
      break;
    }
    bool cut = false;
    auto failure = handle(*session, *message, cut);
    if (cut) break;
    if (failure) session->answer(MessageType::kFailure, protocol::encode(*failure));
  }
  session->messages.close();
}

std::optional<Error> ScriptedReceiver::handle(Session& session, const net::Message& message, bool& cut) {
  const auto type = static_cast<MessageType>(message.type);
  std::lock_guard lock(mutex_);
  switch (type) {
    case MessageType::kPing:
      session.answer(MessageType::kPong, {});
      return std::nullopt;
    case MessageType::kPong:
      return std::nullopt;
    case MessageType::kQueryDatabase: {
      auto asked = protocol::read_database(message.body);
      if (!asked.ok() || *asked != database_) return Error{ErrorCode::kUnauthorised, "another database", ""};
      protocol::DatabaseState state;
      state.latest_manifest = latest_;
      session.introduced = true;
      session.answer(MessageType::kDatabaseState, protocol::encode(state));
      return std::nullopt;
    }
    case MessageType::kPutRecord: {
      auto record = format::parse_record(message.body);
      if (!record.ok()) return record.error();
      seen_.records[record->kind] = message.body;
      session.answer(MessageType::kStored, protocol::encode_stored(record->id()));
      return std::nullopt;
    }
    case MessageType::kQueryChunks: {
      ++seen_.queries;
      if (limited_queries > 0) {
        --limited_queries;
        return Error{ErrorCode::kLimit, "too many questions", ""};
      }
      ByteReader reader(message.body);
      Bytes bits((message.body.size() / ChunkName::kSize + 7) / 8);
      for (std::size_t i = 0; reader.remaining() > 0; ++i) {
        ChunkName name;
        reader.fixed(name);
        if (seen_.chunks.contains(name) || claimed_.contains(name))
          bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 1u << (i % 8));
      }
      session.answer(MessageType::kChunksKnown, std::move(bits));
      return std::nullopt;
    }
    case MessageType::kPutPack:
      return put_pack(session, message.body, cut);
    case MessageType::kPutList: {
      auto list = format::ChunkList::decode(message.body);
      if (!list.ok()) return list.error();
      const Digest id = crypto::hash(crypto::default_suite(), message.body);
      seen_.lists[id] = message.body;
      session.answer(MessageType::kStored, protocol::encode_stored(id));
      return std::nullopt;
    }
    case MessageType::kCommitSnapshot:
      return commit(session, message.body);
    default:
      return Error{ErrorCode::kProtocol, "unexpected", ""};
  }
}

std::optional<Error> ScriptedReceiver::put_pack(Session& session, const Bytes& body, bool& cut) {
  if (!session.introduced || !seen_.records.contains(format::RecordKind::kEpoch))
    seen_.protocol_error = "a pack before its epoch";
  if (body.size() > session.credit) seen_.protocol_error = "more bytes than the credit";
  if (refuse_packs) return Error{ErrorCode::kUnauthorised, "not you", ""};
  if (cut_before_stored > 0 && --cut_before_stored == 0) {
    cut = true;
    return std::nullopt;
  }
  auto head = format::parse_pack(body, &agent_, true);
  if (!head.ok()) return head.error();
  ++seen_.packs;
  seen_.pack_bytes += body.size();
  for (const format::PackEntry& entry : head->entries) {
    seen_.chunks[entry.name] = to_bytes(ByteView(body).subspan(entry.offset, entry.size));
    ++seen_.copies[entry.name];
  }
  if (cut_after_stored > 0 && --cut_after_stored == 0) {
    cut = true;
    return std::nullopt;
  }
  session.answer(MessageType::kStored, protocol::encode_stored(Digest{head->pack.data}));
  session.answer(MessageType::kCredit, protocol::encode_credit(body.size()));
  return std::nullopt;
}

std::optional<Error> ScriptedReceiver::commit(Session& session, const Bytes& body) {
  ++seen_.commits;
  auto record = format::parse_record(body, format::RecordKind::kManifest);
  if (!record.ok()) return record.error();
  if (Status good = format::verify_record(*record, agent_); !good.ok()) return good.error();
  auto manifest = format::read_manifest(*record);
  if (!manifest.ok()) return manifest.error();
  if (gaps > 0) {
    --gaps;
    return Error{ErrorCode::kGap, "the log is not here yet", ""};
  }
  protocol::MissingChunks missing;
  std::uint64_t count = 0;
  for (const Digest& digest : manifest->reference.lists) {
    auto found = seen_.lists.find(digest);
    if (found == seen_.lists.end()) return Error{ErrorCode::kNotFound, "a list is missing", ""};
    auto list = format::ChunkList::decode(found->second);
    count += list->names.size();
    for (const ChunkName& name : list->names) {
      if (seen_.chunks.contains(name)) continue;
      ++missing.total;
      if (missing.names.size() < 1024) missing.names.push_back(name);
    }
  }
  if (count != manifest->reference.chunk_count) return Error{ErrorCode::kDamaged, "another number of chunks", ""};
  if (missing.total > 0) {
    session.answer(MessageType::kMissingChunks, protocol::encode(missing));
    return std::nullopt;
  }
  seen_.manifests.push_back(body);
  latest_ = record->id();
  session.answer(MessageType::kStored, protocol::encode_stored(record->id()));
  return std::nullopt;
}

}  // namespace stele::test
