#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "receiver/page/page_json.h"
#include "receiver/status/assessment.h"
#include "receiver/status/fleet_watch.h"
#include "receiver/status/report.h"
#include "tests/support/receiver/keeper_rig.h"

namespace stele::receiver {
namespace {

using format::DrillOutcomeKind;
using test::must;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

/// A receiver with a database that is well, and restore hosts that append their drills.
struct Drills : testing::Test {
  test::ScriptedAgent agent;
  test::KeeperRig rig{agent};
  test::SeededRandom random{7};
  crypto::SigningKey host = crypto::SigningKey::generate(crypto::default_suite(), random), stranger = crypto::SigningKey::generate(crypto::default_suite(), random);
  std::map<std::string, double> words = {{"streaming", 1}, {"lag_bytes", 0}, {"rpo_target_seconds", 60}, {"rto_target_seconds", 3600}, {"drill_interval_target_seconds", 7 * 86400}};
  std::unique_ptr<FleetWatch> watch;

  void SetUp() override {
    must(rig.start());
    must(rig.put_trust(agent));
    must(rig.open(agent));
    const Position start = agent.position();
    must(rig.send(agent.log_frame(3000)));
    const auto pack = agent.pack(3);
    for (auto& result : rig.keeper().put_packs({{&rig.database(), pack.bytes}})) must(std::move(result));
    const Digest list = must(rig.keeper().put_list(rig.database(), test::ScriptedAgent::list(pack.names)));
    must(rig.commit(agent.manifest({list}, pack.names.size(), {start, agent.position()})));
    rig.clock.micros = agent.clock.micros;
    must(rig.keeper().put_status(rig.database(), agent.status(words)));
    begin({});
  }
  void begin(RestoreHosts hosts) {
    FleetWatch::Options options;
    options.receiver = "shaoguan";
    options.survey_share = 0;
    options.restore_hosts = std::move(hosts);
    options.connected = [](const DatabaseName&) { return true; };
    watch = std::make_unique<FleetWatch>(rig.keeper(), rig.catalog(), options);
  }
  RestoreHosts only_host() { return {{to_bytes(host.verify_key().bytes()), "drill-1"}}; }

