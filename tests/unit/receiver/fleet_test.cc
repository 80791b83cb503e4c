#include "receiver/status/fleet_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "receiver/status/report.h"
#include "tests/support/receiver/keeper_rig.h"

namespace stele::receiver {
namespace {

using test::KeeperRig;
using test::must;
using test::ScriptedAgent;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

std::vector<std::string> codes(const DatabaseStatus& d) {
  std::vector<std::string> out;
  for (const Reason& r : d.reasons) out.push_back(r.code);
  return out;
}

struct FleetTest : testing::Test {
  ScriptedAgent agent;
  KeeperRig rig{agent};
  bool connected = true;
  std::unique_ptr<FleetWatch> watch;
  std::map<std::string, double> words = {{"streaming", 1}, {"lag_bytes", 0}, {"rpo_target_seconds", 30}, {"receivers_configured", 1}, {"receivers_connected", 1},
                                         {"quorum", 1}, {"snapshot_interval_target_seconds", 86400}, {"window_target_seconds", 7 * 86400}};

  void SetUp() override {
    must(rig.start());
    must(rig.put_trust(agent));
    must(rig.open(agent));
    FleetWatch::Options options;
    options.receiver = "shaoguan";
    options.survey_share = 0;
    options.titles["440000"] = "广东";
    options.connected = [this](const DatabaseName&) { return connected; };
    watch = std::make_unique<FleetWatch>(rig.keeper(), rig.catalog(), options);
  }
  /// The receiver's clock is the source's, and the agent has just spoken.
  void speak() {
    rig.clock.micros = agent.clock.micros;
    must(rig.keeper().put_status(rig.database(), agent.status(words)));
  }
  void snapshot(Position start) {
    const auto pack = agent.pack(3);
    for (auto& result : rig.keeper().put_packs({{&rig.database(), pack.bytes}})) must(std::move(result));
    const Digest list = must(rig.keeper().put_list(rig.database(), ScriptedAgent::list(pack.names)));
    must(rig.commit(agent.manifest({list}, pack.names.size(), {start, agent.position()})));
  }
  DatabaseStatus look() {
    must(watch->tick(rig.clock.now()));
    return must_have(watch->status_of(agent.database, rig.clock.now()));
  }
  static DatabaseStatus must_have(std::optional<DatabaseStatus> d) {
    if (!d) throw std::runtime_error("no such database");
    return *d;
  }
};

TEST_F(FleetTest, WithoutASnapshotNothingCanBeRestored) {
  must(rig.send(agent.log_frame(3000)));
  speak();
  const DatabaseStatus d = look();
  EXPECT_EQ(d.level, Level::kCritical);
  EXPECT_THAT(codes(d), Contains("nothing_restorable"));
  EXPECT_FALSE(d.rpo_seconds);
  EXPECT_TRUE(d.recoverable_to.is_none());
}

TEST_F(FleetTest, TheWindowReachesWhatIsAcknowledgedSealedOrNot) {
  const Position start = agent.position();
  must(rig.send(agent.log_frame(3000)));
  snapshot(start);
  speak();
  DatabaseStatus d = look();
  EXPECT_EQ(d.level, Level::kOk) << testing::PrintToString(codes(d));
  EXPECT_EQ(d.rpo_seconds, 0.0);
  EXPECT_EQ(d.title, "广东");
  ASSERT_EQ(d.windows.size(), 1u);
  EXPECT_EQ(d.windows[0].to.position, agent.position());
  const Timestamp before = d.recoverable_to;
  // More log: no survey is needed for the end to move.
  must(rig.send(agent.log_frame(3000)));
  d = must_have(watch->status_of(agent.database, rig.clock.now()));
  EXPECT_EQ(d.windows[0].to.position, agent.position());
  EXPECT_GT(d.recoverable_to, before);
  must(rig.keeper().seal_all(rig.database()));
  rig.clock.advance(11min);
  d = look();
  EXPECT_EQ(d.windows[0].to.position, agent.position());
  EXPECT_EQ(d.streams[0].in_store, agent.position());
}

TEST_F(FleetTest, TheRecoveryPointAgesWhenTheAgentIsSilent) {
  const Position start = agent.position();
  must(rig.send(agent.log_frame(3000)));
  snapshot(start);
  speak();
  look();
  connected = false;
  rig.clock.advance(95s);
  const DatabaseStatus d = look();
  ASSERT_TRUE(d.rpo_seconds);
  EXPECT_NEAR(*d.rpo_seconds, 95, 2);
  EXPECT_THAT(codes(d), Contains("rpo"));
  EXPECT_THAT(codes(d), Contains("agent_away"));
  EXPECT_EQ(d.reasons[0].code, "rpo") << "worst first";
  EXPECT_EQ(d.level, Level::kCritical);
  for (const Reason& r : d.reasons) {
    EXPECT_FALSE(r.en.empty());
    EXPECT_FALSE(r.zh.empty());
  }
}

TEST_F(FleetTest, LogBehindAGapDoesNotMoveTheWindow) {
  const Position start = agent.position();
  must(rig.send(agent.log_frame(3000)));
  snapshot(start);
  must(rig.send(agent.index_frame()));
  const Position end = agent.position();
  look();
  agent.skip(5000);
  rig.reset_ingest();
  must(rig.open(agent));
  must(rig.send(agent.log_frame(3000)));
  speak();
  const DatabaseStatus d = look();
  ASSERT_FALSE(d.windows.empty());
  EXPECT_EQ(d.windows.back().to.position, end);
  EXPECT_THAT(codes(d), Contains("open_gap"));
  ASSERT_TRUE(d.survey);
  EXPECT_EQ(d.survey->gaps.size(), 1u);
}

TEST_F(FleetTest, SaysWhatTheAgentSays) {
  const Position start = agent.position();
  must(rig.send(agent.log_frame(3000)));
  snapshot(start);
  words["degraded"] = 1;
  words["receivers_configured"] = 3;
  words["quorum"] = 2;
  words["spool_disk_bytes"] = 95;
  words["spool_limit_bytes"] = 100;
  words["certificate_expiry_timestamp_seconds"] = static_cast<double>(agent.clock.micros) / 1e6 + 86400 * 20;
  speak();
  const DatabaseStatus d = look();
  for (const char* code : {"degraded", "receivers", "spool", "agent_certificate"}) EXPECT_THAT(codes(d), Contains(code));
}

TEST_F(FleetTest, TellsThatASlotIsReleasedAndNotBesideItThatTheSpoolIsFull) {
  words["spool_full"] = 1;
  speak();
  EXPECT_THAT(codes(look()), Contains("spool_full"));
  words["slot_released"] = 1;
  speak();
  const DatabaseStatus d = look();
  EXPECT_THAT(codes(d), Contains("slot_released"));
  EXPECT_THAT(codes(d), Not(Contains("spool_full")));
  EXPECT_EQ(d.level, Level::kCritical);
}

TEST_F(FleetTest, ForeignNumbersOfAnySizeAreShown) {
  const Position start = agent.position();
  must(rig.send(agent.log_frame(3000)));
  snapshot(start);
  for (double huge : {1e300, -1e300, 1e18, std::numeric_limits<double>::denorm_min()}) {
    for (const char* field : {"rpo_target_seconds", "rto_target_seconds", "snapshot_interval_target_seconds", "window_target_seconds", "drill_interval_target_seconds",
                              "certificate_expiry_timestamp_seconds", "snapshot_last_success_timestamp_seconds", "status_interval_seconds"}) {
      words[field] = huge;
    }
    speak();
    EXPECT_TRUE(look().agent);
    const std::string screen = status_screen(status_json(watch->status(rig.clock.now())), cli::Painter(false), 0);
    EXPECT_THAT(screen, HasSubstr("440000/registry")) << huge;
  }
}

TEST_F(FleetTest, ALateSnapshotAndAnExpiredCertificateAreTold) {
  const Position start = agent.position();
  must(rig.send(agent.log_frame(3000)));
  snapshot(start);
  agent.clock = agent.clock + 30h;
  must(rig.send(agent.log_frame(3000)));
  words["certificate_expiry_timestamp_seconds"] = static_cast<double>(agent.clock.micros) / 1e6 - 10;
  speak();
  DatabaseStatus d = look();
  EXPECT_THAT(codes(d), Contains("snapshot_late"));
  EXPECT_THAT(codes(d), Contains("agent_certificate"));
  words["snapshot_running"] = 1;
  speak();
  d = look();
  EXPECT_THAT(codes(d), Not(Contains("snapshot_late"))) << "one is under way";
}

TEST_F(FleetTest, KeepsTheRecoveryPointOfTheLastHours) {
  const Position start = agent.position();
  must(rig.send(agent.log_frame(3000)));
  snapshot(start);
  speak();
  const Timestamp begin = rig.clock.now();
  look();
  for (int i = 0; i < 4; ++i) {
    rig.clock.advance(30s);
    look();
  }
  const auto points = watch->rpo_series(agent.database, begin, rig.clock.now(), 5);
  ASSERT_EQ(points.size(), 5u);
  EXPECT_EQ(points[0].seconds, 0);
  EXPECT_NEAR(points[4].seconds, 120, 2);
}

TEST_F(FleetTest, TheScreenShowsProblemsFirstAndCutsWhatIsWell) {
  nlohmann::json status = status_json(watch->status(rig.clock.now()));
  nlohmann::json good = status["databases"][0];
  good["state"] = "ok";
  good["reasons"] = nlohmann::json::array();
  status["databases"] = nlohmann::json::array();
  for (int i = 0; i < 50; ++i) {
    good["site"] = "site-" + std::to_string(i);
    status["databases"].push_back(good);
  }
  status["databases"][40]["state"] = "critical";
  status["databases"][40]["reasons"] = {{{"level", "critical"}, {"code", "x"}, {"en", "it \x1b[2J burns"}, {"zh", ""}}};
  const std::string screen = status_screen(status, cli::Painter(false), 24);
  EXPECT_LT(screen.find("site-40"), screen.find("site-0/")) << screen;
  EXPECT_THAT(screen, HasSubstr("1 of 50 databases need attention"));
  EXPECT_THAT(screen, HasSubstr("more databases, all ok"));
  EXPECT_THAT(screen, HasSubstr("it ?[2J burns")) << "a terminal obeys nobody's text";
  EXPECT_LE(std::count(screen.begin(), screen.end(), '\n'), 24);
  EXPECT_THAT(screen, Not(HasSubstr("\x1b")));
  EXPECT_THAT(status_screen(status, cli::Painter(true), 0), HasSubstr("\x1b[1;31mcritical\x1b[0m"));
}

TEST(ReceiverJudgement, DiskJournalAndCertificates) {
  ReceiverStatus r;
  r.now = Timestamp{1'700'000'000'000'000};
  r.store_free_bytes = 100;
  r.journal_limit_bytes = 100;
  judge(r);
  EXPECT_EQ(r.level, Level::kOk);
  r.full_in_seconds = 3600;
  judge(r);
  EXPECT_EQ(r.level, Level::kCritical);
  r.full_in_seconds = 5 * 86400;
  r.certificate_not_after = r.now + 24h * 20;
  judge(r);
  EXPECT_EQ(r.level, Level::kWarning);
  EXPECT_EQ(r.reasons.size(), 2u);
  r.store_reserve_bytes = 100;
  r.journal_failed = true;
  judge(r);
  EXPECT_EQ(r.level, Level::kCritical);
}

}  // namespace
}  // namespace stele::receiver
