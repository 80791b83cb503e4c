#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "agent/postgres/server_info.h"
#include "agent/postgres/slot.h"
#include "agent/postgres/wal_stream.h"
#include "tests/support/postgres_cluster.h"

namespace stele::agent {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::PostgresCluster;

#define ASSERT_OK(expr)                               \
  do {                                                \
    const auto& ok_ = (expr);                         \
    ASSERT_TRUE(ok_.ok()) << ok_.error().to_string(); \
  } while (false)

inline std::unique_ptr<PostgresCluster> started(test::PostgresOptions options = {.wal_segment_mb = 1}) {
  options.fsync = false;  // what survives a power failure is not the subject here
  auto made = PostgresCluster::create(std::move(options));
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().to_string());
  if (!made.ok()) return nullptr;
  Status up = (*made)->start();
  EXPECT_TRUE(up.ok()) << (up.ok() ? "" : up.error().to_string());
  return up.ok() ? std::move(*made) : nullptr;
}

inline std::shared_ptr<Interrupt> new_interrupt() {
  return *Interrupt::create();
}

inline Result<PgConnection> connect(const PostgresCluster& cluster, ConnectionMode mode,
                                    std::shared_ptr<Interrupt> interrupt = new_interrupt()) {
  STELE_TRY(auto hosts, split_hosts(cluster.conninfo()));
  ConnectOptions options;
  options.mode = mode;
  return PgConnection::connect(hosts.at(0), options, deadline_in(seconds(10)), std::move(interrupt));
}

/// A stream from the start of the segment that holds the server's position, on slot "stele", which is created when it
/// is missing.
inline Result<WalStream> open_stream(const PostgresCluster& cluster, Clock& clock,
                                     std::shared_ptr<Interrupt> interrupt = new_interrupt(),
                                     WalStreamOptions options = {}) {
  STELE_TRY(PgConnection connection, connect(cluster, ConnectionMode::kReplication, std::move(interrupt)));
  STELE_TRY(const ServerInfo info, read_server_info(connection, deadline_in(seconds(10))));
  if (options.slot.empty()) options.slot = "stele";
  STELE_TRY(const SlotCreated created, ensure_slot(connection, options.slot, deadline_in(seconds(10))));
  (void)created;
  options.timeline = info.timeline;
  if (options.start.value == 0) options.start = {info.flush_position.value & ~(info.wal_segment_size - 1)};
  return WalStream::start(std::move(connection), options, clock, deadline_in(seconds(10)));
}

inline Position position(PostgresCluster& cluster, std::string_view sql = "SELECT pg_current_wal_flush_lsn()") {
  auto text = cluster.psql(sql);
  EXPECT_TRUE(text.ok()) << (text.ok() ? "" : text.error().to_string());
  auto parsed = parse_position(text.ok() ? *text : "0/0");
  EXPECT_TRUE(parsed.ok());
  return parsed.ok() ? *parsed : Position{};
}

}  // namespace stele::agent