  format::DrillRecord passed(Duration ago) {
    format::DrillRecord r;
    r.database = agent.database;
    random.fill(r.drill.view());
    r.finished = rig.clock.now() + -ago;
    r.started = r.finished + -Duration(90s);
    r.outcome = DrillOutcomeKind::kPassed;
    r.passed = 12;
    r.rto = 84'500'000;
    r.rto_target = 14'400'000'000;
    r.rpo = 2'000'000;
    r.rpo_target = 900'000'000;
    return r;
  }
  format::DrillRecord failed(Duration ago) {
    format::DrillRecord r = passed(ago);
    r.outcome = DrillOutcomeKind::kFailed;
    r.failed = 1;
    r.note = "assertion: <b>3</b> rows";
    return r;
  }
  Bytes put(const format::DrillRecord& record, const crypto::SigningKey& key) {
    Bytes bytes = must(record.sign(key)).bytes;
    must(rig.keeper().put_record(rig.database(), bytes));
    return bytes;
  }
  DatabaseStatus look() {
    must(watch->tick(rig.clock.now()));
    return watch->status_of(agent.database, rig.clock.now()).value();
  }
  static std::vector<std::string> codes(const DatabaseStatus& d) {
    std::vector<std::string> out;
    for (const Reason& r : d.reasons) out.push_back(r.code);
    return out;
  }
};

TEST_F(Drills, TheLastOneIsShownEverywhere) {
  put(passed(9h), host);
  put(passed(1h), host);
  put(failed(5h), host);  // brought late
  const DatabaseStatus d = look();
  ASSERT_TRUE(d.drill);
  EXPECT_EQ(d.drill->finished, rig.clock.now() + -Duration(1h));
  EXPECT_EQ(d.drill->rto_seconds, 84.5);
  EXPECT_EQ(d.drill->rpo_seconds, 2.0);
  EXPECT_EQ(d.drill->host, to_hex(host.verify_key().bytes()).substr(0, 12));
  EXPECT_EQ(d.level, Level::kOk) << testing::PrintToString(codes(d));

  const nlohmann::json status = status_json(watch->status(rig.clock.now()));
  const nlohmann::json& database = status["databases"][0];
  EXPECT_EQ(database["drill"]["outcome"], "passed");
  EXPECT_EQ(database["drill"]["rto_target_seconds"], 14400);
  EXPECT_EQ(database["drill"]["checks"]["passed"], 12);
  ASSERT_EQ(database["drills"].size(), 3u);
  EXPECT_EQ(database["drills"][1]["outcome"], "failed");
  EXPECT_THAT(status_screen(status, cli::Painter(false), 0), HasSubstr("passed 1h 0m ago, RTO 1m 25s, RPO 2.0 s"));

  const auto page = nlohmann::json::parse(page_fleet(watch->status(rig.clock.now()), 1, "*"));
  EXPECT_EQ(page["databases"][0]["drill"]["outcome"], "passed");
  EXPECT_EQ(page["databases"][0]["drill"]["rpo"], 2.0);

  const Timestamp now = rig.clock.now();
  const Assessment report = must(assess(status, {}, {}, now + -Duration(6h), now, now));
  const DatabaseAssessment& row = report.databases[0];
  ASSERT_EQ(row.drills.size(), 2u) << "the first lies before the period";
  EXPECT_EQ(row.drills_passed, 1u);
  EXPECT_EQ(row.drills_failed, 1u);
  EXPECT_THAT(assessment_csv(report), HasSubstr(",2,1,1," + to_iso8601(now + -Duration(1h)) + ",passed,84.5,14400,2.0,900,"));
  const std::string html = assessment_html(report);
  EXPECT_THAT(html, HasSubstr(">1/2<i>RTO "));
  EXPECT_THAT(html, HasSubstr("演练失败"));
  EXPECT_THAT(html, HasSubstr("assertion: &lt;b&gt;3&lt;/b&gt; rows"));
}

TEST_F(Drills, AFailedOneIsCriticalAndSkippedIsNeverPassed) {
  put(passed(9h), host);
  put(failed(5h), host);
  DatabaseStatus d = look();
  EXPECT_EQ(d.level, Level::kCritical);
  EXPECT_THAT(codes(d), Contains("drill_failed"));
  EXPECT_EQ(d.drill_passed, rig.clock.now() + -Duration(9h));
  format::DrillRecord skipped = failed(1h);
  skipped.outcome = DrillOutcomeKind::kDidNotRun;
  skipped.rto = skipped.rpo = 0;
  put(skipped, host);
  d = look();
  EXPECT_THAT(codes(d), Contains("drill_failed"));
  EXPECT_THAT(d.reasons[0].en, HasSubstr("could not run"));
  EXPECT_THAT(d.reasons[0].zh, HasSubstr("未能执行"));
  EXPECT_THAT(status_screen(status_json(watch->status(rig.clock.now())), cli::Painter(false), 0, "zh"), HasSubstr("最近一次演练未能执行"));
  EXPECT_FALSE(d.drill->rto_seconds) << "nothing was measured";
  EXPECT_FALSE(d.drill->rpo_seconds);
  EXPECT_THAT(status_screen(status_json(watch->status(rig.clock.now())), cli::Painter(false), 0), HasSubstr("DID NOT RUN 1h 0m ago"));
}

TEST_F(Drills, AreMeasuredByTheStricterTargetAndMustComeInTime) {
  format::DrillRecord slow = passed(1h);
  slow.rto = 5'000'000'000;  // within the host's four hours, over the hour that the agent tells
  slow.rpo = 61'000'000;
  put(slow, host);
  DatabaseStatus d = look();
  EXPECT_THAT(codes(d), Contains("drill_slow"));
  EXPECT_THAT(codes(d), Contains("drill_rpo"));
  EXPECT_THAT(codes(d), Not(Contains("drill_late")));
  rig.clock.advance(std::chrono::hours(24 * 9));
  d = look();
  EXPECT_THAT(codes(d), Contains("drill_late"));
}

TEST_F(Drills, ADatabaseThatNobodyDrillsIsToldAfterTheInterval) {
  EXPECT_THAT(codes(look()), Not(Contains("drill_never")));
  rig.clock.advance(std::chrono::hours(24 * 9));
  EXPECT_THAT(codes(look()), Contains("drill_never"));
}

TEST_F(Drills, OnlyWhatTheNamedKeySignedIsTaken) {
  Bytes forged = must(passed(1h).sign(host)).bytes;
  forged[forged.size() / 2] ^= 1;
  EXPECT_FALSE(rig.keeper().put_record(rig.database(), forged).ok());
  EXPECT_FALSE(look().drill);
  // Nor when it lies in the store: whoever can write there has no key.
  must(rig.store().put(agent.database.to_string() + "/drill/0000000000000001-" + std::string(64, 'a') + ".rec", forged));
  rig.stop();
  must(rig.start(false));
  begin({});
  const DatabaseStatus d = look();
  EXPECT_FALSE(d.drill);
  EXPECT_TRUE(d.drills->drills.empty());
}

TEST_F(Drills, CountOnceAndOutliveARestart) {
  const format::DrillRecord record = passed(1h);
  put(record, host);
  put(record, host);
  EXPECT_EQ(look().drills->drills.size(), 1u);
  for (const bool keep_catalog : {true, false}) {
    rig.stop();
    must(rig.start(keep_catalog));
    begin({});
    const DatabaseStatus d = look();
    ASSERT_TRUE(d.drill);
    EXPECT_EQ(d.drills->drills.size(), 1u);
    EXPECT_EQ(d.drill->finished, record.finished);
  }
}

TEST_F(Drills, OfAHostThatIsNotListedDoNotCount) {
  put(passed(9h), host);
  put(failed(1h), stranger);
  begin(only_host());
  DatabaseStatus d = look();
  ASSERT_TRUE(d.drill);
  EXPECT_TRUE(d.drill->passed());
  EXPECT_EQ(d.drill->host, "drill-1");
  EXPECT_EQ(d.drills->drills.size(), 1u);
  EXPECT_THAT(codes(d), Contains("drill_host"));
  EXPECT_THAT(d.reasons[0].en, HasSubstr(to_hex(stranger.verify_key().bytes()).substr(0, 12)));
  put(passed(30min), host);
  EXPECT_THAT(codes(look()), Not(Contains("drill_host"))) << "a listed host has drilled since";
}

TEST_F(Drills, AClockThatIsAheadHidesNoLaterDrill) {
  put(passed(-std::chrono::hours(24 * 365)), host);
  put(failed(1h), host);
  DatabaseStatus d = look();
  ASSERT_TRUE(d.drill);
  EXPECT_FALSE(d.drill->passed());
  EXPECT_THAT(codes(d), Contains("drill_clock"));
}

TEST_F(Drills, TheOldestGiveWayToTheThousandNewest) {
  TrustBook book(agent.database, {agent.authority.verify_key()});
  format::DrillRecord record = passed(1h);
  for (int i = 0; i < 1003; ++i) {
    record.started = record.finished = {1'000'000 + (i * 37 % 1003)};
    must(book.add(must(record.sign(host))));
  }
  ASSERT_EQ(book.drills().size(), 1000u);
  EXPECT_EQ(book.drills().front()->record.finished.micros, 1'000'003);
  EXPECT_EQ(book.drills().back()->record.finished.micros, 1'001'002);
}

}  // namespace
}  // namespace stele::receiver
