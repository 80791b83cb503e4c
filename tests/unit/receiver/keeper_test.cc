#include <gtest/gtest.h>

#include "core/format/object_names.h"
#include "tests/unit/receiver/open_keeper.h"

namespace stele::receiver {
namespace {

using test::must;
using test::ScriptedAgent;
using Crash = test::FaultFileSystem::Crash;

struct KeeperTest : OpenKeeper {
  std::map<std::string, std::string> dump_without_receive_times() {
    auto dump = must(rig.catalog().dump());
    // The time of receipt of objects that do not carry it is that of the indexing (CATALOG.md).
    for (auto& [key, value] : dump) {
      if (key[0] == 'o' && !key.ends_with(".run")) value.resize(8);
    }
    return dump;
  }
};

TEST_F(KeeperTest, KeepsAcknowledgedFramesInTheJournalThroughACrash) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(must(rig.send(agent.log_frame(3000))));
  rig.crash(Crash::kDropUnsynced);
  must(rig.start());
  EXPECT_EQ(rig.readable_end(agent), agent.position().value);
  EXPECT_EQ(must(rig.open(agent)).durable_end, agent.position());
}

TEST_F(KeeperTest, SealedRunsHoldEverythingAndFreeTheJournal) {
  for (int i = 0; i < 5; ++i) must(rig.send(agent.log_frame(3000)));
  must(rig.send(agent.index_frame()));
  EXPECT_EQ(must(rig.keeper().seal_all(rig.database())), 1u);
  EXPECT_EQ(rig.database().runs.bytes(), 0u);
  const auto listed = must(rig.store().list(format::log_prefix(agent.database, agent.stream)));
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(must(rig.keeper().seal_all(rig.database())), 0u);
  rig.stop();
  must(rig.start());
  EXPECT_EQ(must(rig.open(agent)).durable_end, agent.position());
  EXPECT_TRUE(must(rig.open(agent)).object_finished);
}

TEST_F(KeeperTest, GoesOnInAnObjectWhoseBeginningIsSealed) {
  must(rig.send(agent.log_frame(3000)));
  EXPECT_EQ(must(rig.keeper().seal_all(rig.database())), 1u);
  rig.stop();
  must(rig.start());
  must(rig.open(agent));
  ASSERT_TRUE(must(rig.send(agent.log_frame(3000))));
  EXPECT_EQ(must(rig.keeper().seal_all(rig.database())), 1u);
  EXPECT_EQ(rig.readable_end(agent), agent.position().value);
}

TEST_F(KeeperTest, SealsByAgeBySizeAndWhenTheObjectEnds) {
  must(rig.send(agent.log_frame(3000)));
  must(rig.keeper().seal_due());
  EXPECT_EQ(rig.database().runs.open(), 1u);
  rig.clock.advance(std::chrono::seconds(61));
  must(rig.keeper().seal_due());
  EXPECT_EQ(rig.database().runs.open(), 0u);
  must(rig.send(agent.log_frame(3000)));
  must(rig.send(agent.index_frame()));
  must(rig.keeper().seal_due());
  EXPECT_EQ(rig.database().runs.open(), 0u);
}

TEST_F(KeeperTest, SealsEverythingWhenTheJournalIsHalfFull) {
  while (rig.keeper().journal().live_bytes() <= rig.keeper().journal().capacity() / 2) must(rig.send(agent.log_frame(60'000)));
  must(rig.keeper().seal_due());
  EXPECT_EQ(rig.database().runs.bytes(), 0u);
  EXPECT_EQ(rig.readable_end(agent), agent.position().value);
}

TEST_F(KeeperTest, ReindexFromTheStoreAloneGivesTheSameCatalog) {
  for (int i = 0; i < 3; ++i) must(rig.send(agent.log_frame(3000)));
  must(rig.send(agent.index_frame()));
  must(rig.send(agent.log_frame(100)));
  must(rig.keeper().seal_everything());
  auto pack = agent.pack(5);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  const Digest list = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names)));
  const Bytes manifest = agent.manifest({list}, 5, {agent.log_begin(), agent.position()});
  ASSERT_TRUE(std::holds_alternative<Digest>(must(rig.commit(manifest))));
  must(rig.keeper().put_record(rig.database(), agent.fact(format::FactKind::kDegraded, "line down")));
  const auto before = dump_without_receive_times();
  const auto state = rig.keeper().state(rig.database());
  rig.stop();
  must(rig.start(false));
  EXPECT_EQ(dump_without_receive_times(), before);
  const auto after = rig.keeper().state(rig.database());
  EXPECT_EQ(after.latest_manifest, state.latest_manifest);
  ASSERT_EQ(after.streams.size(), 1u);
  EXPECT_EQ(after.streams[0].durable_end, state.streams[0].durable_end);
  EXPECT_EQ(after.streams[0].head, state.streams[0].head);
  EXPECT_EQ(after.highest_generation, state.highest_generation);
  EXPECT_TRUE(must(rig.keeper().know_chunks(rig.database(), pack.names))[4]);
}

TEST_F(KeeperTest, ALowerGenerationIsRefusedAlsoAfterTheCatalogIsLost) {
  agent.generation = {5};
  must(rig.open(agent, 2, 2));
  rig.crash(Crash::kDropUnsynced);
  must(rig.start(false));
  agent.generation = {4};
  EXPECT_EQ(rig.open(agent, 3, 3).error().code, ErrorCode::kSuperseded);
  agent.generation = {5};
  EXPECT_EQ(rig.open(agent, 3, 3).error().code, ErrorCode::kSuperseded) << "another instance with the same generation";
  EXPECT_TRUE(rig.open(agent, 3, 2).ok()) << "the same process comes back";
}

TEST_F(KeeperTest, FramesOfASupersededSessionAreRefused) {
  must(rig.send(agent.log_frame(100), 1));
  must(rig.open(agent, 2));
  auto sent = rig.send(agent.log_frame(100), 1);
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, ErrorCode::kSuperseded);
}

