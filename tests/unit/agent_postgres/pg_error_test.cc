#include "agent/postgres/pg_error.h"

#include <gtest/gtest.h>

#include "agent/postgres/reconnect.h"

namespace stele::agent {
namespace {

TEST(PgError, CarriesSqlstateHostAndHint) {
  const Error error =
      server_error("connect", "db1:5432", {"28000", "no pg_hba.conf entry for replication connection", ""});
  EXPECT_EQ(error.code, ErrorCode::kUnauthorised);
  EXPECT_EQ(error.what, "connect on db1:5432: no pg_hba.conf entry for replication connection [SQLSTATE 28000]");
  EXPECT_NE(error.hint.find("pg_hba.conf"), std::string::npos);
  EXPECT_EQ(sqlstate_of(error), "28000");
  EXPECT_EQ(sqlstate_of({ErrorCode::kClosed, "connect on h: refused", ""}), "");
}

TEST(PgError, ReadsTheSqlstateOfARefusedConnectionInAnyLanguage) {
  const auto english = parse_verbose(
      "connection to server on socket \"/run/.s.PGSQL.5432\" failed: FATAL:  57P03: the database system is shutting "
      "down\n"
      "LOCATION:  ProcessStartupPacket, postmaster.c:2381\n");
  EXPECT_EQ(english.sqlstate, "57P03");
  EXPECT_EQ(english.text, "the database system is shutting down");
  const auto chinese = parse_verbose("connection to server at \"h\" failed: 致命错误:  57P03: 数据库系统正在启动\n");
  EXPECT_EQ(chinese.sqlstate, "57P03");
  EXPECT_EQ(chinese.text, "数据库系统正在启动");
  EXPECT_EQ(parse_verbose("connection to server at \"h\", port 1 failed: Connection refused\n\tIs the server running?")
                .sqlstate,
            "");
  EXPECT_EQ(parse_verbose("").sqlstate, "");
  EXPECT_EQ(parse_verbose(": 57P0").sqlstate, "");
}

TEST(PgError, TellsGapForkAndBusySlotApart) {
  const auto error = [](const char* state, const char* text, const char* detail = "") {
    return replication_error("stream", "h", {state, text, detail}, "0/3000000");
  };
  EXPECT_EQ(error("58P01", "requested WAL segment 000000010000000000000003 has already been removed").code,
            ErrorCode::kGap);
  EXPECT_EQ(error("55000", "cannot read from replication slot \"s\"", "This slot has been invalidated").code,
            ErrorCode::kGap);
  EXPECT_EQ(
      error("XX000", "requested starting point 0/3000000 is ahead of the WAL flush position of this server 0/2000000")
          .code,
      ErrorCode::kFork);
  EXPECT_EQ(error("XX000", "请求的起始点0/3000000超前于服务器").code, ErrorCode::kFork);
  EXPECT_EQ(error("XX000", "requested timeline 7 is not in this server's history").code, ErrorCode::kFork);
  EXPECT_EQ(error("XX000", "something broke").code, ErrorCode::kDatabase);
  const Error busy = error("55006", "replication slot \"stele_7\" is active for PID 4711");
  EXPECT_EQ(busy.code, ErrorCode::kTemporary);
  EXPECT_EQ(active_pid_of(busy), 4711);
  EXPECT_EQ(active_pid_of(error("58P01", "x 12")), 0);
}

TEST(PgError, GivesAReasonToReconnect) {
  const auto reason = [](const char* state, const char* text) {
    return reconnect_reason(server_error("connect", "h", {state, text, ""}));
  };
  EXPECT_EQ(reason("57P03", "the database system is shutting down"), ReconnectReason::kShuttingDown);
  EXPECT_EQ(reason("57P03", "数据库系统正在关闭"), ReconnectReason::kShuttingDown);
  EXPECT_EQ(reason("57P03", "the database system is starting up"), ReconnectReason::kStartingUp);
  EXPECT_EQ(reason("55006", "slot is active for PID 1"), ReconnectReason::kSlotActive);
  EXPECT_EQ(reason("53300", "too many clients"), ReconnectReason::kBusy);
  EXPECT_EQ(reason("28P01", "password"), ReconnectReason::kUnauthorised);
  EXPECT_EQ(reason("57P01", "terminating connection due to administrator command"), ReconnectReason::kLost);
  EXPECT_EQ(reason("", "Connection refused"), ReconnectReason::kRefused);
  EXPECT_EQ(reconnect_reason(server_error("stream WAL", "h", {})), ReconnectReason::kLost);
  EXPECT_EQ(reconnect_reason({ErrorCode::kFork, "x", ""}), ReconnectReason::kOther);
}

}  // namespace
}  // namespace stele::agent
