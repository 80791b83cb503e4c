#include "tests/scenario/agent_stream/fixture.h"

namespace stele::agent {
namespace {

constexpr const char* kKeep = "wal_keep_size = '1GB'\n";

struct LogStreamerTest : StreamFixture {};

TEST_F(LogStreamerTest, WhatIsSpooledIsTheServersLogByteForByteOverRestartsOfBothSides) {
  auto server = started({.wal_segment_mb = 1, .config = kKeep});
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_OK(server->psql("CREATE TABLE t (id int, note text)"));
  StreamId stream;
  for (int round = 0; round < 4; ++round) {
    ASSERT_OK(server->psql(fmt::format("INSERT INTO t SELECT i, repeat(md5(i::text), 5) FROM generate_series(1, 5000) i; SELECT pg_switch_wal()")));
    ASSERT_TRUE(caught_up(*server));
    if (round == 0) stream = log->status().stream;
    if (round == 1) {
      stop();
      start(server->conninfo());
    }
    if (round == 2) {
      ASSERT_OK(server->kill_hard());
      ASSERT_OK(server->start());
    }
  }
  ASSERT_TRUE(caught_up(*server));
  EXPECT_EQ(log->status().stream, stream) << "one branch all the way";
  EXPECT_TRUE(facts().empty());
  EXPECT_EQ(snapshots_wanted.size(), 1u);
  const auto [begin, streamed] = decode(stream);
  EXPECT_GT(streamed.size(), 4u << 20);
  EXPECT_TRUE(streamed == server_log(*server, 1, begin, streamed.size()));
}

TEST_F(LogStreamerTest, IdleSourcesSendAnAsOf) {
  auto server = started();
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_TRUE(caught_up(*server));
  EXPECT_TRUE(wait([&] {
    for (const SpoolEntry& e : entries()) {
      if (e.kind == SpoolEntry::Kind::kFrame && e.range.begin == e.range.end && !e.object_last) return true;
    }
    return false;
  }, 10));
}

TEST_F(LogStreamerTest, APromotionOfAStandbyThatWasBehindKeepsTheTailApart) {
  auto primary = started({.wal_segment_mb = 1, .config = kKeep});
  ASSERT_TRUE(primary);
  auto made = PostgresCluster::create_empty();
  ASSERT_OK(made);
  PostgresCluster& standby = **made;
  ASSERT_OK(primary->run({"pg_basebackup", "-R", "-c", "fast", "-D", standby.data_directory()}));
  ASSERT_OK(standby.start());
  const std::string both = fmt::format("host={},{} port=5432,5432 user=postgres dbname=postgres", primary->socket_directory(), standby.socket_directory());
  start(both);
  ASSERT_OK(primary->psql("CREATE TABLE t (id int)"));
  ASSERT_TRUE(caught_up(*primary));
  const StreamId old = log->status().stream;
  // The slot on the standby is made and follows, by itself.
  EXPECT_TRUE(wait([&] { return standby.psql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'stele'").value() == "1"; }));
  ASSERT_TRUE(wait([&] { return standby.psql("SELECT count(*) FROM pg_class WHERE relname = 't'").value() == "1"; }));
  ASSERT_OK(standby.psql("SELECT pg_wal_replay_pause()"));
  ASSERT_OK(standby.stop());
  ASSERT_OK(primary->psql("INSERT INTO t SELECT generate_series(1, 1000)"));
  ASSERT_TRUE(caught_up(*primary));
  const Position end = log->status().confirmed;
  ASSERT_OK(primary->kill_hard());
  ASSERT_OK(standby.start());
  ASSERT_OK(standby.psql("SELECT pg_promote()"));
  ASSERT_TRUE(wait([&] { return log->status().timeline == 2 && log->status().streaming; })) << log->status().last_error;
  ASSERT_OK(standby.psql("INSERT INTO t VALUES (7)"));
  ASSERT_TRUE(caught_up(standby));
  const auto ledger = facts();
  ASSERT_EQ(ledger.size(), 1u);
  EXPECT_EQ(ledger[0].kind, format::FactKind::kAbandonedBranch);
  EXPECT_EQ(ledger[0].stream, old);
  EXPECT_GE(ledger[0].end, end);
  EXPECT_EQ(ledger[0].value, ledger[0].end - ledger[0].begin);
  const auto [begin, streamed] = decode(log->status().stream);
  EXPECT_EQ(begin, ledger[0].begin) << "the new branch begins at the switch point";
  EXPECT_TRUE(streamed == server_log(standby, 2, begin, streamed.size()));
}

TEST_F(LogStreamerTest, ADataDirectoryThatWasRolledBackIsAForkAndNothingIsSpliced) {
  auto server = started({.wal_segment_mb = 1, .config = kKeep});
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_OK(server->psql("CREATE TABLE t (id int)"));
  ASSERT_TRUE(caught_up(*server));
  stop();
  ASSERT_OK(server->stop());
  const std::string copy = server->root_directory() + "/copy";
  ASSERT_EQ(std::system(fmt::format("cp -a {} {}", server->data_directory(), copy).c_str()), 0);
  ASSERT_OK(server->start());
  start(server->conninfo());
  ASSERT_OK(server->psql("INSERT INTO t SELECT generate_series(1, 3000)"));
  ASSERT_TRUE(caught_up(*server));
  const StreamId old = log->status().stream;
  const Position end = log->status().confirmed;
  stop();
  ASSERT_OK(server->stop());
  ASSERT_EQ(std::system(fmt::format("rm -rf {0} && cp -a {1} {0}", server->data_directory(), copy).c_str()), 0);
  ASSERT_OK(server->start());
  // It writes other things until it is past what was streamed: only the comparison of the overlap can tell.
  while (flushed(*server) <= end) ASSERT_OK(server->psql("INSERT INTO t SELECT -i FROM generate_series(1, 2000) i"));
  start(server->conninfo());
  ASSERT_TRUE(wait([&] { return log->status().forks == 1 && log->status().streaming; })) << log->status().last_error;
  ASSERT_TRUE(caught_up(*server));
  EXPECT_NE(log->status().stream, old);
  ASSERT_EQ(facts().size(), 1u);
  EXPECT_EQ(facts()[0].kind, format::FactKind::kFork);
  EXPECT_EQ(facts()[0].stream, old);
  const auto [begin, streamed] = decode(log->status().stream);
  EXPECT_TRUE(streamed == server_log(*server, 1, begin, streamed.size()));
  EXPECT_EQ(snapshots_wanted.size(), 2u);
}

/// A virtual machine that went back in time takes the database, the spool and the state with it: only the receivers know.
TEST_F(LogStreamerTest, AWholeHostThatWasRolledBackIsAForkAndAShorterSpoolAloneIsNot) {
  auto server = started({.wal_segment_mb = 1, .config = kKeep});
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_OK(server->psql("CREATE TABLE t (id int)"));
  ASSERT_TRUE(caught_up(*server));
  stop();
  ASSERT_OK(server->stop());
  const auto copy = [](const std::string& from, const std::string& to) {
    return std::system(fmt::format("rm -rf {0} && cp -a {1} {0}", to, from).c_str()) == 0;
  };
  const std::string data = server->root_directory() + "/copy";
  const std::string agent = server->root_directory() + "/agent";
  ASSERT_TRUE(copy(server->data_directory(), data) && copy(directory, agent));
  ASSERT_OK(server->start());
  start(server->conninfo());
  ASSERT_OK(server->psql("INSERT INTO t SELECT generate_series(1, 3000)"));
  ASSERT_TRUE(caught_up(*server));
  const SpoolEntry last = *spool->last_frame();
  const HeldLog held{last.stream, last.range.end, last.join};
  stop();

  // The spool alone is shorter than what was sent, as after a loss of power: the server has the same log, so it goes on.
  ASSERT_TRUE(copy(agent, directory));
  start_with_receiver(server->conninfo(), held);
  ASSERT_OK(server->psql("INSERT INTO t SELECT 0"));
  ASSERT_TRUE(caught_up(*server));
  EXPECT_EQ(log->status().forks, 0u);
  EXPECT_EQ(log->status().stream, last.stream);
  stop();
  ASSERT_OK(server->stop());

  // All of it went back, and writes other things until it is past what the receiver holds.
  ASSERT_TRUE(copy(agent, directory) && copy(data, server->data_directory()));
  ASSERT_OK(server->start());
  while (flushed(*server) <= held.end) ASSERT_OK(server->psql("INSERT INTO t SELECT -i FROM generate_series(1, 2000) i"));
  start_with_receiver(server->conninfo(), held);
  ASSERT_TRUE(wait([&] { return log->status().forks == 1 && log->status().streaming; })) << log->status().last_error;
  ASSERT_TRUE(caught_up(*server));
  EXPECT_NE(log->status().stream, last.stream);
  for (const SpoolEntry& e : entries()) {
    if (e.kind == SpoolEntry::Kind::kFrame && e.stream == last.stream) EXPECT_LT(e.range.end, held.end) << "nothing was sealed for the old branch";
  }
  EXPECT_EQ(facts().at(0).kind, format::FactKind::kFork);
  stop();

  // The receiver answers only after the log went on, or refuses what does not fit: the branch is left then.
  ASSERT_OK(server->stop());
  ASSERT_TRUE(copy(agent, directory) && copy(data, server->data_directory()));
  ASSERT_OK(server->start());
  while (flushed(*server) <= held.end) ASSERT_OK(server->psql("INSERT INTO t SELECT -i FROM generate_series(1, 2000) i"));
  receiver_holds.reset();
  start(server->conninfo());
  ASSERT_TRUE(caught_up(*server));
  ASSERT_EQ(log->status().stream, last.stream) << "nobody said anything";
  log->on_receiver_claims("shenzhen", held);
  ASSERT_TRUE(wait([&] { return log->status().forks == 1 && log->status().streaming; })) << log->status().last_error;
  const StreamId begun = log->status().stream;
  EXPECT_TRUE(log->on_receiver_fork("shenzhen", last.stream)) << "given up";
  EXPECT_FALSE(log->on_receiver_fork("shenzhen", begun)) << "no other life of this host can have written it";
  ASSERT_TRUE(caught_up(*server));
  stop();
  start(server->conninfo());
  ASSERT_TRUE(caught_up(*server));
  ASSERT_EQ(log->status().stream, begun);
  EXPECT_TRUE(log->on_receiver_fork("shenzhen", begun)) << "now another life can have";
  ASSERT_TRUE(wait([&] { return log->status().stream != begun && log->status().streaming; })) << log->status().last_error;
}

TEST_F(LogStreamerTest, AnEpochThatCannotBeRenewedGoesOn) {
  epoch_max_age = seconds(2);
  auto server = started({.wal_segment_mb = 1, .config = kKeep});
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_TRUE(caught_up(*server));
  const EpochId first = log->status().epoch;
  ASSERT_TRUE(wait([&] { return log->status().epoch != first; })) << "the epoch is over";
  // Nothing can be written beside the spool any more.
  std::filesystem::rename(directory + "/state", directory + "/state.away");
  const EpochId last = log->status().epoch;
  std::this_thread::sleep_for(seconds(3));
  ASSERT_OK(server->psql("CREATE TABLE t AS SELECT generate_series(1, 1000)"));
  ASSERT_TRUE(caught_up(*server));
  EXPECT_EQ(log->status().epoch, last);
  EXPECT_TRUE(log->status().reconnects.empty()) << "the stream did not end for it";
  std::filesystem::rename(directory + "/state.away", directory + "/state");
}

TEST_F(LogStreamerTest, AFullSpoolStopsConfirmingAndGoesOnWhenThereIsRoom) {
  spool_options.file_bytes = 1u << 20;
  spool_options.max_bytes = 2u << 20;
  auto server = started({.wal_segment_mb = 1, .config = kKeep});
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_OK(server->psql("CREATE TABLE t (a bytea)"));
  ASSERT_OK(server->psql("INSERT INTO t SELECT decode(string_agg(md5(random()::text), ''), 'hex') FROM generate_series(1, 4000) i, generate_series(1, 100) g GROUP BY i"));
  ASSERT_TRUE(wait([&] { return log->status().spool_full; }));
  const Position held = log->status().confirmed;
  EXPECT_LT(held, flushed(*server));
  std::this_thread::sleep_for(seconds(6));  // longer than wal_sender_timeout
  EXPECT_TRUE(log->status().streaming) << "held, not disconnected";
  EXPECT_EQ(log->status().confirmed, held);
  EXPECT_TRUE(log->status().reconnects.empty());
  const Position target = flushed(*server);
  EXPECT_TRUE(wait([&] {
    if (auto last = spool->last_frame()) spool->release_through(last->sequence);  // the receivers hold everything
    return log->status().confirmed >= target;
  }, 60));
  EXPECT_TRUE(log->status().reconnects.empty());
}

TEST_F(LogStreamerTest, AnInvalidatedSlotIsARecordedGapAndANewBranch) {
  auto server = started({.wal_segment_mb = 1, .config = "max_slot_wal_keep_size = '2MB'\nmax_wal_size = '2MB'\nmin_wal_size = '2MB'\n"});
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_OK(server->psql("CREATE TABLE t (id int, note text)"));
  ASSERT_TRUE(caught_up(*server));
  const StreamId old = log->status().stream;
  stop();
  for (int i = 0; i < 12; ++i) ASSERT_OK(server->psql("INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 10000) i; SELECT pg_switch_wal(); CHECKPOINT"));
  ASSERT_EQ(server->psql("SELECT wal_status FROM pg_replication_slots").value(), "lost");
  start(server->conninfo());
  ASSERT_TRUE(wait([&] { return log->status().gaps == 1 && log->status().streaming; })) << log->status().last_error;
  ASSERT_TRUE(caught_up(*server));
  ASSERT_EQ(facts().size(), 1u);
  EXPECT_EQ(facts()[0].kind, format::FactKind::kGap);
  EXPECT_EQ(facts()[0].stream, old);
  EXPECT_NE(log->status().stream, old);
  EXPECT_EQ(snapshots_wanted.size(), 2u);
}

TEST_F(LogStreamerTest, WithoutASpoolTheLogGoesOnWhereTheReceiverStands) {
  spool_options.directory.clear();
  auto server = started({.wal_segment_mb = 1, .config = kKeep});
  ASSERT_TRUE(server);
  start(server->conninfo());
  ASSERT_OK(server->psql("CREATE TABLE t (id int)"));
  ASSERT_TRUE(caught_up(*server));
  const StreamId stream = log->status().stream;
  const SpoolEntry held = *spool->last_frame();  // the receiver has it up to here, and nothing of what follows
  ASSERT_OK(server->psql("INSERT INTO t SELECT generate_series(1, 5000)"));
  ASSERT_TRUE(caught_up(*server));
  stop();
  // The same as start(), but the receiver is asked first.
  start_with_receiver(server->conninfo(), {stream, held.range.end, held.join});
  ASSERT_TRUE(caught_up(*server));
  EXPECT_EQ(log->status().stream, stream);
  EXPECT_EQ(log->status().forks, 0u);
  ASSERT_FALSE(entries().empty());
  EXPECT_EQ(entries().front().range.begin, held.range.end) << "no hole, nothing twice";
}

}  // namespace
}  // namespace stele::agent
