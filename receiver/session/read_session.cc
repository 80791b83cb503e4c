#include <fmt/format.h>

#include "core/config/log.h"
#include "core/format/drill_record.h"
#include "core/format/resealed.h"
#include "receiver/session/session.h"

namespace stele::receiver {

using net::Task;
using protocol::MessageType;

namespace {

constexpr std::chrono::seconds kSendDeadline{120};

/// An operator lists and reads what the certificate allows, and appends drill records.
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
      case MessageType::kPutRecord: {
        auto database = database_of(message.body);
        if (!database.ok()) {
          answer_failure(database.error());
          co_return Status();
        }
        auto work = [this, &database, &message] { return context_.keeper.put_record(**database, message.body); };
        auto stored = co_await on_worker(context_, work);
        if (stored.ok()) answer(MessageType::kStored, protocol::encode_stored(*stored));
        else answer_failure(stored.error());
        co_return Status();
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
      default: co_return Error{ErrorCode::kProtocol, fmt::format("message of type {} on a read connection", message.type), ""};
    }
  }

  /// The database of a record that an operator may append (PROTOCOL.md, step 14).
  Result<Database*> database_of(ByteView bytes) {
    STELE_TRY(const format::SignedRecord record, format::parse_record(bytes));
    DatabaseName name;
    if (record.kind == format::RecordKind::kDrill) {
      STELE_TRY(const format::DrillRecord drill, format::DrillRecord::read(record));
      name = drill.database;
    } else if (record.kind == format::RecordKind::kRecipientList) {
      STELE_TRY(const format::RecipientList list, format::RecipientList::read(record));
      name = list.database;
    } else if (record.kind == format::RecordKind::kResealedKeys) {
      STELE_TRY(const format::ResealedKeys resealed, format::ResealedKeys::read(record));
      name = resealed.database;
    } else {
      return Error{ErrorCode::kUnauthorised, fmt::format("a {} record from {}", format::record_kind_name(record.kind), stream_->peer().to_string()),
                   "operators append drill records, recipient lists and resealed keys only"};
    }
    return own_database(name);
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
