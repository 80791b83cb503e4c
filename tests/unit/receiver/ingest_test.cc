#include <gtest/gtest.h>

#include "receiver/ingest/stream_ingest.h"
#include "tests/support/agent/scripted_agent.h"

namespace stele::receiver {
namespace {

using test::ScriptedAgent;

/// A ledger and a judge for one scripted agent.
struct Judge {
  explicit Judge(ScriptedAgent& a, std::size_t max_unsigned = protocol::kMaxUnsignedBytes) : agent(a), held(a.stream), max(max_unsigned) { begin(); }
  void begin() {
    ingest.emplace(agent.stream, agent.generation, [this](const format::FrameHeader&) -> Result<const crypto::VerifyKey*> { return &agent.key.verify_key(); }, max);
  }
  Result<IngestVerdict> send(const format::Frame& frame) {
    auto parsed = format::parse_frame(frame.encode());
    if (!parsed.ok()) return parsed.error();
    auto verdict = ingest->accept(std::move(*parsed), held);
    if (verdict.ok()) {
      for (const format::Frame& f : verdict->store) held.add_frame(f.header(), f.head());
    }
    return verdict;
  }
  ErrorCode refusal(const format::Frame& frame) {
    auto verdict = send(frame);
    return verdict.ok() ? ErrorCode{} : verdict.error().code;
  }
  ScriptedAgent& agent;
  StreamLedger held;
  std::size_t max;
  std::optional<StreamIngest> ingest;
};

format::Frame copy(const format::Frame& frame) { return *format::parse_frame(frame.encode()); }

TEST(StreamIngest, AcknowledgesOnlySignedFramesAndStoresTheBatchTogether) {
  ScriptedAgent agent;
  Judge judge(agent);
  auto first = judge.send(agent.log_frame(1000, false));
  ASSERT_TRUE(first.ok()) << first.error().to_string();
  EXPECT_FALSE(first->ack);
  EXPECT_TRUE(first->store.empty());
  auto second = judge.send(agent.log_frame(1000, true));
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(second->ack);
  EXPECT_EQ(second->ack->end, agent.position());
  EXPECT_EQ(second->ack->frame, 1u);
  EXPECT_EQ(second->store.size(), 2u);
  EXPECT_EQ(judge.held.state().durable_end, agent.position());
  EXPECT_EQ(judge.held.state().stored_begin, agent.log_begin());
}

TEST(StreamIngest, RefusesAnotherSigner) {
  ScriptedAgent agent;
  Judge judge(agent);
  format::Frame frame = agent.log_frame(100, false);
  auto thief = crypto::SigningKey::generate(crypto::default_suite(), agent.random);
  format::sign_batch(frame, thief);
  EXPECT_EQ(judge.refusal(frame), ErrorCode::kForged);
}

TEST(StreamIngest, RefusesAnotherStream) {
  ScriptedAgent agent;
  Judge judge(agent);
  agent.begin_branch();
  EXPECT_EQ(judge.refusal(agent.log_frame(100)), ErrorCode::kProtocol);
}

TEST(StreamIngest, RefusesAGenerationAboveTheSessions) {
  ScriptedAgent agent;
  Judge judge(agent);
  agent.generation = {2};
  agent.begin_object();
  EXPECT_EQ(judge.refusal(agent.log_frame(100)), ErrorCode::kSuperseded);
}

TEST(StreamIngest, TakesFramesOfEarlierGenerationsFromTheSpool) {
  ScriptedAgent agent;
  format::Frame old = agent.log_frame(100);
  agent.generation = {2};
  Judge judge(agent);
  EXPECT_TRUE(judge.send(old).ok());
}

TEST(StreamIngest, RefusesAMissingFrameInAnObject) {
  ScriptedAgent agent;
  Judge judge(agent);
  ASSERT_TRUE(judge.send(agent.log_frame(100)).ok());
  agent.log_frame(100);
  EXPECT_EQ(judge.refusal(agent.log_frame(100)), ErrorCode::kDamaged);
}

TEST(StreamIngest, RefusesAReplayedFrameInsideASession) {
  ScriptedAgent agent;
  Judge judge(agent);
  format::Frame frame = agent.log_frame(100);
  ASSERT_TRUE(judge.send(frame).ok());
  EXPECT_EQ(judge.refusal(frame), ErrorCode::kDamaged);
}

TEST(StreamIngest, AcknowledgesButDoesNotStoreWhatAReconnectSendsAgain) {
  ScriptedAgent agent;
  Judge judge(agent);
  std::vector<format::Frame> frames;
  for (int i = 0; i < 4; ++i) frames.push_back(agent.log_frame(100));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(judge.send(frames[i]).ok());
  judge.begin();
  for (int i = 0; i < 3; ++i) {
    auto again = judge.send(frames[i]);
    ASSERT_TRUE(again.ok()) << again.error().to_string();
    EXPECT_TRUE(again->store.empty());
    EXPECT_TRUE(again->ack);
  }
  auto fresh = judge.send(frames[3]);
  ASSERT_TRUE(fresh.ok());
  EXPECT_EQ(fresh->store.size(), 1u);
}

TEST(StreamIngest, GoesOnInTheMiddleOfAHeldObject) {
  ScriptedAgent agent;
  Judge judge(agent);
  ASSERT_TRUE(judge.send(agent.log_frame(100)).ok());
  judge.begin();
  auto next = judge.send(agent.log_frame(100));
  ASSERT_TRUE(next.ok()) << next.error().to_string();
  EXPECT_EQ(next->store.size(), 1u);
}

TEST(StreamIngest, RefusesToBeginInTheMiddleOfAnUnknownObject) {
  ScriptedAgent agent;
  Judge judge(agent);
  agent.log_frame(100);
  EXPECT_EQ(judge.refusal(agent.log_frame(100)), ErrorCode::kProtocol);
}

TEST(StreamIngest, ShowsAGapAndGoesOn) {
  ScriptedAgent agent;
  Judge judge(agent);
  ASSERT_TRUE(judge.send(agent.log_frame(100)).ok());
  const Position end = agent.position();
  agent.skip(5000);
  auto verdict = judge.send(agent.log_frame(100));
  ASSERT_TRUE(verdict.ok());
  ASSERT_TRUE(verdict->gap);
  EXPECT_EQ(verdict->gap->begin, end);
  EXPECT_EQ(verdict->gap->end, end + 5000);
  EXPECT_EQ(judge.held.state().stored_begin, end + 5000);
  EXPECT_FALSE(judge.held.ranges().covers({agent.log_begin(), agent.position()}));
}

TEST(StreamIngest, OverlapOfTheSameHistoryIsLegal) {
  ScriptedAgent agent;
  Judge judge(agent);
  ASSERT_TRUE(judge.send(agent.log_frame(1000)).ok());
  ASSERT_TRUE(judge.send(agent.log_frame(1000)).ok());
  agent.seek(agent.log_begin() + 1000);
  EXPECT_TRUE(judge.send(agent.log_frame(1000)).ok());
}

TEST(StreamIngest, AnotherHistoryAtAJoinPointIsAFork) {
  ScriptedAgent agent;
  Judge judge(agent);
  ASSERT_TRUE(judge.send(agent.log_frame(1000)).ok());
  agent.begin_object();
  agent.rewrite_history();
  agent.begin_object();
  EXPECT_EQ(judge.refusal(agent.log_frame(1000)), ErrorCode::kFork);
}

TEST(StreamIngest, AForkInsideAnOverlapIsSeenAtTheNextCommonEnd) {
  ScriptedAgent agent;
  Judge judge(agent);
  ASSERT_TRUE(judge.send(agent.log_frame(1000)).ok());
  ASSERT_TRUE(judge.send(agent.log_frame(1000)).ok());
  agent.seek(agent.log_begin());
  agent.begin_object();
  agent.rewrite_history();
  EXPECT_EQ(judge.refusal(agent.log_frame(1000)), ErrorCode::kFork);
}

TEST(StreamIngest, BoundsWhatIsNotSigned) {
  ScriptedAgent agent;
  Judge judge(agent, 3000);
  ASSERT_TRUE(judge.send(agent.log_frame(1000, false)).ok());
  EXPECT_EQ(judge.refusal(agent.log_frame(4000, false)), ErrorCode::kProtocol);
}

TEST(StreamIngest, ANewObjectMustNotLeaveUnsignedFramesBehind) {
  ScriptedAgent agent;
  Judge judge(agent);
  ASSERT_TRUE(judge.send(agent.log_frame(100, false)).ok());
  agent.begin_object();
  EXPECT_EQ(judge.refusal(agent.log_frame(100)), ErrorCode::kProtocol);
}

TEST(StreamIngest, EveryFlippedByteIsRefused) {
  ScriptedAgent agent;
  format::Frame frame = agent.log_frame(40);
  const Bytes good = frame.encode();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Judge judge(agent);
    Bytes bad = good;
    bad[i] ^= 0x20;
    auto parsed = format::parse_frame(bad);
    if (!parsed.ok()) continue;
    EXPECT_FALSE(judge.send(*parsed).ok()) << "byte " << i;
  }
}

TEST(StreamIngest, EveryCutLosesNothingThatWasAcknowledged) {
  ScriptedAgent agent(DatabaseName{"440000", "registry"}, 7);
  std::vector<format::Frame> frames;
  for (int i = 0; i < 3; ++i) {
    frames.push_back(agent.log_frame(50, i != 1));
  }
  frames.push_back(agent.index_frame());
  frames.push_back(agent.log_frame(30));
  Bytes line;
  for (const format::Frame& f : frames) f.encode_to(line);
  for (std::size_t cut = 0; cut <= line.size(); ++cut) {
    Judge judge(agent);
    Position acknowledged;
    ByteView rest = ByteView(line).first(cut);
    for (;;) {
      std::size_t used = 0;
      auto frame = format::parse_frame(rest, used);
      if (!frame.ok()) break;
      rest = rest.subspan(used);
      auto verdict = judge.send(*frame);
      ASSERT_TRUE(verdict.ok()) << verdict.error().to_string();
      if (verdict->ack) acknowledged = verdict->ack->end;
    }
    ASSERT_EQ(judge.held.state().durable_end, acknowledged) << "cut after " << cut;
    // The next session sends everything again and arrives at the same end.
    judge.begin();
    for (const format::Frame& f : frames) ASSERT_TRUE(judge.send(copy(f)).ok()) << "cut after " << cut;
    ASSERT_EQ(judge.held.state().durable_end, agent.position());
    ASSERT_TRUE(judge.held.ranges().covers({agent.log_begin(), agent.position()}));
  }
}

TEST(StreamIngest, WhatWasLostIsStoredAgainWithTheSignatureThatCoversIt) {
  ScriptedAgent agent;
  Judge judge(agent);
  std::vector<format::Frame> frames;
  for (int i = 0; i < 6; ++i) frames.push_back(agent.log_frame(100, i != 3));
  for (const format::Frame& f : frames) ASSERT_TRUE(judge.send(f).ok());
  // Frame 3, whose signature comes with frame 4.
  judge.held.lose({frames[3].header().object, 3, 3, {frames[3].header().start, frames[3].header().end}}, ObjectProgress{frames[2].header(), frames[2].head()});
  EXPECT_FALSE(judge.held.holds(frames[3].header().object, 3));
  EXPECT_TRUE(judge.held.holds(frames[3].header().object, 4));
  EXPECT_FALSE(judge.held.ranges().covers({agent.log_begin(), agent.position()}));
  judge.begin();
  std::vector<std::uint32_t> stored;
  for (const format::Frame& f : frames) {
    auto verdict = judge.send(f);
    ASSERT_TRUE(verdict.ok()) << verdict.error().to_string();
    for (const format::Frame& s : verdict->store) stored.push_back(s.header().number);
  }
  EXPECT_EQ(stored, (std::vector<std::uint32_t>{3, 4}));
  EXPECT_TRUE(judge.held.ranges().covers({agent.log_begin(), agent.position()}));
}

TEST(StreamLedger, LosingTheEndGoesBackToTheFrameBefore) {
  ScriptedAgent agent;
  Judge judge(agent);
  std::vector<format::Frame> frames;
  for (int i = 0; i < 3; ++i) frames.push_back(agent.log_frame(100));
  for (const format::Frame& f : frames) ASSERT_TRUE(judge.send(f).ok());
  const LostFrames end{frames[2].header().object, 2, 2, {frames[2].header().start, frames[2].header().end}};
  judge.held.lose(end, ObjectProgress{frames[1].header(), frames[1].head()});
  EXPECT_EQ(judge.held.state().durable_end, frames[1].header().end);
  EXPECT_EQ(judge.held.state().frame, 1u);
  judge.begin();
  EXPECT_EQ(judge.send(frames[2])->store.size(), 1u) << "it goes on behind what is held";
}

TEST(RangeSet, RemovesInAnyOrder) {
  test::SeededRandom random(12);
  for (int round = 0; round < 200; ++round) {
    RangeSet set;
    std::vector<bool> bytes(64);
    for (int i = 0; i < 16; ++i) {
      const std::uint64_t a = random.below(64), b = a + random.below(64 - a + 1);
      const bool add = random.below(2) == 0;
      if (add) set.add({{a}, {b}});
      else set.remove({{a}, {b}});
      for (std::uint64_t p = a; p < b; ++p) bytes[p] = add;
    }
    for (std::uint64_t p = 0; p < 64; ++p) EXPECT_EQ(set.covers({{p}, {p + 1}}), bytes[p]) << "round " << round << ", " << p;
  }
}

TEST(RangeSet, MergesWhatTouchesInAnyOrder) {
  test::SeededRandom random(11);
  for (int round = 0; round < 200; ++round) {
    RangeSet set;
    std::vector<bool> bytes(64);
    for (int i = 0; i < 12; ++i) {
      const std::uint64_t a = random.below(64), b = a + random.below(64 - a + 1);
      set.add({{a}, {b}});
      for (std::uint64_t p = a; p < b; ++p) bytes[p] = true;
    }
    std::uint64_t covered = 0;
    Position last_end;
    for (const PositionRange& r : set.ranges()) {
      EXPECT_TRUE(covered == 0 || r.begin > last_end);
      last_end = r.end;
      covered += r.size();
    }
    EXPECT_EQ(covered, static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), true)));
    for (int i = 0; i < 40; ++i) {
      const std::uint64_t a = random.below(63), b = a + 1 + random.below(63 - a);
      bool all = true;
      for (std::uint64_t p = a; p < b; ++p) all = all && bytes[p];
      EXPECT_EQ(set.covers({{a}, {b}}), all);
    }
  }
}

}  // namespace
}  // namespace stele::receiver
