#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/scenario/agent_postgres/support.h"

namespace stele::agent {
namespace {

Bytes read_segment(const PostgresCluster& cluster, Position start, std::uint64_t segment_size) {
  const std::uint64_t number = start.value / segment_size;
  const std::uint64_t per_id = (std::uint64_t{1} << 32) / segment_size;
  const std::string name =
      fmt::format("{}/pg_wal/{:08X}{:08X}{:08X}", cluster.data_directory(), 1, number / per_id, number % per_id);
  std::ifstream in(name, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

TEST(WalStream, DeliversTheBytesOfTheSegmentsAndMovesTheSlot) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  SystemClock clock;
  auto stream = open_stream(*cluster, clock);
  ASSERT_OK(stream);
  const Position start = stream->received_end();
  ASSERT_OK(
      cluster->psql("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 4) AS x FROM generate_series(1, 40000) i;"
                    "SELECT pg_switch_wal(); INSERT INTO t SELECT 1, 'last';"));
  const Position end = position(*cluster);
  Bytes received;
  bool keepalive = false;
  while (stream->received_end() < end || !keepalive) {
    auto event = stream->next(deadline_in(seconds(10)));
    ASSERT_OK(event);
    ASSERT_FALSE(std::holds_alternative<WalIdle>(*event))
        << stream->received_end().to_string() << " of " << end.to_string() << ", " << stream->server_end().to_string()
        << cluster->log_tail();
    if (const auto* data = std::get_if<WalData>(&*event)) {
      ASSERT_EQ(data->start, start + received.size());
      received.insert(received.end(), data->bytes.begin(), data->bytes.end());
      EXPECT_GE(data->server_end, data->start + data->bytes.size());
      EXPECT_LT(std::abs((data->server_time - clock.now()).count()), 20'000'000);
      ASSERT_OK(stream->send_status({}, stream->received_end() >= end));
    } else {
      keepalive = std::holds_alternative<WalKeepalive>(*event);
      ASSERT_OK(stream->send_status({}, true));
    }
  }
  EXPECT_EQ(stream->reported(), Position{}) << "nothing was said to be durable";
  constexpr std::uint64_t kSegment = 1 << 20;
  ASSERT_GT(received.size(), 4 * kSegment);
  for (std::uint64_t offset = 0; offset < received.size(); offset += kSegment) {
    const Bytes file = read_segment(*cluster, start + offset, kSegment);
    ASSERT_EQ(file.size(), kSegment) << (start + offset).to_string();
    const auto size = std::min<std::uint64_t>(kSegment, received.size() - offset);
    ASSERT_TRUE(std::equal(file.begin(), file.begin() + size, received.begin() + offset))
        << (start + offset).to_string();
  }

  auto sql = connect(*cluster, ConnectionMode::kSql);
  ASSERT_OK(sql);
  auto slot = read_slot(*sql, "stele", deadline_in(seconds(5)));
  ASSERT_OK(slot);
  EXPECT_TRUE(slot->active);
  EXPECT_GT(slot->active_pid, 0);
  EXPECT_TRUE(slot->physical);
  EXPECT_EQ(slot->wal_status, WalStatus::kReserved);
  EXPECT_FALSE(slot->safe_wal_size.has_value());
  EXPECT_GT(slot->retained, 4 * kSegment);

  ASSERT_OK(stream->send_status(end));
  EXPECT_EQ(stream->reported(), end);
  ASSERT_OK(stream->send_status(start));
  EXPECT_EQ(stream->reported(), end) << "never back";
  ASSERT_OK(stream->send_status(end + (1 << 30)));
  EXPECT_EQ(stream->reported(), end) << "never past what this server has delivered";
  bool moved = false;
  for (int i = 0; i < 100 && !moved; ++i) {
    ASSERT_OK(stream->next(deadline_in(milliseconds(50))));
    slot = read_slot(*sql, "stele", deadline_in(seconds(5)));
    ASSERT_OK(slot);
    moved = slot->restart >= end;
  }
  EXPECT_TRUE(moved);
}

TEST(WalStream, SlotIsCreatedOnceAndABusySlotNamesItsProcess) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  SystemClock clock;
  auto connection = connect(*cluster, ConnectionMode::kReplication);
  ASSERT_OK(connection);
  auto made = ensure_slot(*connection, "stele", deadline_in(seconds(5)));
  ASSERT_OK(made);
  EXPECT_EQ(*made, SlotCreated::kNew);
  made = ensure_slot(*connection, "stele", deadline_in(seconds(5)));
  ASSERT_OK(made);
  EXPECT_EQ(*made, SlotCreated::kExisted);

  auto first = open_stream(*cluster, clock);
  ASSERT_OK(first);
  auto second = open_stream(*cluster, clock);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kTemporary);
  EXPECT_EQ(reconnect_reason(second.error()), ReconnectReason::kSlotActive);
  EXPECT_GT(active_pid_of(second.error()), 0) << second.error().to_string();
  EXPECT_EQ(drop_slot(*connection, "stele", deadline_in(seconds(5))).error().code, ErrorCode::kTemporary);
  { auto gone = std::move(first); }
  Status dropped = drop_slot(*connection, "stele", deadline_in(seconds(5)));
  for (int i = 0; i < 50 && !dropped.ok(); ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    dropped = drop_slot(*connection, "stele", deadline_in(seconds(5)));
  }
  ASSERT_OK(dropped);
  EXPECT_EQ(drop_slot(*connection, "stele", deadline_in(seconds(5))).error().code, ErrorCode::kNotFound);
  WalStreamOptions options{.slot = "absent", .start = {1 << 20}};
  auto missing = WalStream::start(std::move(*connection), options, clock, deadline_in(seconds(5)));
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound) << missing.error().to_string();
}

