#include "agent/snapshot/sender.h"

#include <gtest/gtest.h>

#include "core/format/chunk_seal.h"
#include "tests/support/snapshot/snapshot_rig.h"

namespace stele::agent {
namespace {

using namespace std::chrono_literals;
using test::ScriptedReceiver;
using test::SnapshotRig;

struct SenderTest : testing::Test {
  SnapshotRig rig;
  ScriptedReceiver& receiver = rig.add_receiver("north");
  SnapshotProgress progress;
  std::optional<SnapshotContext> context;
  std::unique_ptr<SnapshotSender> sender;

  SnapshotSender& make(SnapshotSender::Timing timing = quick()) {
    context.emplace(rig.context());
    sender = std::make_unique<SnapshotSender>(*context, context->receivers.at(0), timing, progress);
    return *sender;
  }
  static SnapshotSender::Timing quick() {
    SnapshotSender::Timing t;
    t.patience = t.connect_patience = 20s;
    t.first_pause = 10ms;
    t.longest_pause = 100ms;
    return t;
  }
  OutgoingObject pack(std::size_t chunks, std::size_t chunk_bytes = 1000) {
    format::PackSealer::Options o;
    o.stream = context->stream;
    o.epoch = context->epoch;
    o.epoch_record = context->epoch_record;
    auto sealer = format::PackSealer::begin(o, rig.secrets.data, rig.random);
    format::ChunkNamer namer(crypto::default_suite(), rig.secrets.chunk_name);
    OutgoingObject out;
    for (std::size_t i = 0; i < chunks; ++i) {
      const Bytes raw = rig.random.bytes(chunk_bytes);
      out.names.push_back(namer.name(raw));
      EXPECT_TRUE(sealer->add(out.names.back(), raw).ok());
    }
    out.bytes = sealer->finish(rig.signing).value();
    return out;
  }
};

TEST_F(SenderTest, IntroducesTheAgentBeforeAnythingElse) {
  receiver.set_latest_manifest(rig.random.draw<Digest>());
  auto state = make().database_state();
  ASSERT_TRUE(state.ok()) << state.error().what;
  EXPECT_FALSE(state->latest_manifest.is_zero());
  const auto seen = receiver.seen();
  for (auto kind : {format::RecordKind::kEnrolment, format::RecordKind::kRecipientList, format::RecordKind::kBranch,
                    format::RecordKind::kEpoch}) {
    EXPECT_TRUE(seen.records.contains(kind)) << format::record_kind_name(kind);
  }
}

TEST_F(SenderTest, AsksInTheOrderOfTheNames) {
  make();
  const OutgoingObject sent = pack(3);
  ASSERT_TRUE(sender->put(sent).ok());
  std::vector<ChunkName> names;
  for (int i = 0; i < 21; ++i)
    names.push_back(i % 7 == 0 ? sent.names[static_cast<std::size_t>(i / 7)] : rig.random.draw<ChunkName>());
  auto known = sender->known(names);
  ASSERT_TRUE(known.ok()) << known.error().what;
  for (std::size_t i = 0; i < known->size(); ++i) EXPECT_EQ((*known)[i], i % 7 == 0) << i;
}

TEST_F(SenderTest, SendsAPackAgainThatWasLostWithTheLine) {
  make();
  receiver.cut_before_stored = 1;
  ASSERT_TRUE(sender->put(pack(5)).ok());
  EXPECT_EQ(receiver.seen().packs, 1u);
  EXPECT_EQ(receiver.seen().connections, 2u);
  EXPECT_EQ(progress.reconnects, 1u);
}

TEST_F(SenderTest, DoesNotSendAPackAgainWhoseAnswerWasLost) {
  make();
  receiver.cut_after_stored = 1;
  const OutgoingObject sent = pack(5);
  ASSERT_TRUE(sender->put(sent).ok());
  EXPECT_EQ(receiver.seen().packs, 1u);
  EXPECT_EQ(progress.sent_bytes, sent.bytes.size());
}

TEST_F(SenderTest, AFullSnapshotSendsAgainWhatTheReceiverSaysItHolds) {
  make().distrust();
  receiver.cut_before_stored = 1;
  const OutgoingObject sent = pack(5);
  for (const ChunkName& name : sent.names) receiver.claim(name);  // an older copy, perhaps a rotten one
  ASSERT_TRUE(sender->put(sent).ok());
  EXPECT_EQ(receiver.seen().packs, 1u) << "the line broke before it was stored, so it was sent again";
}

TEST_F(SenderTest, GoesOnWhenTheReceiverComesBack) {
  make();
  ASSERT_TRUE(sender->put(pack(1)).ok());
  receiver.go_away();
  std::thread later([&] {
    std::this_thread::sleep_for(300ms);
    ASSERT_TRUE(receiver.start_again().ok());
  });
  EXPECT_TRUE(sender->put(pack(1)).ok());
  later.join();
  EXPECT_EQ(receiver.seen().packs, 2u);
}

TEST_F(SenderTest, GivesUpWithTemporaryAfterItsPatience) {
  auto timing = quick();
  timing.patience = 200ms;
  make(timing);
  ASSERT_TRUE(sender->database_state().ok());
  receiver.go_away();
  const Status sent = sender->put(pack(1));
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, ErrorCode::kTemporary);
  EXPECT_NE(sent.error().what.find("north"), std::string::npos);
}

TEST_F(SenderTest, DoesNotRepeatWhatTheReceiverRefuses) {
  make();
  receiver.refuse_packs = true;
  const Status sent = sender->put(pack(1));
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, ErrorCode::kUnauthorised);
  EXPECT_EQ(receiver.seen().connections, 1u);
}

TEST_F(SenderTest, WaitsForALimitOfQueriesWithoutANewConnection) {
  make();
  receiver.limited_queries = 3;
  ASSERT_TRUE(sender->known({rig.random.draw<ChunkName>()}).ok());
  EXPECT_EQ(receiver.seen().queries, 4u);
  EXPECT_EQ(receiver.seen().connections, 1u);
}

TEST_F(SenderTest, NeverSendsMoreThanTheCreditFromManyThreads) {
  receiver.credit = 300 << 10;
  make();
  std::vector<OutgoingObject> packs;
  for (int i = 0; i < 12; ++i) packs.push_back(pack(1, 200'000));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = static_cast<std::size_t>(t); i < packs.size(); i += 4)
        EXPECT_TRUE(sender->put(packs[i]).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(receiver.seen().packs, 12u);
  EXPECT_EQ(receiver.seen().protocol_error, "");
}

TEST_F(SenderTest, KeepsToTheBandwidth) {
  rig.plan = config::BandwidthPlan({}, 2'000'000, {});
  make();
  ASSERT_TRUE(sender->database_state().ok());
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(sender->put(pack(2, 500'000)).ok());
  EXPECT_GT(std::chrono::steady_clock::now() - begun, 850ms) << "2 MB at 2 MB/s";
}

TEST_F(SenderTest, StopEndsACallThatWaits) {
  rig.plan = config::BandwidthPlan({}, 50'000, {});  // it would take minutes
  make();
  ASSERT_TRUE(sender->database_state().ok());
  std::thread stopper([&] {
    std::this_thread::sleep_for(100ms);
    sender->stop();
  });
  const Status sent = sender->put(pack(10, 1'000'000));
  stopper.join();
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace stele::agent