TEST_F(KeeperTest, RefusesFramesOfAnEpochThatIsNotHeld) {
  agent.begin_epoch();
  format::Frame frame = agent.log_frame(100);
  const std::string refusal = rig.send(*format::parse_frame(frame.encode())).error().what;
  EXPECT_NE(refusal.find("epoch"), std::string::npos) << refusal;
  must(rig.keeper().put_record(rig.database(), agent.epoch));
  must(rig.open(agent));
  EXPECT_TRUE(rig.send(*format::parse_frame(frame.encode())).ok());
}

TEST_F(KeeperTest, RefusesEnrolmentsOfUnknownAuthoritiesAndRecordsOfOtherDatabases) {
  ScriptedAgent stranger(agent.database, 99);
  EXPECT_EQ(rig.keeper().put_record(rig.database(), stranger.enrolment).error().code, ErrorCode::kForged);
  EXPECT_EQ(rig.keeper().put_record(rig.database(), stranger.branch).error().code, ErrorCode::kUnauthorised);
  ScriptedAgent other(DatabaseName{"440000", "other"}, 1);
  EXPECT_EQ(rig.keeper().put_record(rig.database(), other.enrolment).error().code, ErrorCode::kUnauthorised);
  EXPECT_FALSE(rig.keeper().put_record(rig.database(), Bytes(100, 7)).ok());
}

TEST_F(KeeperTest, AWithdrawnEnrolmentWritesNothingBehindItsLastPosition) {
  must(rig.send(agent.log_frame(100)));
  const Position last = agent.position() + 100;
  must(rig.keeper().put_record(rig.database(), agent.withdrawal(agent.stream, last)));
  EXPECT_TRUE(rig.send(agent.log_frame(100)).ok());
  EXPECT_EQ(rig.send(agent.log_frame(100)).error().code, ErrorCode::kUnauthorised);
  agent.begin_branch();
  EXPECT_EQ(rig.keeper().put_record(rig.database(), agent.branch).error().code, ErrorCode::kUnauthorised);
  rig.stop();
  must(rig.start());
  EXPECT_EQ(rig.keeper().put_record(rig.database(), agent.branch).error().code, ErrorCode::kUnauthorised);
}

TEST_F(KeeperTest, AnEpochWithOtherRecipientsIsKeptAndShown) {
  must(rig.keeper().put_record(rig.database(), agent.recipient_list(2, 1)));
  agent.begin_epoch();
  must(rig.keeper().put_record(rig.database(), agent.epoch));
  ASSERT_EQ(rig.database().notices.size(), 1u);
  EXPECT_NE(rig.database().notices[0].text.find("recipient"), std::string::npos);
}

