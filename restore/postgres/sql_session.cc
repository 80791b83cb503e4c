#include "restore/postgres/sql_session.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace stele::restore {
namespace {

constexpr std::size_t kMaxRows = 64 << 20;
/// Settings of the restored roles and databases are hostile too, and these win over them: no library of theirs is loaded.
constexpr const char* kOptions =
    "-c search_path=pg_catalog -c session_preload_libraries= -c local_preload_libraries= -c dynamic_library_path=$libdir";
constexpr const char* kPlainOptions = "-c search_path=pg_catalog";

std::string one_line(const char* text) {
  std::string out = text == nullptr ? "" : text;
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

/// Waits for the socket in slices of 100 ms, so that `cancelled` is seen.
Status wait_socket(pg_conn* conn, short events, Instant deadline, const std::atomic<bool>* cancelled) {
  for (;;) {
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed))
      return Error{ErrorCode::kCancelled, "ask the restored server: stopped", ""};
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Error{ErrorCode::kTimeout, "ask the restored server: no answer in time", ""};
    pollfd p{PQsocket(conn), events, 0};
    int n = poll(&p, 1, static_cast<int>(std::min<long long>(left.count(), 100)));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return system_error("wait for", "the restored server", errno);
  }
}

Error connect_error(const std::string& message) {
  auto has = [&](std::string_view part) { return message.find(part) != std::string::npos; };
  ErrorCode code = ErrorCode::kDatabase;
  if (has("the database system is") || has("too many clients"))
    code = ErrorCode::kTemporary;
  else if (has("Connection refused") || has("No such file") || has("server closed the connection"))
    code = ErrorCode::kClosed;
  return {code, "connect to the restored server: " + message, ""};
}

}  // namespace

Result<std::string> SqlRows::single(std::string_view what) const {
  if (rows.size() != 1 || rows[0].size() != 1 || !rows[0][0]) {
    return Error{ErrorCode::kDatabase, fmt::format("ask the restored server for {}: not one value", what), ""};
  }
  return *rows[0][0];
}

Result<std::unique_ptr<SqlSession>> SqlSession::connect(const SqlAddress& address, std::string_view database,
                                                        Instant deadline, const std::atomic<bool>* cancelled) {
  std::string port = std::to_string(address.port), name(database);
  // Everything that the environment could set is set here.
  const char* keywords[] = {"host",
                            "hostaddr",
                            "port",
                            "user",
                            "dbname",
                            "options",
                            "application_name",
                            "passfile",
                            "password",
                            "client_encoding",
                            "gssencmode",
                            "sslmode",
                            "target_session_attrs",
                            nullptr};
  const char* values[] = {address.host.c_str(),
                          "",
                          port.c_str(),
                          address.user.c_str(),
                          name.c_str(),
                          address.superuser ? kOptions : kPlainOptions,
                          "stele-restore",
                          "/nonexistent/passfile",
                          "",
                          "UTF8",
                          "disable",
                          "prefer",
                          "any",
                          nullptr};
  pg_conn* conn = PQconnectStartParams(keywords, values, 0);
  if (conn == nullptr) return Error{ErrorCode::kInternal, "connect to the restored server: no memory", ""};
  PQsetNoticeProcessor(
      conn, [](void*, const char*) {}, nullptr);
  std::unique_ptr<SqlSession> session(new SqlSession(conn, cancelled));
  PostgresPollingStatusType want = PGRES_POLLING_WRITING;
  while (PQstatus(conn) != CONNECTION_BAD && want != PGRES_POLLING_OK) {
    STELE_CHECK(wait_socket(conn, want == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, cancelled));
    want = PQconnectPoll(conn);
    if (want == PGRES_POLLING_FAILED) break;
  }
  if (PQstatus(conn) != CONNECTION_OK) return connect_error(one_line(PQerrorMessage(conn)));
  if (PQsetnonblocking(conn, 1) != 0) return connect_error(one_line(PQerrorMessage(conn)));
  return session;
}

SqlSession::~SqlSession() {
  PQfinish(conn_);
}

Result<SqlRows> SqlSession::query(std::string_view sql, Instant deadline) {
  if (PQsendQuery(conn_, std::string(sql).c_str()) == 0)
    return Error{ErrorCode::kClosed, "ask the restored server: " + one_line(PQerrorMessage(conn_)), ""};
  for (int left; (left = PQflush(conn_)) != 0;) {
    if (left < 0) return Error{ErrorCode::kClosed, "ask the restored server: " + one_line(PQerrorMessage(conn_)), ""};
    STELE_CHECK(wait_socket(conn_, POLLIN | POLLOUT, deadline, cancelled_));
    if (PQconsumeInput(conn_) == 0)
      return Error{ErrorCode::kClosed, "ask the restored server: " + one_line(PQerrorMessage(conn_)), ""};
  }
  SqlRows answer;
  std::optional<Error> refused;
  for (;;) {
    while (PQisBusy(conn_) != 0) {
      STELE_CHECK(wait_socket(conn_, POLLIN, deadline, cancelled_));
      if (PQconsumeInput(conn_) == 0)
        return Error{ErrorCode::kClosed, "ask the restored server: " + one_line(PQerrorMessage(conn_)), ""};
    }
    std::unique_ptr<PGresult, decltype(&PQclear)> result(PQgetResult(conn_), &PQclear);
    if (result == nullptr) break;
    ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      return Error{ErrorCode::kUsage, "ask the restored server: COPY is not possible here", ""};
    }
    if (status == PGRES_TUPLES_OK) {
      if (PQresultMemorySize(result.get()) > kMaxRows)
        return Error{ErrorCode::kLimit, "ask the restored server: more than 64 MiB of rows", ""};
      answer = {};
      for (int c = 0; c < PQnfields(result.get()); ++c) answer.columns.emplace_back(PQfname(result.get(), c));
      for (int r = 0; r < PQntuples(result.get()); ++r) {
        SqlRow row;
        for (int c = 0; c < PQnfields(result.get()); ++c) {
          if (PQgetisnull(result.get(), r, c) != 0)
            row.emplace_back();
          else
            row.emplace_back(
                std::string(PQgetvalue(result.get(), r, c), static_cast<std::size_t>(PQgetlength(result.get(), r, c))));
        }
        answer.rows.push_back(std::move(row));
      }
    } else if (status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY && !refused) {
      const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      const char* message = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
      refused = Error{state == nullptr ? ErrorCode::kClosed : ErrorCode::kDatabase,
                      fmt::format("ask the restored server: {} (SQLSTATE {})",
                                  one_line(message == nullptr ? PQerrorMessage(conn_) : message),
                                  state == nullptr ? "none" : state),
                      ""};
    }
  }
  if (refused) return *refused;
  return answer;
}

}  // namespace stele::restore
