#include "agent/uplink/uplink.h"

#include <boost/asio.hpp>

#include "agent/uplink/retry_policy.h"
#include "core/config/log.h"
#include "core/format/branch.h"

namespace stele::agent {

namespace asio = boost::asio;
using protocol::MessageType;

namespace {

constexpr auto kRequestDeadline = std::chrono::seconds(30);
constexpr auto kFrameDeadline = std::chrono::seconds(60);

client::ConnectionOptions connection_options(const std::string& receiver, const std::string& address, const protocol::InstanceId& instance) {
  client::ConnectionOptions options;
  options.address = address;
  options.receiver = receiver;
  options.purpose = protocol::Purpose::kLog;
  options.instance = instance;
  options.software = "stele-agent " STELE_VERSION;
  return options;
}

}  // namespace

Uplink::Uplink(asio::any_io_executor pool, std::shared_ptr<net::TlsContext> tls, std::shared_ptr<net::SessionRegistry> sessions,
               std::string receiver, std::string address, FrameSpool& spool, const AgentIdentity& identity, Clock& clock,
               UplinkCallbacks callbacks)
    : pool_(pool), strand_(asio::make_strand(pool)), tls_(std::move(tls)), sessions_(std::move(sessions)), receiver_(std::move(receiver)),
      address_(std::move(address)), spool_(spool), identity_(identity), clock_(clock), callbacks_(std::move(callbacks)), work_(strand_) {
  state_.receiver = receiver_;
}

void Uplink::remember(const ReceiverMark& mark) { mark_ = mark; }
void Uplink::set_generation(Generation generation) { generation_ = generation; }

void Uplink::notify() {
  asio::post(strand_, [self = shared_from_this()] { self->work_.cancel(); });
}

void Uplink::stop() {
  stopping_ = true;
  notify();
}

void Uplink::post_status(Bytes record) {
  asio::post(strand_, [self = shared_from_this(), record = std::move(record)]() mutable {
    self->pending_status_ = std::move(record);
    self->work_.cancel();
  });
}

UplinkState Uplink::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

net::Task<void> Uplink::wait_for_work(Duration at_most) {
  work_.expires_after(at_most);
  co_await work_.async_wait(asio::as_tuple(asio::use_awaitable));
}

net::Task<void> Uplink::run() {
  // The coroutine's own executor must be the strand: what is awaited with use_awaitable (timers too) resumes on that executor only.
  co_await asio::co_spawn(strand_, follow(), asio::use_awaitable);
}

net::Task<void> Uplink::follow() {
  auto self = shared_from_this();
  RetryPolicy retry;
  while (!stopping_) {
    const Instant begun = clock_.steady_now();
    Status ended = co_await session();
    if (stopping_) break;
    Error why = ended.ok() ? Error{ErrorCode::kClosed, "the session ended", ""} : ended.error();
    {
      std::lock_guard lock(mutex_);
      state_.connected = false;
      state_.last_error = why.to_string();
      state_.refused = RetryPolicy::needs_a_person(why);
      ++state_.reconnects;
    }
    if (callbacks_.on_disconnected) callbacks_.on_disconnected(receiver_, why);
    if (why.code == ErrorCode::kFork && open_stream_ && callbacks_.on_fork && callbacks_.on_fork(receiver_, *open_stream_)) {
      forked_.insert(*open_stream_);
    }
    const Instant until = clock_.steady_now() + retry.after(why, std::chrono::duration_cast<Duration>(clock_.steady_now() - begun));
    while (!stopping_ && clock_.steady_now() < until) {
      co_await wait_for_work(std::chrono::duration_cast<Duration>(until - clock_.steady_now()) + Duration(1));
    }
  }
}

net::Task<Status> Uplink::session() {
  open_stream_.reset();
  put_epoch_.reset();
  client::ConnectionEvents events;
  // The connection's strand calls these; the uplink's own strand does the work.
  std::weak_ptr<Uplink> weak = weak_from_this();
  auto strand = strand_;
  events.on_ack = [weak, strand](const protocol::Ack& ack) {
    asio::post(strand, [weak, ack] {
      if (auto self = weak.lock()) self->on_ack(ack);
    });
  };
  events.on_end = [weak](const Error&) {
    if (auto self = weak.lock()) self->notify();
  };
  client::ConnectionOptions options = connection_options(receiver_, address_, identity_.instance);
  auto opened = co_await client::ReceiverConnection::open(pool_, tls_, sessions_, std::move(options), std::move(events));
  if (!opened.ok()) co_return std::move(opened).error();
  std::unique_ptr<client::ReceiverConnection> connection = std::move(*opened);
  Status status = co_await introduce(*connection);
  if (status.ok()) {
    {
      std::lock_guard lock(mutex_);
      state_.connected = true;
      state_.last_error.clear();
      state_.refused = false;
    }
    if (callbacks_.on_connected) callbacks_.on_connected(receiver_);
    log::info("connected to receiver", {{"receiver", receiver_}, {"address", address_}});
    status = co_await send_entries(*connection);
    // Why the receiver ended the session, rather than that the next frame could not be sent.
    if (Status ended = connection->status(); !status.ok() && !ended.ok()) status = ended;
  }
  if (stopping_) {
    co_await connection->shutdown();
  } else {
    connection->close();
  }
  co_return status;
}

net::Task<Status> Uplink::put_record(client::ReceiverConnection& connection, Bytes record) {
  auto stored = co_await connection.call(MessageType::kPutRecord, std::move(record), MessageType::kStored, net::deadline_in(kRequestDeadline));
  if (!stored.ok()) co_return std::move(stored).error();
  co_return Status{};
}

net::Task<Status> Uplink::introduce(client::ReceiverConnection& connection) {
  auto body = co_await connection.call(MessageType::kQueryDatabase, protocol::encode_database(identity_.database), MessageType::kDatabaseState,
                                       net::deadline_in(kRequestDeadline));
  STELE_CO_TRY(const Bytes state_body, std::move(body));
  STELE_CO_TRY(const protocol::DatabaseState held, protocol::read_database_state(state_body));
  STELE_CO_CHECK(co_await put_record(connection, identity_.enrolment));
  STELE_CO_CHECK(co_await put_record(connection, identity_.recipients));
  check_rollback(held);
  std::map<StreamId, FrameSpool::Held> by_stream;
  for (const protocol::StreamState& s : held.streams) {
    by_stream[s.stream] = {s.object, s.frame, s.durable_end, take_held(s)};
  }
  sent_.begin_session();
  FrameSpool::Resume resume = spool_.resume(by_stream);
  cursor_ = resume.after;
  {
    std::lock_guard lock(mutex_);
    state_.gap = resume.gap || lacks_beginning(resume, by_stream);
    state_.acknowledged = resume.after;  // goes back where the receiver lost something
  }
  if (state_.gap && resume.next && callbacks_.on_gap) callbacks_.on_gap(receiver_, resume.next->stream, resume.next->range.begin);
  for (std::uint64_t fact : resume.facts) {
    STELE_CO_TRY(std::optional<SpoolEntry> entry, spool_.next_after(fact - 1));
    if (!entry || entry->sequence != fact) continue;
    STELE_CO_CHECK(co_await put_record(connection, *entry->bytes));
  }
  // What the receiver holds of the newest stream counts at once, also while nothing new is sent.
  if (auto last = spool_.last_frame()) STELE_CO_CHECK(co_await open_stream(connection, last->stream));
  co_return Status{};
}

/// A receiver that holds nothing of a stream, where the spool begins behind the stream's own begin.
bool Uplink::lacks_beginning(const FrameSpool::Resume& resume, const std::map<StreamId, FrameSpool::Held>& held) const {
  if (!resume.next) return false;
  if (auto it = held.find(resume.next->stream); it != held.end() && it->second.durable_end.value != 0) return false;
  auto bytes = identity_.branch_record(resume.next->stream);
  if (!bytes.ok()) return false;  // opening the stream tells
  auto signed_record = format::parse_record(*bytes, format::RecordKind::kBranch);
  if (!signed_record.ok()) return false;
  auto branch = format::BranchRecord::read(*signed_record);
  return branch.ok() && resume.next->range.begin > branch->fork;
}

/// What the receiver says it holds of a stream. True: this process sent it, or the spool has the very frame.
bool Uplink::take_held(const protocol::StreamState& held) {
  const bool ours = held.durable_end.value == 0 || sent_.explains(held.stream, held.durable_end, held.object, held.frame) ||
                    spool_.holds(held.object, held.frame, held.head);
  if (ours && callbacks_.on_durable) callbacks_.on_durable(receiver_, held.stream, held.durable_end, held.head);
  if (!ours && callbacks_.on_claim) callbacks_.on_claim(receiver_, held);
  return ours;
}

void Uplink::check_rollback(const protocol::DatabaseState& held) {
  if (mark_.end.value == 0) return;
  Position now;
  for (const protocol::StreamState& s : held.streams) {
    if (s.stream == mark_.stream) now = s.durable_end;
  }
  if (now >= mark_.end) return;
  log::error("the receiver holds less than it had acknowledged",
             {{"receiver", receiver_}, {"acknowledged", mark_.end}, {"held", now}});
  if (callbacks_.on_rolled_back) callbacks_.on_rolled_back(receiver_, mark_.stream, now, mark_.end);
  mark_ = {};
}

net::Task<Status> Uplink::open_stream(client::ReceiverConnection& connection, const StreamId& stream) {
  if (open_stream_ == stream) co_return Status{};
  STELE_CO_TRY(Bytes record, identity_.branch_record(stream));
  STELE_CO_CHECK(co_await put_record(connection, std::move(record)));
  protocol::OpenStream open{identity_.database, stream, generation_};
  auto body = co_await connection.call(MessageType::kOpenStream, protocol::encode(open), MessageType::kStreamOpened,
                                       net::deadline_in(kRequestDeadline));
  STELE_CO_TRY(const Bytes state_body, std::move(body));
  STELE_CO_TRY(const protocol::StreamState state, protocol::read_stream_opened(state_body));
  open_stream_ = stream;
  put_epoch_.reset();
  const bool ours = take_held(state);
  std::lock_guard lock(mutex_);
  state_.stream = stream;
  state_.durable_end = state.durable_end;
  state_.head = state.head;
  state_.claimed = !ours;
  co_return Status{};
}

net::Task<Status> Uplink::put_epoch(client::ReceiverConnection& connection, const EpochId& epoch) {
  if (put_epoch_ == epoch) co_return Status{};
  STELE_CO_TRY(Bytes record, identity_.epoch_record(epoch));
  STELE_CO_CHECK(co_await put_record(connection, std::move(record)));
  put_epoch_ = epoch;
  co_return Status{};
}

net::Task<Status> Uplink::send_pending_status(client::ReceiverConnection& connection) {
  if (pending_status_.empty()) co_return Status{};
  const Bytes record = std::exchange(pending_status_, {});
  std::vector<ByteView> pieces{record};
  Status sent = co_await connection.send(MessageType::kStatus, std::move(pieces), net::deadline_in(kFrameDeadline));
  co_return sent;
}

net::Task<Status> Uplink::send_entries(client::ReceiverConnection& connection) {
  while (!stopping_) {
    STELE_CO_CHECK(connection.status());
    STELE_CO_CHECK(co_await send_pending_status(connection));
    STELE_CO_TRY(std::optional<SpoolEntry> entry, spool_.next_after(cursor_));
    // The spool was full and the quorum goes on: what this receiver lacks now is told at the next introduction.
    if (spool_.first_sequence() > cursor_ + 1) {
      co_return Error{ErrorCode::kTemporary, "the spool no longer has what this receiver needs next", "it was too slow for the full spool"};
    }
    if (!entry) {
      co_await wait_for_work(std::chrono::seconds(1));
      continue;
    }
    if (entry->kind == SpoolEntry::Kind::kFact) {
      STELE_CO_CHECK(co_await put_record(connection, *entry->bytes));
      pass_over(entry->sequence);
      continue;
    }
    if (forked_.contains(entry->stream)) {
      pass_over(entry->sequence);
      continue;
    }
    if (open_stream_ != entry->stream || put_epoch_ != entry->epoch) {
      STELE_CO_CHECK(co_await open_stream(connection, entry->stream));
      STELE_CO_CHECK(co_await put_epoch(connection, entry->epoch));
    }
    if (entry->is_signed) {
      sent_.sent({entry->sequence, entry->object, entry->number, entry->stream, entry->range.end, clock_.steady_now()});
    }
    std::vector<ByteView> pieces{ByteView(*entry->bytes)};
    Status sent = co_await connection.send(MessageType::kFrame, std::move(pieces), net::deadline_in(kFrameDeadline));
    STELE_CO_CHECK(std::move(sent));
    cursor_ = entry->sequence;
    if (callbacks_.on_sent) callbacks_.on_sent(entry->size);
    std::lock_guard lock(mutex_);
    state_.sent_bytes += entry->size;
  }
  co_return Status{};
}

/// The receiver has it, or need not have it.
void Uplink::pass_over(std::uint64_t sequence) {
  cursor_ = sequence;
  if (sent_.waiting()) return;
  std::lock_guard lock(mutex_);
  state_.acknowledged = std::max(state_.acknowledged, sequence);
}

void Uplink::on_ack(const protocol::Ack& ack) {
  const auto named = sent_.acknowledged(ack.object, ack.frame);
  if (!named) return;
  const SentLog::Sent& last = *named;
  const double seconds = std::chrono::duration<double>(clock_.steady_now() - last.at).count();
  StreamId stream;
  {
    std::lock_guard lock(mutex_);
    // Not further: frames behind the last signed one may have been sent, they are not durable there.
    state_.acknowledged = std::max(state_.acknowledged, last.sequence);
    if (last.stream == state_.stream) {
      state_.durable_end = std::exchange(state_.claimed, false) ? ack.end : std::max(state_.durable_end, ack.end);
      state_.head = ack.head;
    }
    stream = last.stream;
  }
  if (mark_.stream != stream || ack.end >= mark_.end) mark_ = {stream, ack.end, ack.head};
  if (callbacks_.on_ack_latency) callbacks_.on_ack_latency(seconds);
  if (callbacks_.on_durable) callbacks_.on_durable(receiver_, stream, ack.end, ack.head);
}

net::Task<Result<protocol::DatabaseState>> query_receiver(asio::any_io_executor pool, std::shared_ptr<net::TlsContext> tls,
                                                          std::shared_ptr<net::SessionRegistry> sessions, std::string receiver,
                                                          std::string address, const AgentIdentity& identity, std::chrono::milliseconds patience) {
  client::ConnectionOptions options = connection_options(receiver, address, identity.instance);
  options.open_deadline = patience;
  auto opened = co_await client::ReceiverConnection::open(pool, tls, sessions, std::move(options), client::ConnectionEvents{});
  if (!opened.ok()) co_return std::move(opened).error();
  std::unique_ptr<client::ReceiverConnection> connection = std::move(*opened);
  auto body = co_await connection->call(MessageType::kQueryDatabase, protocol::encode_database(identity.database), MessageType::kDatabaseState,
                                        net::deadline_in(patience));
  STELE_CO_TRY(const Bytes state_body, std::move(body));
  STELE_CO_TRY(protocol::DatabaseState held, protocol::read_database_state(state_body));
  connection->close();
  co_return held;
}

}  // namespace stele::agent
