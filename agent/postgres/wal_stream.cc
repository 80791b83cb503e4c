#include "agent/postgres/wal_stream.h"

#include <libpq-fe.h>

#include "agent/postgres/slot.h"

namespace stele::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kProbeTimeout = seconds(1);
constexpr Duration kProbeInterval = seconds(5);
constexpr Duration kSlowReplies = milliseconds(200);  // pace of replies to a server that asks again at once

struct CopyBufferDeleter {
  void operator()(char* buffer) const { PQfreemem(buffer); }
};
using CopyBuffer = std::unique_ptr<char, CopyBufferDeleter>;

}  // namespace

struct WalStream::State {
  State(PgConnection c, WalStreamOptions o, Clock& k)
      : connection(std::move(c)), options(std::move(o)), clock(k), host(connection->host()) {
    received_end = server_end = options.start;
    last_status = clock.steady_now();
  }

  std::optional<PgConnection> connection;  // none: closed
  WalStreamOptions options;
  Clock& clock;
  std::string host;
  CopyBuffer buffer;  // what the last WalData points into
  Position received_end, server_end, durable, reported;
  Timestamp server_time;
  Instant last_status{};
  bool answer_due = false;  // the server asked for a reply
  bool ask_server = false;  // the caller wants the server to reply
  bool finished = false;
  std::optional<EndOfTimeline> ended_at_start;  // START_REPLICATION at the switch point delivers nothing
  ShutdownDetector detector;
  std::optional<Instant> last_probe, shutdown_since;

  std::string tried() const { return "stream WAL from " + options.start.to_string(); }
  Error fail(Error error) {
    finished = true;
    connection.reset();
    return error;
  }
  Error over() const { return {ErrorCode::kInternal, fmt::format("the stream from {} is finished", host), ""}; }

  Instant next_status() const {
    return last_status + (answer_due && detector.suspected() ? std::min(kSlowReplies, options.status_interval)
                                                             : options.status_interval);
  }
  Position reportable() const { return durable <= received_end ? std::max(durable, reported) : reported; }

  Status pump();
  Result<WalEvent> message(int size);
  Result<WalEvent> copy_ended(Instant deadline);
  Result<EndOfTimeline> end_of_timeline(const PGresult* result);
  Status drain(Instant deadline);
  Result<bool> leave_for_shutdown(bool suspected);
};

Status WalStream::State::pump() {
  PGconn* conn = connection->raw();
  const int unsent = PQflush(conn);
  if (unsent < 0) return server_error("send a status", host, connection->connection_message());
  // What the server has not taken yet is not made longer; the next status says it all anyway.
  if (unsent > 0) return {};
  const Instant now = clock.steady_now();
  const Position position = reportable();
  const bool due = position > reported || ask_server || (answer_due && !detector.suspected()) || now >= next_status();
  if (!due) return {};
  const Bytes status = standby_status(position, clock.now(), ask_server);
  const int put = PQputCopyData(conn, reinterpret_cast<const char*>(status.data()), static_cast<int>(status.size()));
  if (put < 0 || PQflush(conn) < 0) return server_error("send a status", host, connection->connection_message());
  if (put == 0) return {};
  reported = position;
  last_status = now;
  answer_due = ask_server = false;
  return {};
}

Result<WalEvent> WalStream::State::message(int size) {
  STELE_TRY(WalMessage parsed,
            parse_wal_message({reinterpret_cast<const std::uint8_t*>(buffer.get()), static_cast<std::size_t>(size)}));
  if (const auto* data = std::get_if<WalData>(&parsed)) {
    if (data->start != received_end) {
      return Error{ErrorCode::kProtocol,
                   fmt::format("{} on {}: expected {}, the server sent {}", tried(), host, received_end.to_string(),
                               data->start.to_string()),
                   ""};
    }
    received_end = received_end + data->bytes.size();
    server_end = std::max(data->server_end, received_end);
    server_time = data->server_time;
    detector.data();
    shutdown_since.reset();
    return WalEvent(*data);
  }
  const auto& keepalive = std::get<WalKeepalive>(parsed);
  server_end = std::max(server_end, keepalive.server_end);
  server_time = keepalive.server_time;
  detector.keepalive(keepalive.reply_requested, keepalive.server_time);
  answer_due = answer_due || keepalive.reply_requested;
  STELE_CHECK(pump());
  return WalEvent(keepalive);
}

