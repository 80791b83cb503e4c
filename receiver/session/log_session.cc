#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include "core/config/log.h"
#include "core/format/frame.h"
#include "receiver/session/ack_queue.h"
#include "receiver/session/session.h"

namespace stele::receiver {

using net::Task;
using protocol::MessageType;

namespace {

constexpr std::chrono::milliseconds kJournalPause{5};
constexpr std::chrono::seconds kJournalPatience{60};

/// An agent streams the log of its database.
class LogSession final : public Session {
 public:
  LogSession(SessionContext& context, std::unique_ptr<net::MessageStream> stream, std::shared_ptr<net::Activity> activity,
             const protocol::InstanceId& instance)
      : Session(context, std::move(stream), std::move(activity)), instance_(instance), id_(context.writers.next_id()) {}

 private:
  Task<Status> handle(net::Message message) override {
    switch (static_cast<MessageType>(message.type)) {
      case MessageType::kQueryDatabase: co_return query(message.body);
      case MessageType::kPutRecord: co_return co_await put_record(std::move(message.body));
      case MessageType::kOpenStream: co_return co_await open_stream(std::move(message.body));
      case MessageType::kFrame: co_return co_await frame(std::move(message.body));
      case MessageType::kStatus:
        if (database_ == nullptr) co_return not_asked();
        co_return context_.keeper.put_status(*database_, message.body);
      default: co_return Error{ErrorCode::kProtocol, fmt::format("message of type {} on a log connection", message.type), ""};
    }
  }

  void ended() override {
    if (database_ == nullptr) return;
    context_.writers.leave(database_->name, id_);
    context_.keeper.close_stream(*database_, id_);
  }

  static Error not_asked() { return {ErrorCode::kProtocol, "the database was not queried first", ""}; }

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

  Task<Status> put_record(Bytes body) {
    if (database_ == nullptr) co_return not_asked();
    Database* database = database_;
    auto work = [this, database, &body] { return put_agent_record(*database, body); };
    auto stored = co_await on_worker(context_, work);
    if (stored.ok()) answer(MessageType::kStored, protocol::encode_stored(*stored));
    else answer_failure(stored.error());
    co_return Status();
  }

  Task<Status> open_stream(Bytes body) {
    STELE_CO_TRY(protocol::OpenStream open, protocol::read_open_stream(body));
    if (database_ == nullptr) co_return not_asked();
    if (open.database != database_->name) co_return Error{ErrorCode::kProtocol, "open stream: not the database that was queried", ""};
    auto work = [this, &open] { return context_.keeper.open_stream(*database_, open.stream, open.generation, instance_, id_); };
    auto state = co_await on_worker(context_, work);
    if (!state.ok()) {
      answer_failure(state.error());
      co_return Status();
    }
    if (over()) co_return Error{ErrorCode::kCancelled, "the session ended", ""};
    std::weak_ptr<Session> weak = weak_from_this();
    context_.writers.enter(database_->name, id_, [weak](const Error& why) {
      if (auto session = weak.lock()) session->end_with(why);
    });
    ingest_.emplace(context_.keeper.make_ingest(*database_, open.stream, open.generation));
    log::info("stream opened", {{"database", database_->name}, {"stream", open.stream.short_hex()}, {"generation", open.generation.value},
                                {"durable_end", state->durable_end}});
    answer(MessageType::kStreamOpened, protocol::encode(*state));
    co_return Status();
  }

  Task<Status> frame(Bytes body) {
    const Instant arrived = context_.clock.steady_now();
    if (!ingest_) co_return Error{ErrorCode::kProtocol, "a frame before a stream was opened", ""};
    const std::uint64_t size = body.size();
    STELE_CO_CHECK(take_credit(size, context_.log_credit));
    STELE_CO_CHECK(context_.keeper.may_store(*database_, size));
    STELE_CO_TRY(format::Frame parsed, format::parse_frame(body));
    STELE_CO_TRY(IngestVerdict verdict, context_.keeper.judge(*database_, *ingest_, std::move(parsed)));
    if (verdict.gap) {
      log::warning("a gap in the stream", {{"database", database_->name}, {"from", verdict.gap->begin}, {"to", verdict.gap->end}});
    }
    batch_bytes_ += size;
    if (verdict.ack) {
      const std::uint64_t ticket = acks_.push(*verdict.ack, std::exchange(batch_bytes_, 0), arrived);
      if (verdict.store.empty()) {
        acks_.durable(ticket);
        send_acks();
      } else {
        STELE_CO_CHECK(co_await land(verdict.store, ticket));
      }
    }
    co_await pace(database_->site, size);
    if (context_.keeper.under_pressure()) co_return co_await wait_for_room();
    co_return Status();
  }