/// A client in a process of its own, which streams until it is killed or frozen; gives its pid once it streams.
pid_t stream_in_child(const PostgresCluster& cluster) {
  int pipe_fds[2];
  if (pipe(pipe_fds) != 0) return -1;
  const pid_t pid = fork();
  if (pid == 0) {
    SystemClock clock;
    auto stream = open_stream(cluster, clock);
    const char ok = stream.ok() ? 1 : 0;
    if (write(pipe_fds[1], &ok, 1) != 1 || !ok) _exit(1);
    while (stream->next(deadline_in(seconds(1))).ok()) {
    }
    _exit(0);
  }
  char ok = 0;
  const bool said = read(pipe_fds[0], &ok, 1) == 1 && ok == 1;
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  return said ? pid : -1;
}

TEST(WalStream, AKilledOrFrozenClientFreesTheSlotInSeconds) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  SystemClock clock;
  for (const int signal : {SIGKILL, SIGSTOP}) {
    const pid_t child = stream_in_child(*cluster);
    ASSERT_GT(child, 0);
    ASSERT_FALSE(open_stream(*cluster, clock).ok()) << "the child holds the slot";
    const Instant began = clock.steady_now();
    kill(child, signal);
    ReconnectPolicy policy;
    bool streams = false;
    while (!streams && clock.steady_now() - began < seconds(20)) {
      auto stream = open_stream(*cluster, clock);
      streams = stream.ok();
      if (!streams) std::this_thread::sleep_for(policy.failed(reconnect_reason(stream.error()), clock.steady_now()));
    }
    EXPECT_TRUE(streams);
    EXPECT_LT(clock.steady_now() - began, signal == SIGKILL ? milliseconds(2000) : milliseconds(6500));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
}

