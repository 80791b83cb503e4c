#include "tests/tools/pq/session.h"

#include <libpq-fe.h>

namespace stele::pq {
namespace {

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, Clear>;

void keep_warning(void* kept, const PGresult* result) {
  // The untranslated severity: NOTICE and below are not warnings.
  const char* severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity != nullptr && std::string_view(severity) == "WARNING")
    *static_cast<std::string*>(kept) = PQresultErrorMessage(result);
}

}  // namespace

void Session::Closer::operator()(pg_conn* conn) const {
  PQfinish(conn);
}

Session::Session(pg_conn* conn) : conn_(conn), warning_(std::make_unique<std::string>()) {
  PQsetNoticeReceiver(conn, keep_warning, warning_.get());
}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

Result<Session> Session::connect(const std::string& conninfo) {
  Session session(PQconnectdb(conninfo.c_str()));
  if (PQstatus(session.conn_.get()) != CONNECTION_OK)
    return Error{ErrorCode::kClosed, PQerrorMessage(session.conn_.get()), ""};
  return session;
}

Error Session::error(std::string_view doing) const {
  const bool gone = PQstatus(conn_.get()) != CONNECTION_OK;
  return {gone ? ErrorCode::kClosed : ErrorCode::kDatabase,
          std::string(doing.substr(0, 120)) + ": " + PQerrorMessage(conn_.get()), ""};
}

Result<std::vector<Row>> Session::query(std::string_view sql) {
  const Answer answer(PQexec(conn_.get(), std::string(sql).c_str()));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) return error(sql);
  std::vector<Row> rows;
  for (int r = 0; r < PQntuples(answer.get()); ++r) {
    Row& row = rows.emplace_back();
    for (int c = 0; c < PQnfields(answer.get()); ++c) {
      row.push_back(PQgetisnull(answer.get(), r, c) ? std::nullopt
                                                    : std::optional<std::string>(PQgetvalue(answer.get(), r, c)));
    }
  }
  return rows;
}

Result<std::string> Session::value(std::string_view sql) {
  STELE_TRY(auto rows, query(sql));
  if (rows.size() != 1 || rows[0].empty() || !rows[0][0])
    return Error{ErrorCode::kDatabase, std::string(sql) + ": not one value", ""};
  return *rows[0][0];
}

Session::Commit Session::commit() {
  Commit out;
  warning_->clear();
  if (PQsendQuery(conn_.get(), "COMMIT; SELECT pg_current_wal_insert_lsn(), clock_timestamp()") == 0) {
    // Not even sent as a whole; but what left may have been enough.
    out.message = PQerrorMessage(conn_.get());
    return out;
  }
  bool first = true;
  for (;;) {
    const Answer answer(PQgetResult(conn_.get()));
    if (!answer) break;
    const ExecStatusType status = PQresultStatus(answer.get());
    if (first) {
      first = false;
      if (status == PGRES_COMMAND_OK && std::string_view(PQcmdStatus(answer.get())) == "COMMIT") {
        out.outcome = warning_->empty() ? Commit::Outcome::kCommitted : Commit::Outcome::kWarned;
        out.message = *warning_;
      } else if (status == PGRES_COMMAND_OK) {
        out.outcome = Commit::Outcome::kRefused;  // "ROLLBACK": an earlier statement had failed
        out.message = PQcmdStatus(answer.get());
      } else {
        // 57P01 (shutdown by command), 57P02 and the like can come while the commit waits for its standby: then it is
        // done, locally.
        const char* state = PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
        const bool ended =
            state == nullptr || std::string_view(state).starts_with("57") || std::string_view(state).starts_with("08");
        out.outcome = ended ? Commit::Outcome::kUnknown : Commit::Outcome::kRefused;
        out.message = PQresultErrorMessage(answer.get());
      }
    } else if (status == PGRES_TUPLES_OK && PQntuples(answer.get()) == 1) {
      out.position = PQgetvalue(answer.get(), 0, 0);
      out.committed_at = PQgetvalue(answer.get(), 0, 1);
    }
  }
  return out;
}

Status Session::copy_begin(std::string_view sql) {
  const Answer answer(PQexec(conn_.get(), std::string(sql).c_str()));
  if (PQresultStatus(answer.get()) != PGRES_COPY_IN) return error(sql);
  return {};
}

Status Session::copy_lines(std::string_view lines) {
  if (PQputCopyData(conn_.get(), lines.data(), static_cast<int>(lines.size())) != 1) return error("COPY");
  return {};
}

Status Session::copy_end() {
  if (PQputCopyEnd(conn_.get(), nullptr) != 1) return error("end of COPY");
  for (;;) {
    const Answer answer(PQgetResult(conn_.get()));
    if (!answer) return {};
    if (PQresultStatus(answer.get()) != PGRES_COMMAND_OK) {
      Error failed = error("end of COPY");
      while (Answer(PQgetResult(conn_.get()))) {
      }
      return failed;
    }
  }
}

}  // namespace stele::pq
