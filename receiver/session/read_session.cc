#include <fmt/format.h>

#include "core/config/log.h"
#include "core/format/resealed.h"
#include "receiver/session/session.h"

namespace stele::receiver {

using net::Task;
using protocol::MessageType;

namespace {

constexpr std::chrono::seconds kSendDeadline{120};

/// An operator lists and reads what the certificate allows.
class ReadSession final : public Session {
 public:
  using Session::Session;

 private:
  Task<Status> handle(net::Message message) override {
    switch (static_cast<MessageType>(message.type)) {
      case MessageType::kQueryDatabase: {
        STELE_CO_TRY(DatabaseName name, protocol::read_database(message.body));
        auto database = own_database(name);
        if (database.ok()) answer(MessageType::kDatabaseState, protocol::encode(context_.keeper.state(**database)));
        else answer_failure(database.error());
        co_return Status();
      }
      case MessageType::kListObjects: {
        STELE_CO_TRY(protocol::ListObjects request, protocol::read_list_objects(message.body));
        auto work = [this, &request] { return context_.keeper.list_objects(stream_->peer().name, request); };
        auto list = co_await on_worker(context_, work);
        co_return co_await reply(MessageType::kObjectList, list.ok() ? Result<Bytes>(protocol::encode(*list)) : Result<Bytes>(list.error()));
      }
      case MessageType::kReadObject: {
        STELE_CO_TRY(protocol::ReadObject request, protocol::read_read_object(message.body));
        auto work = [this, &request] { return context_.keeper.read_object(stream_->peer().name, request); };
        auto bytes = co_await on_worker(context_, work);
        co_return co_await reply(MessageType::kObjectData, std::move(bytes));
      }
      case MessageType::kSealRuns: {
        STELE_CO_TRY(DatabaseName name, protocol::read_database(message.body));
        auto database = own_database(name);
        if (!database.ok()) {
          answer_failure(database.error());
          co_return Status();
        }
        auto work = [this, &database] { return context_.keeper.seal_all(**database); };
        auto sealed = co_await on_worker(context_, work);
        if (sealed.ok()) answer(MessageType::kSealed, protocol::encode_sealed(*sealed));
        else answer_failure(sealed.error());
        co_return Status();
      }
      case MessageType::kReserveTimeline: {
        STELE_CO_TRY(protocol::ReserveTimeline request, protocol::read_reserve_timeline(message.body));
        auto database = own_database(request.database);
        if (!database.ok()) {
          answer_failure(database.error());
          co_return Status();
        }
        auto work = [this, &database, &request] { return context_.keeper.reserve_timeline(**database, request.above); };
        auto timeline = co_await on_worker(context_, work);
        if (timeline.ok()) answer(MessageType::kReservedTimeline, protocol::encode_reserved_timeline(*timeline));
        else answer_failure(timeline.error());
        co_return Status();
      }
      case MessageType::kPutRecord: co_return co_await put_record(std::move(message.body));
      default: co_return Error{ErrorCode::kProtocol, fmt::format("message of type {} on a read connection", message.type), ""};
    }
  }

  /// Of an operator only what an authority signed about keys (PROTOCOL.md, step 15).
  Task<Status> put_record(Bytes body) {
    auto find = [&]() -> Result<Database*> {
      STELE_TRY(const format::SignedRecord record, format::parse_record(body));
      DatabaseName name;
      if (record.kind == format::RecordKind::kRecipientList) {
        STELE_TRY(const format::RecipientList list, format::RecipientList::read(record));
        name = list.database;
      } else if (record.kind == format::RecordKind::kResealedKeys) {
        STELE_TRY(const format::ResealedKeys resealed, format::ResealedKeys::read(record));
        name = resealed.database;
      } else {
        return Error{ErrorCode::kUnauthorised, fmt::format("a {} record from an operator", format::record_kind_name(record.kind)), "operators append recipient lists and resealed keys only"};
      }
      return own_database(name);
    };
    auto database = find();
    if (!database.ok()) {
      answer_failure(database.error());
      co_return Status();
    }
    auto work = [this, &database, &body] { return context_.keeper.put_record(**database, body); };
    auto id = co_await on_worker(context_, work);
    if (id.ok()) answer(MessageType::kStored, protocol::encode_stored(*id));
    else answer_failure(id.error());
    co_return Status();
  }

  /// Large answers are written, not queued: the next request is read when this one is on its way.
  Task<Status> reply(MessageType type, Result<Bytes> body) {
    if (!body.ok()) {
      answer_failure(body.error());
      co_return Status();
    }
    std::vector<ByteView> pieces = {ByteView(*body)};
    co_return co_await stream_->write(static_cast<std::uint8_t>(type), std::move(pieces), net::deadline_in(kSendDeadline));
  }
};

}  // namespace

std::shared_ptr<Session> make_read_session(SessionContext& context, std::unique_ptr<net::MessageStream> stream,
                                           std::shared_ptr<net::Activity> activity) {
  return std::make_shared<ReadSession>(context, std::move(stream), std::move(activity));
}

}  // namespace stele::receiver
