#include "agent/postgres/connection.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>

namespace stele::agent {
namespace {

constexpr std::size_t kMaxResultBytes = 64 << 20;

enum class PollEnd { kReady, kHangUp, kWoken, kDeadline, kStopped };

// Rounded up, so that a wait does not end just before its deadline and spin.
int milliseconds_until(Instant deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
}

Result<PollEnd> poll_socket(int socket, short events, Instant deadline, Interrupt& interrupt, bool heed_wake) {
  while (true) {
    pollfd fds[3] = {{interrupt.stop_fd(), POLLIN, 0}, {socket, events, 0}, {interrupt.wake_fd(), POLLIN, 0}};
    const int got = ::poll(fds, heed_wake ? 3 : 2, milliseconds_until(deadline));
    if (got < 0 && errno != EINTR) return system_error("wait for", "PostgreSQL", errno);
    if (got > 0) {
      if (fds[0].revents != 0) return PollEnd::kStopped;
      if ((fds[1].revents & events) != 0) return PollEnd::kReady;
      if (fds[1].revents != 0) return PollEnd::kHangUp;
      if (heed_wake && fds[2].revents != 0) return PollEnd::kWoken;
    }
    if (std::chrono::steady_clock::now() >= deadline) return PollEnd::kDeadline;
  }
}

Error cancelled(std::string_view tried, std::string_view host) {
  return {ErrorCode::kCancelled, fmt::format("{} on {}: the program is stopping", tried, host), ""};
}

Error timed_out(std::string_view tried, std::string_view host) {
  return {ErrorCode::kTimeout, fmt::format("{} on {}: no answer in time", tried, host),
          "the server or the network is overloaded, or a firewall drops the connection"};
}

// Values that hold only where the operator has not said otherwise.
struct Keywords {
  std::vector<std::string> names, values;
  void set(std::string_view name, std::string_view value) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) {
        values[i] = value;
        return;
      }
    }
    names.emplace_back(name);
    values.emplace_back(value);
  }
};

Keywords make_keywords(const ServerAddress& address, const ConnectOptions& options) {
  Keywords k;
  // A dead peer or line is noticed in seconds; libpq applies these to TCP only.
  k.set("keepalives_idle", "5");
  k.set("keepalives_interval", "2");
  k.set("keepalives_count", "3");
  k.set("tcp_user_timeout", "10000");
  k.set("fallback_application_name", options.application_name);
  k.set("dbname", "postgres");
  for (const auto& [name, value] : address.keywords) k.set(name, value);
  if (!address.host.empty()) k.set("host", address.host);
  if (!address.hostaddr.empty()) k.set("hostaddr", address.hostaddr);
  if (!address.port.empty()) k.set("port", address.port);
  k.set("client_encoding", "UTF8");
  if (options.mode == ConnectionMode::kReplication) {
    k.set("replication", "true");
    k.set("dbname", "replication");
    const std::string* given = address.keyword("options");
    k.set("options", fmt::format("{}{}-c wal_sender_timeout={}", given ? *given : "", given ? " " : "",
                                 options.wal_sender_timeout_ms));
  }
  return k;
}

void drop_notice(void*, const PGresult*) {}

}  // namespace

void ResultDeleter::operator()(pg_result* result) const {
  PQclear(result);
}

Result<std::string> Rows::single(std::string_view what) const {
  if (rows.size() != 1 || rows[0].empty() || !rows[0][0]) {
    return Error{ErrorCode::kDatabase, fmt::format("{}: the server gave no value", what), ""};
  }
  return *rows[0][0];
}

PgConnection::PgConnection(pg_conn* conn, ServerAddress address, ConnectionMode mode,
                           std::shared_ptr<Interrupt> interrupt)
    : conn_(conn),
      address_(std::move(address)),
      host_(address_.label()),
      mode_(mode),
      interrupt_(std::move(interrupt)) {}

PgConnection::~PgConnection() {
  if (conn_ != nullptr) PQfinish(conn_);
}

PgConnection::PgConnection(PgConnection&& other) noexcept {
  *this = std::move(other);
}

