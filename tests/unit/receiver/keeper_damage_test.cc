// What a receiver does when bytes that it holds are lost: it says so, keeps the rest, takes again what is sent again, and goes on.
#include <gtest/gtest.h>

#include "core/format/object_names.h"
#include "core/format/run.h"
#include "tests/unit/receiver/open_keeper.h"

namespace stele::receiver {
namespace {

using test::must;
using test::ScriptedAgent;

struct KeeperDamageTest : OpenKeeper {
  void restart(bool keep_catalog = true) {
    rig.stop();
    must(rig.start(keep_catalog));
    must(rig.open(agent));
  }
  void remove_journal() {
    rig.stop();
    for (const auto& entry : must(rig.fs.list_directory("/store/journal"))) {
      if (entry.name.ends_with(".journal")) must(rig.fs.unlink("/store/journal/" + entry.name));
    }
  }
  std::vector<std::string> names(std::string_view folder) {
    std::vector<std::string> out;
    for (const auto& info : must(rig.store().list(format::database_prefix(agent.database) + std::string(folder) + "/"))) out.push_back(info.name);
    return out;
  }
  static std::string path(const std::string& object) { return "/store/objects/" + object; }
  std::vector<format::Fact> damages() {
    std::vector<format::Fact> out;
    for (const format::Fact& fact : rig.database().trust.facts()) {
      if (fact.kind == format::FactKind::kDamage) out.push_back(fact);
    }
    return out;
  }
  bool covered(Position begin, Position end) {
    return rig.database().streams.at(agent.stream).ranges().covers({begin, end});
  }
  /// The middle of the payload of the record with this index in the first journal file, as `size` bytes of log each make it.
  std::uint64_t inside_record(std::size_t index, std::size_t size) {
    std::uint64_t at = 8192;
    for (std::size_t i = 0; i < index; ++i) at = (at + size + 700 + 4095) / 4096 * 4096;
    return at + size / 2;
  }
  std::string first_journal_file() {
    for (const auto& entry : must(rig.fs.list_directory("/store/journal"))) {
      if (entry.name.ends_with(".journal")) return "/store/journal/" + entry.name;
    }
    return "";
  }
};

TEST_F(KeeperDamageTest, TheFirstRunOfAnObjectIsSealedAgainFromTheJournalAlsoWhenALaterOneIsHeld) {
  must(rig.send(agent.log_frame(3000)));
  must(rig.keeper().seal_everything());
  const std::string first = names("log").at(0);
  must(rig.send(agent.log_frame(3000)));
  must(rig.keeper().seal_everything());
  must(rig.store().remove(first));
  restart();
  must(rig.keeper().seal_everything());
  EXPECT_TRUE(must(rig.store().contains(first)));
  EXPECT_EQ(rig.readable_end(agent), agent.position().value);
}

TEST_F(KeeperDamageTest, LostFramesAreStoredAgainWhenTheyAreSentAgain) {
  std::vector<Bytes> frames;
  for (int i = 0; i < 4; ++i) {
    format::Frame frame = agent.log_frame(3000);
    frames.push_back(frame.encode());
    must(rig.send(std::move(frame)));
    must(rig.keeper().seal_everything());
  }
  const std::vector<std::string> runs = names("log");
  ASSERT_EQ(runs.size(), 4u);
  must(rig.store().remove(runs[0]));
  must(rig.store().remove(runs[2]));
  remove_journal();
  must(rig.start());
  must(rig.open(agent));
  ASSERT_EQ(damages().size(), 2u);
  EXPECT_EQ(damages()[0].begin, agent.log_begin());
  EXPECT_EQ(damages()[0].end, agent.log_begin() + 3000);
  for (const Bytes& frame : frames) EXPECT_TRUE(must(rig.send(must(format::parse_frame(frame)))));
  must(rig.keeper().seal_everything());
  EXPECT_EQ(rig.readable_end(agent), agent.position().value);
  restart();
  EXPECT_TRUE(covered(agent.log_begin(), agent.position()));
}

TEST_F(KeeperDamageTest, ChunksOfALostPackAreAskedForAgainAndTheirSnapshotsAreTold) {
  must(rig.send(agent.log_frame(1000)));
  auto lost = agent.pack(3), kept = agent.pack(1);
  const Digest lost_id = must(rig.keeper().put_packs({{&rig.database(), lost.bytes}})[0]);
  must(rig.keeper().put_packs({{&rig.database(), kept.bytes}})[0]);
  const Digest both = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list({lost.names[0], kept.names[0]})));
  const Digest whole = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(kept.names)));
  const PositionRange range{agent.log_begin(), agent.position()};
  ASSERT_TRUE(std::holds_alternative<Digest>(must(rig.commit(agent.manifest({both}, 2, range)))));
  ASSERT_TRUE(std::holds_alternative<Digest>(must(rig.commit(agent.manifest({whole}, 1, range)))));
  const std::vector<std::string> snapshots = names("snapshot");
  must(rig.store().remove(format::pack_name(agent.database, ObjectId{lost_id.data})));
  restart();
  EXPECT_EQ(must(rig.keeper().know_chunks(rig.database(), {lost.names[0], lost.names[2], kept.names[0]})), (std::vector<bool>{false, false, true}));
  EXPECT_TRUE(must(rig.catalog().chunk_places(agent.database, lost.names[0])).empty());
  ASSERT_EQ(damages().size(), 2u) << "the pack and one of two snapshots";
  EXPECT_NE(damages()[1].note.find(snapshots[0]), std::string::npos) << damages()[1].note;
  auto missing = must(rig.commit(agent.manifest({both}, 2, range)));
  ASSERT_TRUE(std::holds_alternative<protocol::MissingChunks>(missing));
  restart();
  EXPECT_EQ(damages().size(), 2u) << "told once";
  must(rig.keeper().put_packs({{&rig.database(), lost.bytes}})[0]);
  EXPECT_TRUE(std::holds_alternative<Digest>(must(rig.commit(agent.manifest({both}, 2, range)))));
}

