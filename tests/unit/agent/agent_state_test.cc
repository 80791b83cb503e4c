#include "agent/spool/agent_state.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "agent/uplink/retry_policy.h"
#include "core/crypto/hash.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

AgentFacts sample(std::uint64_t seed) {
  test::SeededRandom random(seed);
  AgentFacts f;
  f.generation = {random.u64()};
  f.enrolment = random.draw<Digest>();
  f.current = random.draw<StreamId>();
  f.next_fact_serial = 17;
  f.branches = {{random.draw<StreamId>(), {100}, random.draw<JoinTag>(), true}, {*f.current, {200}, {}, false}};
  f.released = ReleasedLog{*f.current, {180}};
  f.lacking["zhuhai"] = {*f.current, {120}};
  f.receivers["shenzhen"] = {*f.current, {150}, random.draw<Digest>()};
  return f;
}

void expect_same(const AgentFacts& a, const AgentFacts& b) { EXPECT_EQ(to_hex(a.encode()), to_hex(b.encode())); }

TEST(AgentFacts, SurviveEncoding) {
  const AgentFacts f = sample(1);
  const auto back = AgentFacts::decode(f.encode());
  ASSERT_TRUE(back.ok());
  expect_same(*back, f);
  EXPECT_EQ(back->receivers.at("shenzhen"), f.receivers.at("shenzhen"));
  EXPECT_EQ(back->current, f.current);
  EXPECT_EQ(back->lacking, f.lacking);
}

TEST(AgentFacts, OlderVersionsAreStillRead) {
  AgentFacts f = sample(3);
  f.lacking.clear();
  std::size_t newer = 4;  // bytes that the version does not have
  for (const std::uint8_t version : {2, 1}) {
    if (version == 1) {
      f.released.reset();
      newer += 1 + 32 + 8;
    }
    Bytes old = f.encode();
    old.resize(old.size() - Digest::kSize - newer);
    old[4] = version;
    const Digest sum = crypto::sha256(old);
    old.insert(old.end(), sum.view().begin(), sum.view().end());
    const auto back = AgentFacts::decode(old);
    ASSERT_TRUE(back.ok()) << back.error().to_string();
    expect_same(*back, f);
  }
}

TEST(AgentFacts, EveryFlippedByteAndEveryCutIsDamage) {
  const Bytes good = sample(2).encode();
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 0x20;
    auto read = AgentFacts::decode(bad);
    ASSERT_FALSE(read.ok()) << i;
    EXPECT_EQ(read.error().code, ErrorCode::kDamaged) << i;
    EXPECT_FALSE(AgentFacts::decode(ByteView(good).first(i)).ok()) << i;
  }
}

struct AgentStateTest : testing::Test {
  test::FaultFileSystem fs{2};
  std::unique_ptr<AgentState> open() {
    auto state = AgentState::open(fs, "/spool/state");
    EXPECT_TRUE(state.ok());
    return std::move(*state);
  }
};

TEST_F(AgentStateTest, AFirstStartIsEmptyAndASecondIsNot) {
  auto state = open();
  EXPECT_TRUE(state->was_empty());
  ASSERT_TRUE(state->update([](AgentFacts& f) { f.generation = {4}; }).ok());
  state = open();
  EXPECT_FALSE(state->was_empty());
  EXPECT_EQ(state->facts().generation, Generation{4});
}

TEST_F(AgentStateTest, ADamagedFileStopsTheAgentAndSaysWhatToDo) {
  ASSERT_TRUE(open()->update([](AgentFacts& f) { f = sample(3); }).ok());
  ASSERT_TRUE(fs.flip("/spool/state/agent.state", 40));
  auto state = AgentState::open(fs, "/spool/state");
  ASSERT_FALSE(state.ok());
  EXPECT_EQ(state.error().code, ErrorCode::kDamaged);
  EXPECT_FALSE(state.error().hint.empty());
}

TEST_F(AgentStateTest, AFailedUpdateChangesNothing) {
  auto state = open();
  ASSERT_TRUE(state->update([](AgentFacts& f) { f.generation = {4}; }).ok());
  fs.fail_operation(1, ENOSPC, true);
  EXPECT_FALSE(state->update([](AgentFacts& f) { f.generation = {5}; }).ok());
  EXPECT_EQ(state->facts().generation, Generation{4});
}

TEST_F(AgentStateTest, ACrashAtEveryStepLeavesTheOldOrTheNewFactsNeverLess) {
  for (const auto how : {test::FaultFileSystem::Crash::kDropUnsynced, test::FaultFileSystem::Crash::kKeepSome}) {
    for (std::uint64_t step = 1; step < 30; ++step) {
      const std::string directory = "/state" + std::to_string(step) + (how == test::FaultFileSystem::Crash::kKeepSome ? "k" : "d");
      auto state = AgentState::open(fs, directory).value();
      ASSERT_TRUE(state->update([](AgentFacts& f) { f = sample(5); }).ok());
      fs.fail_operation(step, EIO, true);
      const bool written = state->update([](AgentFacts& f) { f = sample(6); }).ok();
      fs.crash(how);
      auto after = AgentState::open(fs, directory);
      ASSERT_TRUE(after.ok()) << step << after.error().to_string();
      const Bytes found = (*after)->facts().encode();
      if (written) {
        expect_same((*after)->facts(), sample(6));
      } else {
        EXPECT_TRUE(found == sample(5).encode() || found == sample(6).encode()) << step;
      }
    }
  }
}

TEST(RetryPolicy, GrowsToItsLongestAndForgetsAfterALongSession) {
  RetryPolicy retry;
  const Error lost{ErrorCode::kClosed, "", ""};
  Duration last{};
  for (int i = 0; i < 20; ++i) {
    const Duration next = retry.after(lost, Duration(0));
    EXPECT_GE(next, last);
    last = next;
  }
  EXPECT_EQ(retry.after(lost, Duration(0)), last);
  EXPECT_LT(retry.after(lost, std::chrono::minutes(5)), last);
}

TEST(RetryPolicy, WhatNeedsAPersonIsNotHammered) {
  RetryPolicy retry;
  for (const ErrorCode code : {ErrorCode::kSuperseded, ErrorCode::kUnauthorised, ErrorCode::kForged, ErrorCode::kUnsupported}) {
    EXPECT_TRUE(RetryPolicy::needs_a_person({code, "", ""}));
    EXPECT_GE(retry.after({code, "", ""}, Duration(0)), std::chrono::seconds(10));
  }
  EXPECT_FALSE(RetryPolicy::needs_a_person({ErrorCode::kTimeout, "", ""}));
}

}  // namespace
}  // namespace stele::agent