PgConnection& PgConnection::operator=(PgConnection&& other) noexcept {
  if (this == &other) return *this;
  if (conn_ != nullptr) PQfinish(conn_);
  conn_ = std::exchange(other.conn_, nullptr);
  address_ = std::move(other.address_);
  host_ = std::move(other.host_);
  mode_ = other.mode_;
  interrupt_ = std::move(other.interrupt_);
  broken_ = other.broken_;
  return *this;
}

Result<PgConnection> PgConnection::connect(const ServerAddress& address, const ConnectOptions& options,
                                           Instant deadline, std::shared_ptr<Interrupt> interrupt) {
  const Keywords keywords = make_keywords(address, options);
  std::vector<const char*> names, values;
  for (std::size_t i = 0; i < keywords.names.size(); ++i) {
    names.push_back(keywords.names[i].c_str());
    values.push_back(keywords.values[i].c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  const std::string label = address.label();
  if (interrupt->stopped()) return cancelled("connect", label);

  PGconn* raw = PQconnectStartParams(names.data(), values.data(), 0);
  if (raw == nullptr) return Error{ErrorCode::kInternal, "connect: libpq has no memory", ""};
  PgConnection connection(raw, address, options.mode, std::move(interrupt));
  const auto refused = [&] {
    const ServerMessage message = parse_verbose(PQerrorMessage(raw));
    Error error = server_error("connect", label, message);
    if (message.sqlstate.empty()) {
      // Without an answer of the server it is the network, TLS or libpq; only the network ends by itself.
      error.hint = "check that the server runs and listens there, and firewall, sslmode and pg_hba.conf";
      if (PQconnectionNeedsPassword(raw) != 0) {
        error.code = ErrorCode::kUnauthorised;
        error.hint = "give a password file: passfile=... in the connection string, mode 0600";
      }
    }
    return error;
  };
  // The verbose form carries the SQLSTATE of a refusal, which libpq offers in no other way.
  PQsetErrorVerbosity(raw, PQERRORS_VERBOSE);
  PQsetNoticeReceiver(raw, drop_notice, nullptr);
  if (PQstatus(raw) == CONNECTION_BAD) return refused();

  PostgresPollingStatusType step = PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    if (step == PGRES_POLLING_FAILED) return refused();
    // The socket may change between two steps (another address of the same name).
    STELE_TRY(const PollEnd end, poll_socket(PQsocket(raw), step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline,
                                             *connection.interrupt_, false));
    if (end == PollEnd::kStopped) return cancelled("connect", label);
    if (end == PollEnd::kDeadline) return timed_out("connect", label);
    step = PQconnectPoll(raw);
  }
  PQsetErrorVerbosity(raw, PQERRORS_DEFAULT);
  if (PQsetnonblocking(raw, 1) != 0) return refused();
  return connection;
}

int PgConnection::server_version() const {
  return PQserverVersion(conn_);
}
int PgConnection::backend_pid() const {
  return PQbackendPID(conn_);
}
bool PgConnection::usable() const {
  return !broken_ && conn_ != nullptr && PQstatus(conn_) == CONNECTION_OK;
}

std::string PgConnection::literal(std::string_view text) const {
  // Walsender commands know only doubled quotes, and so does SQL with standard_conforming_strings.
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

Result<PgConnection::Ready> PgConnection::wait(Instant deadline, bool heed_wake) {
  const int unsent = PQflush(conn_);
  if (unsent < 0) return server_error("send", host_, connection_message());
  const short events = static_cast<short>(POLLIN | (unsent > 0 ? POLLOUT : 0));
  STELE_TRY(const PollEnd end, poll_socket(PQsocket(conn_), events, deadline, *interrupt_, heed_wake));
  switch (end) {
    case PollEnd::kStopped:
      return cancelled("wait", host_);
    case PollEnd::kDeadline:
      return Ready::kDeadline;
    case PollEnd::kWoken:
      interrupt_->take_wake();
      return Ready::kWoken;
    case PollEnd::kReady:
    case PollEnd::kHangUp:
      break;  // reading tells what happened
  }
  if (PQconsumeInput(conn_) == 0) return server_error("receive", host_, connection_message());
  return Ready::kSocket;
}

Result<PgConnection::Ready> PgConnection::wait_without_reading(Instant deadline, bool heed_wake) {
  const int unsent = PQflush(conn_);
  if (unsent < 0) return server_error("send", host_, connection_message());
  const short events = static_cast<short>(unsent > 0 ? POLLOUT : 0);
  STELE_TRY(const PollEnd end, poll_socket(PQsocket(conn_), events, deadline, *interrupt_, heed_wake));
  switch (end) {
    case PollEnd::kStopped:
      return cancelled("wait", host_);
    case PollEnd::kDeadline:
      return Ready::kDeadline;
    case PollEnd::kWoken:
      interrupt_->take_wake();
      return Ready::kWoken;
    case PollEnd::kHangUp:
      return server_error("wait", host_, ServerMessage{});
    case PollEnd::kReady:
      break;
  }
  return Ready::kSocket;
}

Status PgConnection::send(std::string_view command) {
  if (PQsendQuery(conn_, std::string(command).c_str()) == 0)
    return server_error("send a command", host_, connection_message());
  return {};
}

Result<PgResult> PgConnection::next_result(Instant deadline) {
  while (PQisBusy(conn_) != 0) {
    auto ready = wait(deadline, false);
    broken_ = broken_ || !ready.ok() || *ready == Ready::kDeadline;
    if (!ready.ok()) return std::move(ready).error();
    if (*ready == Ready::kDeadline) return timed_out("wait for an answer", host_);
  }
  return PgResult(PQgetResult(conn_));
}

ServerMessage PgConnection::message_of(const pg_result* result) const {
  const auto field = [&](int code) -> std::string {
    const char* text = PQresultErrorField(result, code);
    return text != nullptr ? text : "";
  };
  ServerMessage out{field(PG_DIAG_SQLSTATE), field(PG_DIAG_MESSAGE_PRIMARY), field(PG_DIAG_MESSAGE_DETAIL)};
  if (out.text.empty()) out.text = PQresultErrorMessage(result);
  return out;
}

ServerMessage PgConnection::connection_message() const {
  return {"", PQerrorMessage(conn_), ""};
}

Result<Rows> PgConnection::query(std::string_view command, Instant deadline) {
  // The first words name the command in messages; its values could be anybody's business.
  const std::string tried(command.substr(0, std::min<std::size_t>(command.find_first_of("('\n"), 60)));
  STELE_CHECK(send(command));
  Rows out;
  std::optional<Error> failure;
  while (true) {
    STELE_TRY(PgResult result, next_result(deadline));
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) continue;
    if (status != PGRES_TUPLES_OK) {
      if (!failure) failure = server_error(tried, host_, message_of(result.get()));
      if (status != PGRES_FATAL_ERROR && status != PGRES_NONFATAL_ERROR) {
        broken_ = true;  // a COPY that was not asked for here
        break;
      }
      continue;
    }
    if (PQresultMemorySize(result.get()) > kMaxResultBytes) {
      broken_ = true;
      return Error{ErrorCode::kLimit, fmt::format("{} on {}: the answer is larger than 64 MiB", tried, host_), ""};
    }
    out = Rows{};
    const int columns = PQnfields(result.get());
    for (int c = 0; c < columns; ++c) out.columns.emplace_back(PQfname(result.get(), c));
    for (int r = 0; r < PQntuples(result.get()); ++r) {
      Row row;
      for (int c = 0; c < columns; ++c) {
        if (PQgetisnull(result.get(), r, c) != 0) {
          row.emplace_back(std::nullopt);
        } else {
          row.emplace_back(std::string(PQgetvalue(result.get(), r, c), PQgetlength(result.get(), r, c)));
        }
      }
      out.rows.push_back(std::move(row));
    }
  }
  if (failure) return std::move(*failure);
  return out;
}

}  // namespace stele::agent