TEST_F(KeeperTest, ASnapshotNeedsItsChunksItsListsAndItsLog) {
  auto pack = agent.pack(3);
  const Bytes list_bytes = ScriptedAgent::list(pack.names);
  const Position start = agent.position();
  format::Frame frame = agent.log_frame(1000);
  const PositionRange range{start, agent.position()};
  // The log is not there yet.
  Digest fake;
  fake.data[0] = 1;
  EXPECT_EQ(rig.commit(agent.manifest({fake}, 3, range)).error().code, ErrorCode::kGap);
  must(rig.send(*format::parse_frame(frame.encode())));
  EXPECT_EQ(rig.commit(agent.manifest({fake}, 3, range)).error().code, ErrorCode::kNotFound);
  const Digest list = must(rig.keeper().put_list(rig.database(), list_bytes));
  const Bytes manifest = agent.manifest({list}, 3, range);
  auto missing = must(rig.commit(manifest));
  ASSERT_TRUE(std::holds_alternative<protocol::MissingChunks>(missing));
  EXPECT_EQ(std::get<protocol::MissingChunks>(missing).total, 3u);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  EXPECT_TRUE(std::holds_alternative<Digest>(must(rig.commit(manifest))));
  EXPECT_EQ(rig.commit(agent.manifest({list}, 4, range)).error().code, ErrorCode::kDamaged);
}

TEST_F(KeeperTest, ASnapshotOfASupersededAgentIsRefusedWhileItsSuccessorWrites) {
  must(rig.send(agent.log_frame(1000)));
  auto pack = agent.pack(1);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  const Digest list = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names)));
  const PositionRange range{agent.log_begin(), agent.position()};
  const Bytes of_the_first = agent.manifest({list}, 1, range);
  agent.generation = {2};
  must(rig.open(agent, 2, 2));
  EXPECT_EQ(rig.commit(of_the_first, 1).error().code, ErrorCode::kSuperseded);
  const Bytes of_the_second = agent.manifest({list}, 1, range);
  EXPECT_EQ(rig.commit(of_the_second, 1).error().code, ErrorCode::kSuperseded) << "the generation of another instance";
  EXPECT_TRUE(std::holds_alternative<Digest>(must(rig.commit(of_the_second, 2))));
}

TEST_F(KeeperTest, ASnapshotUnderTheEpochOfAnotherStreamIsRefused) {
  must(rig.send(agent.log_frame(1000)));
  const StreamId stream = agent.stream;
  const PositionRange range{agent.log_begin(), agent.position()};
  auto pack = agent.pack(1);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  const Digest list = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names)));
  agent.begin_branch();
  must(rig.put_trust(agent));
  agent.stream = stream;
  EXPECT_EQ(rig.commit(agent.manifest({list}, 1, range)).error().code, ErrorCode::kUnauthorised);
}

TEST_F(KeeperTest, AListThatIsNamedTwiceCountsTwice) {
  must(rig.send(agent.log_frame(1000)));
  auto pack = agent.pack(2);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  const Digest list = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names)));
  const PositionRange range{agent.log_begin(), agent.position()};
  EXPECT_EQ(rig.commit(agent.manifest({list, list}, 2, range)).error().code, ErrorCode::kDamaged);
  EXPECT_TRUE(std::holds_alternative<Digest>(must(rig.commit(agent.manifest({list, list}, 4, range)))));
}

TEST_F(KeeperTest, DamagedPacksAreRefusedAndTheOthersOfTheirBarrierAreKept) {
  auto good = agent.pack(2), bad = agent.pack(2);
  bad.bytes[bad.bytes.size() / 2] ^= 1;
  auto stored = rig.keeper().put_packs({{&rig.database(), bad.bytes}, {&rig.database(), good.bytes}});
  EXPECT_FALSE(stored[0].ok());
  EXPECT_TRUE(stored[1].ok());
  ScriptedAgent stranger(agent.database, 5);
  auto foreign = stranger.pack(1);
  EXPECT_FALSE(rig.keeper().put_packs({{&rig.database(), foreign.bytes}})[0].ok());
}

TEST_F(KeeperTest, AllCopiesOfAChunkStayInTheIndex) {
  ScriptedAgent twin(agent.database, 1);
  auto pack = agent.pack(1);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  EXPECT_EQ(must(rig.catalog().chunk_places(agent.database, pack.names[0])).size(), 1u) << "a repetition is no second copy";
  ChunkName unknown;
  EXPECT_TRUE(must(rig.catalog().chunk_places(agent.database, unknown)).empty());
  EXPECT_FALSE(must(rig.catalog().know_chunks({"440000", "other"}, pack.names))[0]) << "names belong to one database";
}

TEST_F(KeeperTest, TimelinesAreNeverGivenTwice) {
  EXPECT_EQ(must(rig.keeper().reserve_timeline(rig.database(), 0)), 2u) << "the branch is on timeline 1";
  rig.crash(Crash::kDropUnsynced);
  must(rig.start(false));
  EXPECT_EQ(must(rig.keeper().reserve_timeline(rig.database(), 0)), 3u);
  EXPECT_EQ(must(rig.keeper().reserve_timeline(rig.database(), 9)), 10u);
  EXPECT_EQ(must(rig.keeper().reserve_timeline(rig.database(), 5)), 11u);
}