TEST(WalStream, SurvivesACallerThatHoldsItsDataBack) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  SystemClock clock;
  auto interrupt = new_interrupt();
  auto stream = open_stream(*cluster, clock, interrupt);
  ASSERT_OK(stream);
  ASSERT_OK(cluster->psql("CREATE TABLE t AS SELECT repeat(md5(i::text), 4) AS x FROM generate_series(1, 60000) i"));
  // Longer than wal_sender_timeout, with the socket full of data that is not read.
  auto held = stream->hold(deadline_in(seconds(7)));
  ASSERT_OK(held);
  EXPECT_TRUE(std::holds_alternative<WalIdle>(*held));
  interrupt->wake();
  held = stream->hold(deadline_in(seconds(7)));
  ASSERT_OK(held);
  EXPECT_TRUE(std::holds_alternative<WalWoken>(*held));
  const Position end = position(*cluster);
  while (stream->received_end() < end) ASSERT_OK(stream->next(deadline_in(seconds(5))));

  interrupt->wake();
  auto woken = stream->next(deadline_in(seconds(5)));
  while (woken.ok() && !std::holds_alternative<WalWoken>(*woken)) {
    ASSERT_FALSE(std::holds_alternative<WalIdle>(*woken));
    woken = stream->next(deadline_in(seconds(5)));
  }
  ASSERT_OK(woken);
  std::thread stopper([&] {
    std::this_thread::sleep_for(milliseconds(100));
    interrupt->stop();
  });
  Result<WalEvent> last = WalEvent(WalIdle{});
  while (last.ok()) last = stream->next(deadline_in(seconds(30)));
  stopper.join();
  EXPECT_EQ(last.error().code, ErrorCode::kCancelled);
}

TEST(WalStream, SynchronousCommitReturnsWhenItIsConfirmed) {
  auto cluster = started({.wal_segment_mb = 1, .config = "synchronous_standby_names = 'stele'\n"});
  ASSERT_TRUE(cluster);
  SystemClock clock;
  auto interrupt = new_interrupt();
  auto stream = open_stream(*cluster, clock, interrupt);
  ASSERT_OK(stream);
  std::atomic<bool> confirm{false}, failed{false};
  std::thread reader([&] {
    while (true) {
      auto event = stream->next(deadline_in(milliseconds(20)));
      if (!event.ok()) {
        failed = event.error().code != ErrorCode::kCancelled;
        return;
      }
      if (confirm && !stream->send_status(stream->received_end()).ok()) failed = true;
    }
  });
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(700));
    confirm = true;
  });
  Instant began = clock.steady_now();
  auto committed = cluster->psql("CREATE TABLE t (x int)");
  const auto first = clock.steady_now() - began;
  later.join();
  auto seen =
      cluster->psql("SELECT sync_state, flush_lsn = replay_lsn AND flush_lsn = write_lsn FROM pg_stat_replication");
  auto applied = cluster->psql("SET synchronous_commit = remote_apply; INSERT INTO t VALUES (1)");
  interrupt->stop();
  reader.join();
  ASSERT_OK(committed);
  EXPECT_GE(first, milliseconds(600)) << "the commit waited";
  ASSERT_OK(seen);
  EXPECT_EQ(*seen, "sync|t");
  ASSERT_OK(applied);
  EXPECT_FALSE(failed);
}

TEST(WalStream, AServerThatShutsDownIsNotHeldUp) {
  enum class Mode { kConfirmed, kHeldBack, kNotRead };
  for (const Mode mode : {Mode::kConfirmed, Mode::kHeldBack, Mode::kNotRead}) {
    SCOPED_TRACE(static_cast<int>(mode));
    auto cluster = started();
    ASSERT_TRUE(cluster);
    SystemClock clock;
    auto interrupt = new_interrupt();
    auto stream = open_stream(*cluster, clock, interrupt);
    ASSERT_OK(stream);
    ASSERT_OK(cluster->psql("CREATE TABLE t AS SELECT 1"));
    std::optional<ServerShutdown> ended;
    std::string error;
    std::thread reader([&] {
      while (true) {
        auto event =
            mode == Mode::kNotRead ? stream->hold(deadline_in(seconds(30))) : stream->next(deadline_in(seconds(30)));
        if (event.ok() && mode == Mode::kConfirmed && std::holds_alternative<WalData>(*event)) {
          (void)stream->send_status(stream->received_end()).ok();
        }
        if (!event.ok()) error = event.error().to_string();
        if (event.ok() && std::holds_alternative<ServerShutdown>(*event)) ended = std::get<ServerShutdown>(*event);
        if (!event.ok() || ended) return;
      }
    });
    const Instant began = clock.steady_now();
    const Status stopped = cluster->stop(PostgresCluster::Stop::kFast, 30);
    const auto took = clock.steady_now() - began;
    if (!stopped.ok()) interrupt->stop();
    reader.join();
    ASSERT_OK(stopped);
    ASSERT_TRUE(ended) << error;
    EXPECT_EQ(ended->all_confirmed, mode == Mode::kConfirmed);
    EXPECT_LT(took, mode == Mode::kNotRead ? seconds(14) : seconds(8));
    // The next attempt is told why, and does not hammer.
    auto again = connect(*cluster, ConnectionMode::kReplication);
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(reconnect_reason(again.error()), ReconnectReason::kRefused) << again.error().to_string();
  }
}