  Task<Status> land(const std::vector<format::Frame>& frames, std::uint64_t ticket) {
    auto self = std::static_pointer_cast<LogSession>(shared_from_this());
    const Instant limit = net::deadline_in(kJournalPatience);
    for (;;) {
      auto done = [self, ticket](Status durable) { self->on_durable(ticket, std::move(durable)); };
      Status queued = context_.keeper.land(*database_, id_, frames, done);
      if (queued.ok() || queued.error().code != ErrorCode::kLimit) co_return queued;
      if (std::chrono::steady_clock::now() > limit) co_return Error{ErrorCode::kTemporary, queued.error().what, "look at the receiver's disk"};
      co_await pause(kJournalPause);
      if (over()) co_return Error{ErrorCode::kCancelled, "the session ended", ""};
    }
  }

  /// The journal is nearly full: nothing is read until runs were sealed.
  Task<Status> wait_for_room() {
    const Instant limit = net::deadline_in(kJournalPatience);
    while (context_.keeper.under_pressure()) {
      if (std::chrono::steady_clock::now() > limit) {
        co_return Error{ErrorCode::kTemporary, "the receiver's journal is full and its frames cannot be put into the store",
                        "look at the receiver's disk and its log; nothing acknowledged is lost"};
      }
      co_await pause(kJournalPause * 4);
      if (over()) co_return Error{ErrorCode::kCancelled, "the session ended", ""};
    }
    co_return Status();
  }

  /// On the journal's thread.
  void on_durable(std::uint64_t ticket, Status durable) {
    bool first = false;
    {
      std::lock_guard lock(landed_mutex_);
      first = landed_.empty();
      landed_.emplace_back(ticket, std::move(durable));
    }
    if (!first) return;
    boost::asio::post(stream_->executor(), [self = std::static_pointer_cast<LogSession>(shared_from_this())] { self->take_landed(); });
  }

  void take_landed() {
    std::vector<std::pair<std::uint64_t, Status>> landed;
    {
      std::lock_guard lock(landed_mutex_);
      landed.swap(landed_);
    }
    if (over()) return;
    for (auto& [ticket, durable] : landed) {
      if (!durable.ok()) {
        // Nothing of this batch, and nothing behind it, is acknowledged.
        Error why = durable.error();
        if (why.code == ErrorCode::kLimit) why.code = ErrorCode::kTemporary;
        end_with(why.in("the receiver's journal"));
        return;
      }
      acks_.durable(ticket);
    }
    send_acks();
  }

  void send_acks() {
    AckQueue::Ready ready = acks_.take();
    const Instant now = context_.clock.steady_now();
    for (const protocol::Ack& ack : ready.acks) {
      if (Status sent = post(MessageType::kAck, protocol::encode(ack)); !sent.ok()) end_with(sent.error());
    }
    for (Instant arrived : ready.arrived) context_.metrics.ack_latency.observe(std::chrono::duration<double>(now - arrived).count());
    if (ready.credit != 0) give_credit(ready.credit, context_.log_credit, format::kMaxFramePayload + format::kMaxFrameHeader);
  }

  const protocol::InstanceId instance_;
  const std::uint64_t id_;
  Database* database_ = nullptr;
  std::optional<StreamIngest> ingest_;
  AckQueue acks_;
  std::uint64_t batch_bytes_ = 0;
  std::mutex landed_mutex_;
  std::vector<std::pair<std::uint64_t, Status>> landed_;  // under landed_mutex_
};

}  // namespace

std::shared_ptr<Session> make_log_session(SessionContext& context, std::unique_ptr<net::MessageStream> stream,
                                          std::shared_ptr<net::Activity> activity, const protocol::InstanceId& instance) {
  return std::make_shared<LogSession>(context, std::move(stream), std::move(activity), instance);
}

}  // namespace stele::receiver
