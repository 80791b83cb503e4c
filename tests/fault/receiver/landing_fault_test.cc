#include <gtest/gtest.h>

#include <cerrno>

#include "core/format/object_names.h"
#include "tests/support/receiver/keeper_rig.h"

namespace stele::receiver {
namespace {

using test::KeeperRig;
using test::must;
using test::ScriptedAgent;
using Crash = test::FaultFileSystem::Crash;

/// What one run of the script acknowledged before the disk failed.
struct Outcome {
  Position acknowledged;
  bool committed = false;
  bool failed = false;
};

/// One session: frames, a pack, sealing, a snapshot, more frames. Stops at the first refusal, as an agent would.
Outcome play(KeeperRig& rig, ScriptedAgent& agent) {
  Outcome out;
  out.acknowledged = agent.log_begin();
  auto frame = [&](format::Frame f) {
    auto sent = rig.send(std::move(f));
    if (sent.ok() && *sent) out.acknowledged = (*sent)->end;
    return sent.ok();
  };
  auto script = [&]() -> bool {
    if (!rig.put_trust(agent).ok() || !rig.open(agent).ok()) return false;
    for (int i = 0; i < 3; ++i) {
      if (!frame(agent.log_frame(20'000, i != 0))) return false;
    }
    auto pack = agent.pack(2);
    if (!rig.keeper().put_packs({{&rig.database(), pack.bytes}})[0].ok()) return false;
    if (!rig.keeper().seal_all(rig.database()).ok()) return false;
    if (!frame(agent.log_frame(30'000))) return false;
    auto list = rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names));
    if (!list.ok()) return false;
    auto committed = rig.commit(agent.manifest({*list}, 2, {agent.log_begin(), out.acknowledged}));
    if (!committed.ok()) return false;
    out.committed = std::holds_alternative<Digest>(*committed);
    if (!frame(agent.index_frame())) return false;
    if (!rig.keeper().seal_due().ok()) return false;
    return frame(agent.log_frame(10'000));
  };
  out.failed = !script();
  return out;
}

void check_after(KeeperRig& rig, ScriptedAgent& agent, const Outcome& outcome, const std::string& when) {
  ASSERT_GE(rig.readable_end(agent), outcome.acknowledged.value) << when << ": a reader of the store directory";
  Status started = rig.start(false);
  ASSERT_TRUE(started.ok()) << when << ": " << started.error().to_string();
  EXPECT_EQ(rig.keeper().damages(), 0u) << when;
  const protocol::DatabaseState state = rig.keeper().state(rig.database());
  const Position held = state.streams.empty() ? agent.log_begin() : state.streams[0].durable_end;
  ASSERT_GE(held, outcome.acknowledged) << when << ": what the receiver says it holds";
  ASSERT_GE(rig.readable_end(agent), held.value) << when;
  if (outcome.committed) {
    ASSERT_FALSE(state.latest_manifest.is_zero()) << when;
  }
  // It goes on: sealing works, and the agent's next object is taken.
  ASSERT_TRUE(rig.keeper().seal_everything().ok()) << when;
  ASSERT_GE(rig.readable_end(agent), held.value) << when;
  if (rig.put_trust(agent).ok()) {
    must(rig.open(agent));
    agent.seek(outcome.acknowledged);
    auto sent = rig.send(agent.log_frame(1000));
    ASSERT_TRUE(sent.ok()) << when << ": " << sent.error().to_string();
  }
}

std::uint64_t operations_of_a_good_run(std::uint64_t& at_start) {
  ScriptedAgent agent;
  KeeperRig rig(agent);
  must(rig.start());
  at_start = rig.fs.operations();
  const Outcome outcome = play(rig, agent);
  EXPECT_FALSE(outcome.failed);
  EXPECT_TRUE(outcome.committed);
  return rig.fs.operations() - at_start;
}

class LandingFault : public testing::TestWithParam<Crash> {};

TEST_P(LandingFault, EveryAcknowledgedPositionSurvivesEveryFailingOperationAndACrash) {
  std::uint64_t at_start = 0;
  const std::uint64_t operations = operations_of_a_good_run(at_start);
  ASSERT_GT(operations, 50u);
  for (std::uint64_t n = 1; n <= operations; ++n) {
    ScriptedAgent agent;
    KeeperRig rig(agent, n);
    must(rig.start());
    rig.fs.fail_operation(n, n % 2 == 0 ? EIO : ENOSPC);
    const Outcome outcome = play(rig, agent);
    rig.crash(GetParam());
    check_after(rig, agent, outcome, "operation " + std::to_string(n));
    if (HasFatalFailure()) return;
  }
}

TEST_P(LandingFault, EveryAcknowledgedPositionSurvivesADiskThatDiesForGood) {
  std::uint64_t at_start = 0;
  const std::uint64_t operations = operations_of_a_good_run(at_start);
  for (std::uint64_t n = 1; n <= operations; n += 3) {
    ScriptedAgent agent;
    KeeperRig rig(agent, n);
    must(rig.start());
    rig.fs.fail_operation(n, EIO, true);
    const Outcome outcome = play(rig, agent);
    rig.crash(GetParam());
    check_after(rig, agent, outcome, "disk dead from operation " + std::to_string(n));
    if (HasFatalFailure()) return;
  }
}

TEST_P(LandingFault, RecoveryItselfMayFailAnywhereAndBeTriedAgain) {
  ScriptedAgent script;
  KeeperRig reference(script);
  must(reference.start());
  ASSERT_FALSE(play(reference, script).failed);
  reference.crash(GetParam());
  const std::uint64_t before = reference.fs.operations();
  must(reference.start(false));
  const std::uint64_t operations = reference.fs.operations() - before;
  for (std::uint64_t n = 1; n <= operations; n += 2) {
    ScriptedAgent agent;
    KeeperRig rig(agent, n);
    must(rig.start());
    const Outcome outcome = play(rig, agent);
    rig.crash(GetParam());
    rig.fs.fail_operation(n, EIO);
    (void)rig.start(false);
    rig.crash(GetParam());
    check_after(rig, agent, outcome, "operation " + std::to_string(n) + " of the recovery");
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Crashes, LandingFault, testing::Values(Crash::kDropUnsynced, Crash::kKeepSome, Crash::kProcessOnly),
                         [](const auto& info) {
                           switch (info.param) {
                             case Crash::kDropUnsynced: return "DropUnsynced";
                             case Crash::kKeepSome: return "KeepSome";
                             default: return "ProcessOnly";
                           }
                         });

TEST(Landing, DamageIsNeverForgottenWhateverOperationFailsWhileItIsTold) {
  bool happened = true;
  for (std::uint64_t n = 1; happened; ++n) {
    ScriptedAgent agent;
    KeeperRig rig(agent, n);
    must(rig.start());
    must(rig.put_trust(agent));
    must(rig.open(agent));
    must(rig.send(agent.log_frame(5'000)));
    must(rig.keeper().seal_everything());
    const std::string run = must(rig.store().list(format::log_prefix(agent.database, agent.stream))).at(0).name;
    for (int i = 0; i < 6; ++i) must(rig.send(agent.log_frame(20'000)));
    must(rig.store().remove(run));
    rig.stop();
    for (const auto& entry : must(rig.fs.list_directory("/store/journal"))) {
      if (entry.name.ends_with("1.journal")) ASSERT_TRUE(rig.fs.flip("/store/journal/" + entry.name, 8192 + 4096 * 2 + 30'000));
    }
    rig.fs.fail_operation(n, n % 2 == 0 ? EIO : ENOSPC, n % 3 == 0);
    if (rig.start().ok()) (void)rig.keeper().seal_everything();
    happened = rig.fs.failure_happened();
    rig.fs.fail_operation(0, 0);
    rig.crash(Crash::kDropUnsynced);
    must(rig.start());
    bool journal = false, object = false;
    for (const format::Fact& fact : rig.database().trust.facts()) {
      journal = journal || fact.note.find("journal") != std::string::npos;
      object = object || fact.note.find(run) != std::string::npos;
    }
    EXPECT_TRUE(journal && object) << "operation " << n;
    if (HasFailure()) return;
  }
}

TEST(Landing, RotInTheJournalIsReportedAndTheRestIsKept) {
  ScriptedAgent agent;
  KeeperRig rig(agent);
  must(rig.start());
  must(rig.put_trust(agent));
  must(rig.open(agent));
  for (int i = 0; i < 6; ++i) must(rig.send(agent.log_frame(20'000)));
  rig.stop();
  // The middle of the first journal file.
  bool flipped = false;
  for (const auto& entry : must(rig.fs.list_directory("/store/journal"))) {
    if (!flipped && entry.name != "lock") flipped = rig.fs.flip("/store/journal/" + entry.name, 8192 + 30'000);
  }
  ASSERT_TRUE(flipped);
  must(rig.start());
  EXPECT_GE(rig.keeper().damages(), 1u);
  ASSERT_FALSE(rig.database().trust.facts().empty());
  EXPECT_EQ(rig.database().trust.facts()[0].kind, format::FactKind::kDamage);
  EXPECT_TRUE(rig.keeper().seal_everything().ok());
  rig.stop();
  must(rig.start());
  EXPECT_FALSE(rig.database().trust.facts().empty());
}

}  // namespace
}  // namespace stele::receiver