TEST(WalStream, AnInvalidatedSlotIsAGapAndAPositionAheadIsAFork) {
  auto cluster = started(
      {.wal_segment_mb = 1, .config = "max_slot_wal_keep_size = 2MB\nmax_wal_size = 4MB\nmin_wal_size = 2MB\n"});
  ASSERT_TRUE(cluster);
  SystemClock clock;
  Position start;
  {
    auto stream = open_stream(*cluster, clock);
    ASSERT_OK(stream);
    start = stream->received_end();
  }
  auto ahead = open_stream(*cluster, clock, new_interrupt(), {.slot = "other", .start = start + (1ull << 34)});
  ASSERT_OK(ahead);  // the server checks the position after it has begun the COPY
  auto refused = ahead->next(deadline_in(seconds(5)));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kFork) << refused.error().to_string();

  auto sql = connect(*cluster, ConnectionMode::kSql);
  ASSERT_OK(sql);
  auto before = read_slot(*sql, "stele", deadline_in(seconds(5)));
  ASSERT_OK(before);
  EXPECT_TRUE(before->safe_wal_size.has_value());
  EXPECT_FALSE(before->invalidated());
  std::string work = "CREATE TABLE t (x int);";
  for (int i = 0; i < 12; ++i) work += "INSERT INTO t VALUES (1); SELECT pg_switch_wal();";
  ASSERT_OK(cluster->psql(work));
  ASSERT_OK(cluster->psql("CHECKPOINT"));
  auto after = read_slot(*sql, "stele", deadline_in(seconds(5)));
  ASSERT_OK(after);
  EXPECT_TRUE(after->invalidated());
  EXPECT_EQ(after->wal_status, WalStatus::kLost);
  auto stream = open_stream(*cluster, clock, new_interrupt(), {.start = start});
  std::optional<Error> error;
  if (!stream.ok()) error = stream.error();
  while (!error) {
    auto event = stream->next(deadline_in(seconds(5)));
    if (!event.ok()) error = event.error();
  }
  EXPECT_EQ(error->code, ErrorCode::kGap) << error->to_string();
}

TEST(WalStream, AKilledServerIsLostAndSoonStreamedAgain) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  SystemClock clock;
  auto stream = open_stream(*cluster, clock);
  ASSERT_OK(stream);
  ASSERT_OK(cluster->psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication"));
  Result<WalEvent> event = WalEvent(WalIdle{});
  while (event.ok()) event = stream->next(deadline_in(seconds(5)));
  EXPECT_EQ(event.error().code, ErrorCode::kTemporary) << event.error().to_string();
  EXPECT_EQ(reconnect_reason(event.error()), ReconnectReason::kLost);

  stream = open_stream(*cluster, clock);
  for (int i = 0; i < 20 && !stream.ok(); ++i) {  // the old walsender may still hold the slot for a moment
    std::this_thread::sleep_for(milliseconds(50));
    stream = open_stream(*cluster, clock);
  }
  ASSERT_OK(stream);
  ASSERT_OK(cluster->kill_hard());
  event = WalEvent(WalIdle{});
  while (event.ok()) event = stream->next(deadline_in(seconds(5)));
  EXPECT_EQ(event.error().code, ErrorCode::kClosed) << event.error().to_string();
  ASSERT_OK(cluster->launch());
  ReconnectPolicy policy;
  stream = event.error();
  bool streams = false;
  const Instant began = clock.steady_now();
  while (!streams && clock.steady_now() - began < seconds(20)) {
    auto again = open_stream(*cluster, clock);
    streams = again.ok();
    if (!streams) std::this_thread::sleep_for(policy.failed(reconnect_reason(again.error()), clock.steady_now()));
  }
  EXPECT_TRUE(streams);
}

}  // namespace
}  // namespace stele::agent