Result<EndOfTimeline> WalStream::State::end_of_timeline(const PGresult* result) {
  EndOfTimeline out;
  const bool shaped = PQntuples(result) == 1 && PQnfields(result) == 2 && PQgetisnull(result, 0, 0) == 0;
  const std::string timeline = shaped ? PQgetvalue(result, 0, 0) : "";
  const bool digits =
      !timeline.empty() && timeline.size() <= 9 && timeline.find_first_not_of("0123456789") == std::string::npos;
  auto position = parse_position(shaped ? PQgetvalue(result, 0, 1) : "");
  if (!digits || !position.ok()) {
    return Error{ErrorCode::kProtocol,
                 fmt::format("{} on {}: the end of the timeline is not understood", tried(), host), ""};
  }
  out.next_timeline = static_cast<std::uint32_t>(std::stoul(timeline));
  out.switch_point = *position;
  return out;
}

Status WalStream::State::drain(Instant deadline) {
  while (true) {
    STELE_TRY(PgResult result, connection->next_result(deadline));
    if (!result) return {};
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
      return replication_error(tried(), host, connection->message_of(result.get()), options.start.to_string());
    }
  }
}

/// The server has left the COPY: why, and what follows (walsender.c, StartReplication and WalSndDone).
Result<WalEvent> WalStream::State::copy_ended(Instant deadline) {
  deadline = std::max(deadline, clock.steady_now() + seconds(5));  // the rest of an exchange that has begun
  STELE_TRY(PgResult result, connection->next_result(deadline));
  if (result && PQresultStatus(result.get()) == PGRES_COPY_IN) {
    if (PQputCopyEnd(connection->raw(), nullptr) < 0) {
      return server_error("end the stream", host, connection->connection_message());
    }
    STELE_TRY(result, connection->next_result(deadline));
  }
  if (!result) return server_error(tried(), host, connection->connection_message());
  switch (PQresultStatus(result.get())) {
    case PGRES_TUPLES_OK: {
      STELE_TRY(const EndOfTimeline end, end_of_timeline(result.get()));
      STELE_CHECK(drain(deadline));
      finished = true;
      return WalEvent(end);
    }
    case PGRES_COMMAND_OK:
      // The walsender ends a COPY by itself only in a shutdown in which everything was confirmed.
      finished = true;
      connection.reset();
      return WalEvent(ServerShutdown{true});
    default:
      return replication_error(tried(), host, connection->message_of(result.get()), options.start.to_string());
  }
}

/// True when the server is shutting down and has waited long enough for us. Asks it by a connection attempt, at most
/// every few seconds.
Result<bool> WalStream::State::leave_for_shutdown(bool suspected) {
  if (!suspected) {
    shutdown_since.reset();
    return false;
  }
  if (!shutdown_since) {
    if (last_probe && clock.steady_now() - *last_probe < kProbeInterval) return false;
    ConnectOptions probe;
    probe.mode = ConnectionMode::kReplication;
    auto reached = PgConnection::connect(connection->address(), probe, clock.steady_now() + kProbeTimeout,
                                         connection->interrupt());
    last_probe = clock.steady_now();
    if (!reached.ok() && reached.error().code == ErrorCode::kCancelled) return reached.error();
    // We hold a live stream, so "not now" can only mean shutting down, in whatever language it was said.
    if (reached.ok() || sqlstate_of(reached.error()) != "57P03") {
      detector.reset();
      return false;
    }
    shutdown_since = clock.steady_now();
  }
  return clock.steady_now() - *shutdown_since >= options.shutdown_grace;
}

WalStream::WalStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
WalStream::~WalStream() = default;
WalStream::WalStream(WalStream&&) noexcept = default;
WalStream& WalStream::operator=(WalStream&&) noexcept = default;

Result<WalStream> WalStream::start(PgConnection connection, WalStreamOptions options, Clock& clock, Instant deadline) {
  if (!options.slot.empty()) STELE_CHECK(check_slot_name(options.slot));
  auto state = std::make_unique<State>(std::move(connection), std::move(options), clock);
  PgConnection& c = *state->connection;
  const std::string position = state->options.start.to_string();
  const std::string slot = state->options.slot.empty() ? "" : fmt::format("SLOT {} ", state->options.slot);
  STELE_CHECK(
      c.send(fmt::format("START_REPLICATION {}PHYSICAL {} TIMELINE {}", slot, position, state->options.timeline)));
  STELE_TRY(PgResult result, c.next_result(deadline));
  if (!result) return server_error(state->tried(), state->host, c.connection_message());
  switch (PQresultStatus(result.get())) {
    case PGRES_COPY_BOTH:
      break;
    case PGRES_TUPLES_OK: {
      STELE_TRY(state->ended_at_start, state->end_of_timeline(result.get()));
      STELE_CHECK(state->drain(deadline));
      break;
    }
    default:
      return replication_error(state->tried(), state->host, c.message_of(result.get()), position);
  }
  return WalStream(std::move(state));
}