TEST_F(KeeperTest, AMissingObjectIsReportedNotForgotten) {
  must(rig.send(agent.log_frame(3000)));
  must(rig.keeper().seal_everything());
  const std::string name = must(rig.store().list(format::log_prefix(agent.database, agent.stream)))[0].name;
  must(rig.store().remove(name));
  rig.stop();
  must(rig.start());
  EXPECT_EQ(rig.keeper().damages(), 1u);
  ASSERT_EQ(rig.database().trust.facts().size(), 1u);
  EXPECT_EQ(rig.database().trust.facts()[0].kind, format::FactKind::kDamage);
  EXPECT_EQ(rig.readable_end(agent), agent.position().value) << "the journal file was not reused: its frames are sealed again";
  must(rig.keeper().seal_everything());
  EXPECT_TRUE(must(rig.store().contains(name)));
  rig.stop();
  must(rig.start());
  EXPECT_EQ(rig.database().trust.facts().size(), 1u) << "the ledger remembers, and it is not reported twice";
}

TEST_F(KeeperTest, AFullDiskRefusesAndAcknowledgesNothingAndRecovers) {
  must(rig.send(agent.log_frame(100)));
  rig.options.disk_reserve = 1 << 20;
  rig.stop();
  must(rig.start());
  must(rig.open(agent));
  rig.fs.set_free_bytes(1 << 10);
  rig.keeper().refresh_gauges();
  EXPECT_EQ(rig.keeper().may_store(rig.database(), 100).error().code, ErrorCode::kDiskFull);
  EXPECT_EQ(rig.keeper().put_packs({{&rig.database(), agent.pack(1).bytes}})[0].error().code, ErrorCode::kDiskFull);
  rig.fs.set_free_bytes(1ull << 40);
  rig.keeper().refresh_gauges();
  EXPECT_TRUE(rig.keeper().may_store(rig.database(), 100).ok());
  EXPECT_TRUE(rig.send(agent.log_frame(100)).ok());
}

TEST_F(KeeperTest, SiteLimitsHold) {
  rig.options.sites[0].config.limits.epochs_per_day = 2;
  rig.options.sites[0].config.limits.stored_bytes = 200 << 10;
  rig.stop();
  must(rig.start());
  must(rig.open(agent));
  EXPECT_EQ(rig.keeper().put_packs({{&rig.database(), agent.pack(40).bytes}})[0].error().code, ErrorCode::kDiskFull);
  ErrorCode code{};
  for (int i = 0; i < 3; ++i) {
    agent.begin_epoch();
    if (auto put = rig.keeper().put_record(rig.database(), agent.epoch); !put.ok()) code = put.error().code;
  }
  EXPECT_EQ(code, ErrorCode::kLimit);
}

TEST_F(KeeperTest, AStatusMessageOfAnotherKeyIsRefused) {
  EXPECT_TRUE(rig.keeper().put_status(rig.database(), agent.status({{"spool_bytes", 12}})).ok());
  ScriptedAgent stranger(agent.database, 77);
  EXPECT_FALSE(rig.keeper().put_status(rig.database(), stranger.status({})).ok());
  EXPECT_EQ(rig.database().status->fields.at("spool_bytes"), 12);
}

TEST_F(KeeperTest, OperatorsSeeTheirSiteOnly) {
  protocol::ListObjects all;
  EXPECT_EQ(must(rig.keeper().list_objects("*", all)).objects.size(), 4u);
  EXPECT_EQ(must(rig.keeper().list_objects("440000", all)).objects.size(), 4u);
  EXPECT_EQ(must(rig.keeper().list_objects("320000", all)).objects.size(), 0u);
  protocol::ListObjects other;
  other.prefix = "440000/";
  EXPECT_EQ(rig.keeper().list_objects("320000", other).error().code, ErrorCode::kUnauthorised);
  protocol::ReadObject read;
  read.name = must(rig.keeper().list_objects("*", all)).objects[0].name;
  read.length = 4;
  EXPECT_EQ(must(rig.keeper().read_object("440000", read)).size(), 4u);
  EXPECT_EQ(rig.keeper().read_object("320000", read).error().code, ErrorCode::kUnauthorised);
  read.name = "440000/../x";
  EXPECT_FALSE(rig.keeper().read_object("*", read).ok());
  all.limit = 2;
  auto page = must(rig.keeper().list_objects("*", all));
  EXPECT_EQ(page.objects.size(), 2u);
  EXPECT_TRUE(page.more);
  all.start_after = page.objects[1].name;
  EXPECT_FALSE(must(rig.keeper().list_objects("*", all)).more);
}

}  // namespace
}  // namespace stele::receiver
