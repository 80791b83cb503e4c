#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include "core/config/log.h"
#include "core/format/pack.h"
#include "receiver/session/session.h"

namespace stele::receiver {

using net::Task;
using protocol::MessageType;

namespace {

constexpr std::chrono::milliseconds kQueuePause{5};

/// An agent sends chunks, lists and the manifest of a snapshot.
class SnapshotSession final : public Session {
 public:
  SnapshotSession(SessionContext& context, std::unique_ptr<net::MessageStream> stream, std::shared_ptr<net::Activity> activity,
                  const protocol::InstanceId& instance)
      : Session(context, std::move(stream), std::move(activity)), instance_(instance) {}

 private:
  Task<Status> handle(net::Message message) override {
    const auto type = static_cast<MessageType>(message.type);
    if (type == MessageType::kQueryDatabase) co_return query(message.body);
    if (database_ == nullptr) co_return Error{ErrorCode::kProtocol, "the database was not queried first", ""};
    switch (type) {
      case MessageType::kPutPack: co_return co_await put_pack(std::move(message.body));
      case MessageType::kQueryChunks: co_return co_await query_chunks(std::move(message.body));
      case MessageType::kPutRecord:
      case MessageType::kPutList: co_return co_await put(type, std::move(message.body));
      case MessageType::kCommitSnapshot: co_return co_await commit(std::move(message.body));
      default: co_return Error{ErrorCode::kProtocol, fmt::format("message of type {} on a snapshot connection", message.type), ""};
    }
  }

  Status query(ByteView body) {
    STELE_TRY(DatabaseName name, protocol::read_database(body));
    auto found = own_database(name);
    if (found.ok() && database_ != nullptr && *found != database_) found = Error{ErrorCode::kProtocol, "one connection, one database", ""};
    if (!found.ok()) {
      answer_failure(found.error());
      return {};
    }
    database_ = *found;
    answer(MessageType::kDatabaseState, protocol::encode(context_.keeper.state(*database_)));
    return {};
  }

  /// Answered when durable; the next messages are read meanwhile.
  Task<Status> put_pack(Bytes body) {
    const std::uint64_t size = body.size();
    STELE_CO_CHECK(take_credit(size, context_.snapshot_credit));
    auto slot = reserve_slot();
    auto self = std::static_pointer_cast<SnapshotSession>(shared_from_this());
    auto done = [self, slot, size](Result<Digest> stored) {
      boost::asio::post(self->stream_->executor(), [self, slot, size, stored] {
        if (self->over()) return;
        if (stored.ok()) self->fill(slot, MessageType::kStored, protocol::encode_stored(*stored));
        else self->fill(slot, stored.error());
        self->give_credit(size, self->context_.snapshot_credit, format::kMaxPackBytes);
      });
    };
    while (!context_.packs.submit(*database_, body, done)) {
      co_await pause(kQueuePause);
      if (over()) co_return Error{ErrorCode::kCancelled, "the session ended", ""};
    }
    co_await pace(database_->site, size);
    co_return Status();
  }

  Task<Status> query_chunks(Bytes body) {
    if (body.size() % ChunkName::kSize != 0 || body.empty()) co_return Error{ErrorCode::kProtocol, "query chunks: not a list of names", ""};
    std::vector<ChunkName> names(body.size() / ChunkName::kSize);
    ByteReader reader(body);
    for (ChunkName& name : names) reader.fixed(name);
    auto slot = reserve_slot();
    auto work = [this, &names] { return context_.keeper.know_chunks(*database_, names); };
    auto known = co_await on_pool(context_.lookups, work);
    if (!known.ok()) {
      fill(slot, known.error());
      co_return Status();
    }
    Bytes bits((names.size() + 7) / 8);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if ((*known)[i]) bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | (1u << (i % 8)));
    }
    fill(slot, MessageType::kChunksKnown, std::move(bits));
    co_return Status();
  }

  Task<Status> put(MessageType type, Bytes body) {
    auto slot = reserve_slot();
    auto work = [this, type, &body] {
      return type == MessageType::kPutRecord ? put_agent_record(*database_, body) : context_.keeper.put_list(*database_, body);
    };
    auto stored = co_await on_worker(context_, work);
    if (stored.ok()) fill(slot, MessageType::kStored, protocol::encode_stored(*stored));
    else fill(slot, stored.error());
    co_return Status();
  }

  Task<Status> commit(Bytes body) {
    // Every pack sent before counts.
    while (has_open_slots()) {
      co_await pause(kQueuePause);
      if (over()) co_return Error{ErrorCode::kCancelled, "the session ended", ""};
    }
    auto slot = reserve_slot();
    auto work = [this, &body] { return context_.keeper.commit_snapshot(*database_, instance_, body); };
    auto committed = co_await on_pool(context_.lookups, work);
    if (!committed.ok()) {
      fill(slot, committed.error());
    } else if (const auto* missing = std::get_if<protocol::MissingChunks>(&*committed)) {
      fill(slot, MessageType::kMissingChunks, protocol::encode(*missing));
    } else {
      log::info("snapshot committed", {{"database", database_->name}, {"manifest", std::get<Digest>(*committed).short_hex()}});
      fill(slot, MessageType::kStored, protocol::encode_stored(std::get<Digest>(*committed)));
    }
    co_return Status();
  }

  const protocol::InstanceId instance_;
  Database* database_ = nullptr;
};

}  // namespace

std::shared_ptr<Session> make_snapshot_session(SessionContext& context, std::unique_ptr<net::MessageStream> stream,
                                               std::shared_ptr<net::Activity> activity, const protocol::InstanceId& instance) {
  return std::make_shared<SnapshotSession>(context, std::move(stream), std::move(activity), instance);
}

}  // namespace stele::receiver