TEST_F(KeeperDamageTest, AFrameThatRottedInTheJournalIsToldExactlyAndNoLongerCounts) {
  const Position second = agent.position() + 20'000;
  std::vector<Bytes> frames;
  for (int i = 0; i < 4; ++i) {
    format::Frame frame = agent.log_frame(20'000, i != 1);  // frame 1 is signed by frame 2
    frames.push_back(frame.encode());
    must(rig.send(std::move(frame)));
  }
  ASSERT_TRUE(rig.fs.flip(first_journal_file(), inside_record(1, 20'000) + 20'000));  // in frame 2
  must(rig.keeper().seal_everything());
  EXPECT_EQ(rig.database().runs.bytes(), 0u);
  ASSERT_EQ(damages().size(), 1u);
  EXPECT_EQ(damages()[0].begin, second) << "frame 1 is lost with its signature";
  EXPECT_EQ(damages()[0].end, second + 40'000);
  EXPECT_EQ(names("log").size(), 2u) << "what lies on both sides is kept";
  EXPECT_TRUE(covered(agent.log_begin(), second));
  EXPECT_FALSE(covered(second, second + 1));
  EXPECT_TRUE(covered(second + 40'000, agent.position()));
  auto pack = agent.pack(1);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  const Digest list = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names)));
  const Bytes manifest = agent.manifest({list}, 1, {agent.log_begin(), agent.position()});
  EXPECT_EQ(rig.commit(manifest).error().code, ErrorCode::kGap);
  must(rig.open(agent));
  for (const Bytes& frame : frames) must(rig.send(must(format::parse_frame(frame))));
  must(rig.keeper().seal_everything());
  EXPECT_TRUE(covered(agent.log_begin(), agent.position()));
  EXPECT_EQ(rig.readable_end(agent), agent.position().value);
  EXPECT_TRUE(std::holds_alternative<Digest>(must(rig.commit(manifest))));
}

TEST_F(KeeperDamageTest, ALostEndIsNotAnnouncedAsHeld) {
  must(rig.send(agent.log_frame(20'000)));
  const Position first = agent.position();
  must(rig.keeper().seal_everything());
  must(rig.send(agent.log_frame(20'000)));
  ASSERT_TRUE(rig.fs.flip(first_journal_file(), inside_record(1, 20'000)));
  must(rig.keeper().seal_everything());
  EXPECT_EQ(must(rig.open(agent)).durable_end, first);
  EXPECT_EQ(must(rig.open(agent)).frame, 0u);
}

TEST_F(KeeperDamageTest, ABadSectorOfTheJournalDoesNotKeepOtherRunsFromBeingSealed) {
  must(rig.send(agent.log_frame(20'000)));
  const Position end = agent.position();
  agent.begin_object();
  must(rig.send(agent.log_frame(20'000)));
  ASSERT_TRUE(rig.fs.set_unreadable(first_journal_file(), inside_record(0, 20'000)));
  EXPECT_EQ(rig.keeper().seal_everything().error().code, ErrorCode::kIo);
  EXPECT_EQ(names("log").size(), 1u) << "the other object";
  EXPECT_TRUE(damages().empty()) << "the disk may give it the next time";
  EXPECT_TRUE(covered(agent.log_begin(), end));
  for (int i = 0; i < 40 && !rig.keeper().seal_everything().ok(); ++i) {
  }
  EXPECT_EQ(rig.database().runs.bytes(), 0u);
  ASSERT_EQ(damages().size(), 1u);
  EXPECT_EQ(damages()[0].begin, agent.log_begin());
  EXPECT_EQ(damages()[0].end, end);
  EXPECT_FALSE(covered(agent.log_begin(), end));
}

TEST_F(KeeperDamageTest, AStoredRunThatRottedIsReplacedByTheFramesOfTheJournal) {
  must(rig.send(agent.log_frame(20'000)));
  must(rig.keeper().seal_everything());
  const std::string run = names("log").at(0);
  ASSERT_TRUE(rig.fs.flip(path(run), 10'000));
  restart(false);
  must(rig.keeper().seal_everything());
  EXPECT_EQ(rig.database().runs.bytes(), 0u);
  must(format::read_run(must(rig.store().read_all(run, 1 << 20)), &agent.key.verify_key(), [](format::Frame) { return Status(); }));
  EXPECT_EQ(rig.readable_end(agent), agent.position().value);
  EXPECT_FALSE(damages().empty());
}

TEST_F(KeeperDamageTest, OtherBytesForARunThatIsStoredAreSetAsideAndEverythingElseIsSealed) {
  ScriptedAgent twin(agent.database, 1);
  must(rig.send(agent.log_frame(500)));
  const Position end = agent.position();
  // The ledger compares with the newest objects only.
  for (int i = 0; i < 520; ++i) {
    agent.begin_object();
    must(rig.send(agent.log_frame(16)));
    if (i % 32 == 0) must(rig.keeper().seal_everything());
  }
  must(rig.keeper().seal_everything());
  const std::size_t runs = names("log").size();
  const std::vector<std::string> before = names("log");
  twin.begin_object();
  twin.random.bytes(3);
  must(rig.open(agent));
  must(rig.send(twin.log_frame(500)));
  ASSERT_EQ(twin.position(), end);
  agent.begin_object();
  must(rig.send(agent.log_frame(16)));
  must(rig.keeper().seal_everything());
  EXPECT_EQ(rig.database().runs.bytes(), 0u);
  EXPECT_EQ(names("log").size(), runs + 1);
  ASSERT_EQ(damages().size(), 1u);
  EXPECT_EQ(must(rig.fs.list_directory("/store/aside/" + agent.database.to_string())).size(), 1u);
  EXPECT_EQ(rig.readable_end(agent), agent.position().value) << "what was there first is there";
}

TEST_F(KeeperDamageTest, FramesWhoseEpochIsLostAreSetAsideInTheEnd) {
  must(rig.send(agent.log_frame(500)));
  {
    std::lock_guard lock(rig.database().mutex);
    rig.database().epoch_records.clear();
  }
  EXPECT_EQ(rig.keeper().seal_everything().error().code, ErrorCode::kNotFound);
  for (int i = 0; i < 40 && !rig.keeper().seal_everything().ok(); ++i) {
  }
  EXPECT_EQ(rig.database().runs.bytes(), 0u);
  EXPECT_EQ(must(rig.fs.list_directory("/store/aside/" + agent.database.to_string())).size(), 1u);
  ASSERT_EQ(damages().size(), 1u);
}

TEST_F(KeeperDamageTest, AnObjectThatTheDiskDoesNotGiveDoesNotStopAReindexAndIsToldOnce) {
  must(rig.send(agent.log_frame(500)));
  must(rig.keeper().seal_everything());
  auto pack = agent.pack(1);
  const Digest id = must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  const std::string name = format::pack_name(agent.database, ObjectId{id.data});
  ASSERT_TRUE(rig.fs.set_unreadable(path(name), 100));
  restart(false);
  EXPECT_EQ(rig.keeper().damages(), 1u);
  EXPECT_TRUE(covered(agent.log_begin(), agent.position()));
  restart(false);
  EXPECT_EQ(damages().size(), 1u);
  ASSERT_TRUE(rig.fs.set_unreadable(path(name), 100, false));
  restart(false);
  EXPECT_TRUE(must(rig.keeper().know_chunks(rig.database(), pack.names))[0]);
}

TEST_F(KeeperDamageTest, AReindexTellsWhatTheOldCatalogKnewAndWhichSnapshotsAreNotWhole) {
  must(rig.send(agent.log_frame(500)));
  must(rig.keeper().seal_everything());
  auto pack = agent.pack(2);
  const Digest id = must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  const Digest list = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names)));
  ASSERT_TRUE(std::holds_alternative<Digest>(must(rig.commit(agent.manifest({list}, 2, {agent.log_begin(), agent.position()})))));
  bool more = false;
  rig.options.expected.emplace();
  for (const ObjectEntry& entry : must(rig.catalog().objects("", "", 1000, more))) rig.options.expected->push_back(entry.name);
  restart(false);
  EXPECT_TRUE(damages().empty());
  const std::string name = format::pack_name(agent.database, ObjectId{id.data});
  must(rig.store().remove(name));
  restart(false);
  ASSERT_EQ(damages().size(), 2u);
  EXPECT_NE(damages()[0].note.find(name), std::string::npos);
  EXPECT_NE(damages()[1].note.find("2 of its chunks"), std::string::npos) << damages()[1].note;
}

TEST_F(KeeperDamageTest, ALostRecordIsTakenAgain) {
  const Bytes fact = agent.fact(format::FactKind::kDegraded, "line down");
  must(rig.keeper().put_record(rig.database(), fact));
  const std::string name = names("fact").at(0);
  must(rig.store().remove(name));
  restart();
  must(rig.keeper().put_record(rig.database(), fact));
  EXPECT_TRUE(must(rig.store().contains(name)));
}

TEST_F(KeeperDamageTest, RepetitionsDoNotCountAsStored) {
  auto pack = agent.pack(1);
  const Bytes list = ScriptedAgent::list(pack.names);
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  must(rig.keeper().put_list(rig.database(), list));
  const std::uint64_t stored = rig.database().site.stored.load();
  EXPECT_GE(stored, pack.bytes.size() + list.size());
  must(rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0]);
  must(rig.keeper().put_list(rig.database(), list));
  EXPECT_EQ(rig.database().site.stored.load(), stored);
}

TEST_F(KeeperDamageTest, ObjectsOfTheLogAndRecordsHaveTheirLimits) {
  rig.options.sites[0].config.limits.objects_per_day = 2;
  rig.options.sites[0].config.limits.records_per_day = 3;
  restart();
  must(rig.send(agent.log_frame(10)));
  agent.begin_object();
  must(rig.send(agent.log_frame(10)));
  agent.begin_object();
  EXPECT_EQ(rig.send(agent.log_frame(10)).error().code, ErrorCode::kLimit);
  for (int i = 0; i < 3; ++i) must(rig.keeper().put_record(rig.database(), agent.fact(format::FactKind::kDegraded, "again")));
  EXPECT_EQ(rig.keeper().put_record(rig.database(), agent.fact(format::FactKind::kDegraded, "too often")).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(rig.keeper().put_record(rig.database(), agent.recipient_list(2, 1)).ok()) << "an operator's records are counted apart";
}

TEST_F(KeeperDamageTest, AnEpochThatNoRunCanCarryIsRefused) {
  format::EpochRecord epoch = must(format::EpochRecord::read(must(format::parse_record(agent.epoch))));
  while (epoch.keys.size() < 32) {
    epoch.keys.push_back(epoch.keys[0]);
    epoch.keys.back().recipient.public_key = agent.random.bytes(32);
    epoch.keys.back().sealed = agent.random.bytes(700);
  }
  const Bytes record = must(epoch.sign(agent.key)).bytes;
  EXPECT_EQ(rig.keeper().put_record(rig.database(), record).error().code, ErrorCode::kLimit);
}

TEST(OpenRuns, KeepsObjectsOfTwoStreamsApartAlsoUnderOneId) {
  test::SeededRandom random(3);
  format::FrameHeader header;
  header.object = random.draw<ObjectId>();
  header.stream = random.draw<StreamId>();
  OpenRuns runs;
  runs.add(header, {{1, 8192}, 0, 100, true}, {1});
  header.stream = random.draw<StreamId>();
  header.number = 1;
  runs.add(header, {{1, 8392}, 1, 100, true}, {2});
  EXPECT_EQ(runs.open(), 2u);
  for (const OpenRun& run : runs.take({3}, {}, true)) EXPECT_EQ(run.frames.size(), 1u);
}

TEST(OpenRuns, AClockThatIsSetBackDelaysNothing) {
  format::FrameHeader header;
  OpenRuns runs;
  runs.add(header, {{1, 8192}, 0, 100, true}, {3'600'000'000});
  EXPECT_EQ(runs.take({1'000'000}, {std::chrono::seconds(60), 1 << 20}, false).size(), 1u);
}

}  // namespace
}  // namespace stele::receiver