Result<WalEvent> WalStream::next(Instant deadline) {
  State& s = *state_;
  if (s.finished) return s.over();
  if (s.ended_at_start) {
    s.finished = true;
    return WalEvent(*s.ended_at_start);
  }
  while (true) {
    char* raw = nullptr;
    const int size = PQgetCopyData(s.connection->raw(), &raw, 1);
    s.buffer.reset(raw);
    if (size > 0) {
      auto event = s.message(size);
      if (!event.ok()) return s.fail(std::move(event).error());
      return event;
    }
    if (size == -1) {
      auto event = s.copy_ended(deadline);
      if (!event.ok()) return s.fail(std::move(event).error());
      return event;
    }
    if (size < -1) return s.fail(server_error(s.tried(), s.host, s.connection->connection_message()));

    if (Status sent = s.pump(); !sent.ok()) return s.fail(std::move(sent).error());
    auto leave = s.leave_for_shutdown(s.detector.suspected());
    if (!leave.ok()) return s.fail(std::move(leave).error());
    if (*leave) {
      s.finished = true;
      s.connection.reset();
      return WalEvent(ServerShutdown{false});
    }
    Instant until = std::min(deadline, s.next_status());
    if (s.shutdown_since) until = std::min(until, *s.shutdown_since + s.options.shutdown_grace);
    auto ready = s.connection->wait(until, true);
    if (!ready.ok()) return s.fail(std::move(ready).error());
    if (*ready == PgConnection::Ready::kWoken) return WalEvent(WalWoken{});
    if (*ready == PgConnection::Ready::kDeadline && s.clock.steady_now() >= deadline) return WalEvent(WalIdle{});
  }
}

Result<WalEvent> WalStream::hold(Instant deadline) {
  State& s = *state_;
  if (s.finished) return s.over();
  if (s.ended_at_start) return next(deadline);
  s.buffer.reset();
  const Instant began = s.clock.steady_now();
  if (!s.last_probe) s.last_probe = began;
  while (true) {
    if (Status sent = s.pump(); !sent.ok()) return s.fail(std::move(sent).error());
    // Nothing is read, so the server cannot tell; it is asked now and then.
    auto leave = s.leave_for_shutdown(true);
    if (!leave.ok()) return s.fail(std::move(leave).error());
    if (*leave) {
      s.finished = true;
      s.connection.reset();
      return WalEvent(ServerShutdown{false});
    }
    Instant until = std::min({deadline, s.next_status(), *s.last_probe + kProbeInterval});
    if (s.shutdown_since) until = std::min({deadline, s.next_status(), *s.shutdown_since + s.options.shutdown_grace});
    auto ready = s.connection->wait_without_reading(until, true);
    if (!ready.ok()) return s.fail(std::move(ready).error());
    if (*ready == PgConnection::Ready::kWoken) return WalEvent(WalWoken{});
    if (s.clock.steady_now() >= deadline) return WalEvent(WalIdle{});
  }
}

Status WalStream::pump() {
  if (state_->finished) return state_->over();
  if (state_->ended_at_start) return {};
  Status sent = state_->pump();
  if (!sent.ok()) return state_->fail(std::move(sent).error());
  return {};
}

Status WalStream::send_status(Position durable, bool request_reply) {
  state_->durable = std::max(state_->durable, durable);
  state_->ask_server = state_->ask_server || request_reply;
  return pump();
}

Position WalStream::received_end() const {
  return state_->received_end;
}
Position WalStream::reported() const {
  return state_->reported;
}
Position WalStream::server_end() const {
  return state_->server_end;
}
Timestamp WalStream::server_time() const {
  return state_->server_time;
}
const std::string& WalStream::host() const {
  return state_->host;
}

PgConnection WalStream::take_connection() {
  return std::move(*state_->connection);
}

}  // namespace stele::agent
