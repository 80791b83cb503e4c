#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <fstream>
#include <future>

#include "core/format/drill_record.h"
#include "core/format/object_names.h"
#include "core/format/run.h"
#include "receiver/catalog/rocks.h"
#include "tests/contract/receiver/receiver_process.h"

namespace stele::test {
namespace {

using protocol::MessageType;
using protocol::Purpose;

struct ReceiverTest : testing::Test {
  ScriptedAgent agent;
  ReceiverProcess receiver{agent};
  ClientThread net;
  void SetUp() override { receiver.start(); }
  std::shared_ptr<net::TlsContext> agent_tls() { return receiver.identity("stele:agent:440000"); }

  client::RemoteReader::Options reader_options(const std::string& who = "stele:operator:440000") {
    client::RemoteReader::Options options;
    options.address = receiver.address();
    options.receiver = "shaoguan";
    options.tls = receiver.identity(who);
    options.patience = std::chrono::milliseconds(5000);
    return options;
  }
  std::unique_ptr<client::RemoteReader> reader(const std::string& who = "stele:operator:440000") { return must(client::RemoteReader::open(reader_options(who))); }

  /// Where the log that an operator reads ends: every run opened, decrypted and compared with what the agent made.
  Position read_back(store::ObjectReader& from) {
    Position end = agent.log_begin();
    for (const auto& object : must(from.list(format::log_prefix(agent.database, agent.stream)))) {
      const Bytes bytes = must(from.read(object.name, 0, object.size));
      std::optional<format::LogObjectOpener> opener;
      must(format::read_run(bytes, &agent.key.verify_key(), [&](format::Frame frame) -> Status {
        const format::FrameHeader& h = frame.header();
        if (!opener && h.number == 0) opener.emplace(must(format::LogObjectOpener::begin(h, agent.data_key())));
        if (opener && h.kind == format::FrameKind::kLog) {
          Bytes raw;
          STELE_CHECK(opener->open_log(frame, raw));
          EXPECT_TRUE(equal(raw, ByteView(agent.log()).subspan(h.start - agent.log_begin(), raw.size())));
        }
        if (h.start <= end) end = std::max(end, h.end);
        return {};
      }));
    }
    return end;
  }
};

TEST_F(ReceiverTest, AcknowledgesFramesAndAnOperatorReadsThem) {
  AgentLine line(net, receiver, agent_tls(), Purpose::kLog);
  ASSERT_TRUE(line.opened.ok()) << line.opened.error().to_string();
  ASSERT_TRUE(line.introduce(agent).ok());
  ASSERT_EQ(must(line.open_stream(agent)).durable_end, Position{});
  for (int i = 0; i < 40; ++i) must(line.send_frame(agent.log_frame(100'000, i % 4 == 3)));
  must(line.send_frame(agent.index_frame()));
  ASSERT_TRUE(line.wait_acknowledged(agent.position())) << line.status().error().to_string();
  auto remote = reader();
  must(remote->seal_runs(agent.database));
  EXPECT_EQ(read_back(*remote), agent.position());
  const auto state = must(remote->query_database(agent.database));
  ASSERT_EQ(state.streams.size(), 1u);
  EXPECT_EQ(state.streams[0].durable_end, agent.position());
  EXPECT_TRUE(state.streams[0].object_finished);
  EXPECT_EQ(state.highest_generation, agent.generation);
}

TEST_F(ReceiverTest, EverythingAcknowledgedIsThereAfterKill9) {
  for (int round = 0; round < 4; ++round) {
    AgentLine line(net, receiver, agent_tls(), Purpose::kLog);
    must(line.introduce(agent));
    const auto opened = must(line.open_stream(agent));
    if (round > 0) {
      // What was sent and not acknowledged may or may not be there; the agent starts again from what the receiver holds.
      agent.seek(opened.durable_end);
    }
    for (int i = 0; i < 30; ++i) {
      must(line.send_frame(agent.log_frame(20'000)));
      if (i == 15) must(line.send_frame(agent.index_frame()));
    }
    ASSERT_TRUE(line.wait_acknowledged(Position{agent.position().value - 200'000}));
    const Position acknowledged = line.acknowledged();
    receiver.kill_hard();
    ASSERT_TRUE(line.wait_end());
    receiver.start();
    auto remote = reader();
    const auto state = must(remote->query_database(agent.database));
    ASSERT_EQ(state.streams.size(), 1u);
    EXPECT_GE(state.streams[0].durable_end, acknowledged);
    must(remote->seal_runs(agent.database));
    EXPECT_EQ(read_back(*remote), state.streams[0].durable_end);
  }
}

TEST_F(ReceiverTest, AReaderThatIsToldToStopWaitsNoLongerForOneThatIsAway) {
  std::atomic<bool> cancelled{false};
  auto options = reader_options();
  options.patience = std::chrono::hours(24);
  options.cancelled = &cancelled;
  auto remote = must(client::RemoteReader::open(options));
  must(remote->list(""));
  const auto expect_stopped = [&] {
    // More readers than connections: the last one waits for a connection of the others.
    std::vector<std::future<Result<Bytes>>> waiting;
    for (std::size_t i = 0; i <= options.connections; ++i) {
      waiting.push_back(std::async(std::launch::async, [&] { return remote->read("log/nothing", 0, 1); }));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    cancelled = true;
    for (auto& one : waiting) EXPECT_EQ(one.get().error().code, ErrorCode::kCancelled);
    cancelled = false;
  };
  // Frozen: one waits for its answer, the others for a handshake. Dead: all wait for the next attempt.
  ASSERT_EQ(kill(receiver.pid(), SIGSTOP), 0);
  expect_stopped();
  receiver.kill_hard();
  expect_stopped();
  receiver.start();
  EXPECT_TRUE(remote->list("").ok()) << "what was given up left nothing behind";
}

TEST_F(ReceiverTest, TakesASnapshotAndReindexGivesTheSame) {
  AgentLine log(net, receiver, agent_tls(), Purpose::kLog);
  must(log.introduce(agent));
  must(log.open_stream(agent));
  const Position start = agent.position();
  must(log.send_frame(agent.log_frame(50'000)));
  ASSERT_TRUE(log.wait_acknowledged(agent.position()));

  AgentLine line(net, receiver, agent_tls(), Purpose::kSnapshot);
  must(line.call(MessageType::kQueryDatabase, protocol::encode_database(agent.database), MessageType::kDatabaseState));
  std::vector<ChunkName> names;
  std::vector<ScriptedAgent::Pack> packs;
  for (int i = 0; i < 6; ++i) {
    packs.push_back(agent.pack(20, 200'000));
    names.insert(names.end(), packs.back().names.begin(), packs.back().names.end());
  }
  auto ask = [&] {
    Bytes body;
    for (const ChunkName& name : names) ByteWriter(body).raw(name.view());
    return must(line.call(MessageType::kQueryChunks, body, MessageType::kChunksKnown));
  };
  EXPECT_EQ(ask(), Bytes(15, 0));
  // All but one, then the manifest, then the last.
  for (std::size_t i = 0; i + 1 < packs.size(); ++i) must(line.call(MessageType::kPutPack, packs[i].bytes, MessageType::kStored));
  const Digest list = must(protocol::read_stored(must(line.call(MessageType::kPutList, ScriptedAgent::list(names), MessageType::kStored))));
  const Bytes manifest = agent.manifest({list}, names.size(), {start, agent.position()});
  auto answer = must(line.request(MessageType::kCommitSnapshot, manifest));
  ASSERT_EQ(static_cast<MessageType>(answer.type), MessageType::kMissingChunks);
  EXPECT_EQ(must(protocol::read_missing_chunks(answer.body)).total, 20u);
  must(line.call(MessageType::kPutPack, packs.back().bytes, MessageType::kStored));
  must(line.call(MessageType::kCommitSnapshot, manifest, MessageType::kStored));
  EXPECT_EQ(ask(), Bytes(15, 0xff));

  // The status is a survey that is made beside the pipeline, about once a second.
  nlohmann::json status;
  for (int i = 0; i < 300; ++i) {
    status = nlohmann::json::parse(receiver.command({"status", "--json"}).second);
    ASSERT_EQ(status["databases"].size(), 1u);
    if (status["databases"][0]["snapshots"].size() == 1u) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(status["databases"][0]["snapshots"].size(), 1u);
  EXPECT_EQ(status["databases"][0]["streams"][0]["acknowledged"], agent.position().to_string());
  EXPECT_TRUE(status["databases"][0]["connected"].get<bool>());

  log.close();
  line.close();
  EXPECT_EQ(receiver.command({"reindex"}).first, 75) << "the running receiver owns the store";
  EXPECT_EQ(receiver.stop(), 0);
  const auto [code, text] = receiver.command({"reindex"});
  EXPECT_EQ(code, 0) << text;
  receiver.start();
  auto remote = reader();
  const auto state = must(remote->query_database(agent.database));
  EXPECT_FALSE(state.latest_manifest.is_zero());
  EXPECT_EQ(read_back(*remote), agent.position()) << "sealed at the stop";
  AgentLine again(net, receiver, agent_tls(), Purpose::kSnapshot);
  must(again.call(MessageType::kQueryDatabase, protocol::encode_database(agent.database), MessageType::kDatabaseState));
}

TEST_F(ReceiverTest, EveryoneDoesOnlyWhatTheCertificateAllows) {
  AgentLine reading(net, receiver, agent_tls(), Purpose::kRead);
  EXPECT_EQ(reading.opened.error().code, ErrorCode::kUnauthorised) << "an agent does not read";
  AgentLine writing(net, receiver, receiver.identity("stele:operator:*"), Purpose::kLog);
  EXPECT_EQ(writing.opened.error().code, ErrorCode::kUnauthorised) << "an operator does not write";
  AgentLine other_site(net, receiver, receiver.identity("stele:agent:320000"), Purpose::kLog);
  EXPECT_EQ(other_site.opened.error().code, ErrorCode::kUnauthorised) << "a site that is not listed";
  AgentLine line(net, receiver, agent_tls(), Purpose::kLog);
  EXPECT_EQ(line.call(MessageType::kQueryDatabase, protocol::encode_database({"320000", "registry"}), MessageType::kDatabaseState).error().code,
            ErrorCode::kUnauthorised);
  EXPECT_EQ(line.call(MessageType::kQueryDatabase, protocol::encode_database({"440000", "unknown"}), MessageType::kDatabaseState).error().code,
            ErrorCode::kUnauthorised);
  must(line.introduce(agent));
  EXPECT_EQ(reader("stele:operator:320000")->list("")->size(), 0u);
  EXPECT_EQ(reader("stele:operator:320000")->list("440000/").error().code, ErrorCode::kUnauthorised);
  EXPECT_EQ(reader("stele:operator:*")->list("")->size(), 4u);
  EXPECT_EQ(reader("stele:operator:320000")->seal_runs(agent.database).error().code, ErrorCode::kUnauthorised);
}

TEST_F(ReceiverTest, KeepsDrillRecordsOfAnOperatorOfTheSiteAndNothingElse) {
  AgentLine line(net, receiver, agent_tls(), Purpose::kLog);
  must(line.introduce(agent));
  SeededRandom random(11);
  const crypto::SigningKey host = crypto::SigningKey::generate(crypto::default_suite(), random);
  format::DrillRecord drill;
  drill.database = agent.database;
  drill.started = {1'790'000'000'000'000};
  drill.finished = {1'790'000'060'000'000};
  drill.outcome = format::DrillOutcomeKind::kPassed;
  drill.passed = 3;
  const format::SignedRecord record = must(drill.sign(host));
  const Digest id = must(reader()->put_record(record.bytes));
  EXPECT_EQ(id, record.id());
  const std::string name = format::drill_name(agent.database, drill.finished, id);
  EXPECT_EQ(must(reader()->read(name, 0, record.bytes.size())), record.bytes);
  // Again is harmless.
  EXPECT_EQ(must(reader()->put_record(record.bytes)), id);
  EXPECT_EQ(must(reader()->list(format::database_prefix(agent.database) + "drill/")).size(), 1u);

  // Another site's operator, an agent, a changed byte, a database that is not served, another kind of record: all refused.
  EXPECT_EQ(reader("stele:operator:320000")->put_record(record.bytes).error().code, ErrorCode::kUnauthorised);
  EXPECT_EQ(line.call(MessageType::kPutRecord, record.bytes, MessageType::kStored).error().code, ErrorCode::kUnauthorised);
  Bytes forged = record.bytes;
  forged.back() ^= 1;
  EXPECT_EQ(reader()->put_record(forged).error().code, ErrorCode::kForged);
  drill.database.database = "other";
  EXPECT_EQ(reader()->put_record(must(drill.sign(host)).bytes).error().code, ErrorCode::kUnauthorised);
  format::Fact fact;
  fact.database = agent.database;
  fact.kind = format::FactKind::kGap;
  EXPECT_EQ(reader()->put_record(must(fact.sign(host)).bytes).error().code, ErrorCode::kUnauthorised);
  EXPECT_EQ(must(reader()->list(format::database_prefix(agent.database) + "drill/")).size(), 1u);
  EXPECT_EQ(must(reader()->list(format::database_prefix(agent.database) + "fact/")).size(), 0u);

  // It is there after a restart, and nobody calls it untrusted or damaged.
  receiver.kill_hard();
  receiver.start();
  EXPECT_EQ(must(reader()->read(name, 0, record.bytes.size())), record.bytes);
  EXPECT_EQ(receiver.log().find("not trusted"), std::string::npos);
}

TEST_F(ReceiverTest, ANewerGenerationEndsTheOlderSession) {
  AgentLine old(net, receiver, agent_tls(), Purpose::kLog, 1);
  must(old.introduce(agent));
  must(old.open_stream(agent));
  must(old.send_frame(agent.log_frame(1000)));
  ASSERT_TRUE(old.wait_acknowledged(agent.position()));
  AgentLine equal(net, receiver, agent_tls(), Purpose::kLog, 2);
  must(equal.introduce(agent));
  EXPECT_EQ(equal.open_stream(agent).error().code, ErrorCode::kSuperseded);
  EXPECT_TRUE(old.status().ok());
  agent.generation = {2};
  AgentLine young(net, receiver, agent_tls(), Purpose::kLog, 2);
  must(young.introduce(agent));
  EXPECT_EQ(must(young.open_stream(agent)).durable_end, agent.position());
  ASSERT_TRUE(old.wait_end());
  EXPECT_EQ(old.status().error().code, ErrorCode::kSuperseded);
}

TEST_F(ReceiverTest, RubbishAndHalfMessagesEndOnlyTheirSession) {
  AgentLine good(net, receiver, agent_tls(), Purpose::kLog);
  must(good.introduce(agent));
  must(good.open_stream(agent));
  SeededRandom random(3);
  for (int i = 0; i < 20; ++i) {
    AgentLine bad(net, receiver, agent_tls(), Purpose::kLog, 9);
    if (!bad.opened.ok()) continue;  // eight connections a site
    must(bad.introduce(agent));
    auto refused = bad.call(static_cast<MessageType>(random.below(40) + 1), random.bytes(random.below(2000)), MessageType::kStored);
    EXPECT_FALSE(refused.ok());
  }
  must(good.send_frame(agent.log_frame(1000)));
  EXPECT_TRUE(good.wait_acknowledged(agent.position()));
  format::Frame damaged = agent.log_frame(1000);
  Bytes bytes = damaged.encode();
  bytes[bytes.size() / 2] ^= 1;
  auto end = good.request(MessageType::kFrame, bytes);
  EXPECT_EQ(end.error().code, ErrorCode::kDamaged);
  EXPECT_TRUE(good.wait_end());
}

TEST_F(ReceiverTest, ARevokedCertificateLosesItsSession) {
  auto stolen = agent_tls();
  AgentLine line(net, receiver, stolen, Purpose::kLog);
  must(line.introduce(agent));
  receiver.ca().revoke("peer1");
  receiver.ca().write_crl();
  ASSERT_TRUE(line.wait_end()) << "the list is looked at every few seconds";
  AgentLine again(net, receiver, stolen, Purpose::kLog);
  EXPECT_FALSE(again.opened.ok());
  AgentLine other(net, receiver, agent_tls(), Purpose::kLog);
  EXPECT_TRUE(other.opened.ok());
}

TEST_F(ReceiverTest, CheckNamesWhatIsWrong) {
  EXPECT_EQ(receiver.command({"check"}).first, 0) << receiver.command({"check"}).second;
  EXPECT_EQ(receiver.stop(), 0);
  std::filesystem::permissions(receiver.directory / "receiver.key", std::filesystem::perms(0644));
  const auto [code, text] = receiver.command({"check"});
  EXPECT_EQ(code, 1);
  EXPECT_NE(text.find("chmod 600"), std::string::npos) << text;
  EXPECT_EQ(receiver.command({"run"}).first, 2) << "a key that others may read is a configuration error";
}

TEST_F(ReceiverTest, TwoReceiversDoNotShareAStore) {
  const auto [code, text] = receiver.command({"run"});
  EXPECT_EQ(code, 75) << text;
}

TEST_F(ReceiverTest, MetricsAndStatusTellWhatIsHeld) {
  AgentLine line(net, receiver, agent_tls(), Purpose::kLog);
  must(line.introduce(agent));
  must(line.open_stream(agent));
  must(line.send_frame(agent.log_frame(5000)));
  ASSERT_TRUE(line.wait_acknowledged(agent.position()));
  const Bytes status = agent.status({{"spool_bytes", 4242}, {"frames_sealed_total", 3}, {"receiver_store_free_bytes", 7}, {"build_info", 8}});
  must(line.send_status(status));
  // Behind the next answer the status was taken.
  must(line.call(MessageType::kQueryDatabase, protocol::encode_database(agent.database), MessageType::kDatabaseState));
  const std::string page = receiver.get("/metrics");
  EXPECT_NE(page.find("stele_receiver_frames_total{site=\"440000\",database=\"registry\"} 1"), std::string::npos) << page;
  EXPECT_NE(page.find("stele_spool_bytes{site=\"440000\",database=\"registry\"} 4242"), std::string::npos);
  EXPECT_NE(page.find("# TYPE stele_frames_sealed_total counter\nstele_frames_sealed_total{site=\"440000\",database=\"registry\"} 3"), std::string::npos) << page;
  EXPECT_EQ(page.find("stele_receiver_store_free_bytes{site"), std::string::npos) << "a site cannot invent series";
  EXPECT_EQ(page.find("stele_build_info{site"), std::string::npos);
  EXPECT_NE(page.find("stele_receiver_ack_latency_seconds_count"), std::string::npos);
  EXPECT_NE(page.find("stele_receiver_certificate_expiry_timestamp_seconds"), std::string::npos);
  EXPECT_NE(page.find("stele_build_info"), std::string::npos);
  const auto [code, table] = receiver.command({"status"});
  EXPECT_EQ(code, 1) << "there is no snapshot: nothing can be restored";
  EXPECT_NE(table.find("nothing can be restored"), std::string::npos) << table;
  EXPECT_NE(table.find("440000/registry"), std::string::npos);
  EXPECT_NE(table.find(agent.position().to_string()), std::string::npos);
}

TEST(Receiver, StopsWhileASessionWaitsForItsSitesRate) {
  ScriptedAgent agent;
  // More than the first MiB waits for many minutes.
  ReceiverProcess receiver(agent, "\n[site.limits]\nbytes_per_second = \"8kbit/s\"\n");
  receiver.start();
  ClientThread net;
  AgentLine line(net, receiver, receiver.identity("stele:agent:440000"), Purpose::kLog);
  must(line.introduce(agent));
  must(line.open_stream(agent));
  for (int i = 0; i < 5; ++i) must(line.send_frame(agent.log_frame(250'000)));
  ASSERT_TRUE(line.wait_acknowledged(agent.position()));
  EXPECT_EQ(receiver.stop(), 0);
}

TEST_F(ReceiverTest, StatusSaysThatTheReceiverIsNotRunning) {
  receiver.kill_hard();
  const auto [code, text] = receiver.command({"status"});
  EXPECT_EQ(code, 75);
  EXPECT_NE(text.find("not running"), std::string::npos);
}

TEST_F(ReceiverTest, ACatalogThatCannotBeOpenedIsSetAsideAndMadeAnew) {
  {
    AgentLine line(net, receiver, agent_tls(), Purpose::kLog);
    must(line.introduce(agent));
    must(line.open_stream(agent));
    must(line.send_frame(agent.log_frame(5000)));
    ASSERT_TRUE(line.wait_acknowledged(agent.position()));
  }
  receiver.kill_hard();
  for (const auto& entry : std::filesystem::directory_iterator(receiver.directory / "catalog")) {
    if (entry.path().filename().string().starts_with("MANIFEST")) std::ofstream(entry.path(), std::ios::trunc) << "rubbish";
  }
  receiver.start();
  EXPECT_TRUE(std::filesystem::exists(receiver.directory / "catalog.broken-1"));
  EXPECT_EQ(must(reader()->query_database(agent.database)).streams.at(0).durable_end, agent.position());
  EXPECT_NE(receiver.get("/metrics").find("stele_receiver_catalog_rebuilds_total 1"), std::string::npos);
  // It opens, and what it says cannot be read.
  receiver.kill_hard();
  {
    auto rocks = must(receiver::open_rocks((receiver.directory / "catalog").string()));
    must(rocks.values->write({{receiver::Change::Kind::kPut, "r440000/registry" + std::string(1, '\0') + "x", "rubbish"}}));
  }
  receiver.start();
  EXPECT_TRUE(std::filesystem::exists(receiver.directory / "catalog.broken-2"));
  EXPECT_EQ(must(reader()->query_database(agent.database)).streams.at(0).durable_end, agent.position());
  EXPECT_NE(receiver.get("/metrics").find("stele_receiver_catalog_rebuilds_total 1"), std::string::npos);
}

TEST_F(ReceiverTest, NothingReadableIsInTheDirectory) {
  AgentLine line(net, receiver, agent_tls(), Purpose::kLog);
  must(line.introduce(agent));
  must(line.open_stream(agent));
  must(line.send_frame(agent.log_frame(50'000)));
  ASSERT_TRUE(line.wait_acknowledged(agent.position()));
  const std::string needle(as_text(ByteView(agent.log()).subspan(1000, 32)));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(receiver.directory)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(content.find(needle), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace stele::test
