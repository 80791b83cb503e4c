#include "agent/program/status_report.h"

#include <gtest/gtest.h>

#include <set>

#include "core/metrics/status_metrics.h"
#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

constexpr Timestamp kNow{1'000'000'000'000'000};
constexpr Timestamp ago(int seconds) { return {kNow.micros - std::int64_t{seconds} * 1'000'000}; }

/// An agent in the middle of its work, with every optional fact.
AgentView a_view() {
  AgentView v;
  v.now = kNow;
  v.log.streaming = true;
  v.log.stream.data[0] = 1;
  v.log.server_end = {1000};
  v.log.epoch_created = ago(60);
  v.log.slot = SlotState{.name = "stele"};
  v.log.slot->safe_wal_size = 5;
  for (int i = 0; i <= static_cast<int>(ReconnectReason::kOther); ++i) v.log.reconnects[std::string(reconnect_reason_name(static_cast<ReconnectReason>(i)))] = 1;
  v.snapshot.last.emplace();
  v.tls.has_crl = true;
  v.tls.crl_next_update = kNow;
  for (int i = 0; i < 3; ++i) {
    UplinkState u;
    u.receiver = std::to_string(i);
    u.stream = v.log.stream;
    v.uplinks.push_back(u);
  }
  return v;
}

TEST(StatusMessage, SendsExactlyTheFieldsThatAreExported) {
  std::set<std::string> sent, known;
  for (const auto& [field, value] : status_message(a_view(), {}).fields) sent.insert(field);
  for (const metrics::StatusMetric& m : metrics::status_metrics()) known.insert(m.field);
  EXPECT_EQ(sent, known);
}

TEST(StatusMessage, SignsAndReadsBack) {
  test::SeededRandom random(1);
  const crypto::SigningKey key = crypto::SigningKey::generate(crypto::default_suite(), random);
  config::AgentConfig config;
  config.name = {"440000", "registry"};
  auto record = status_message(a_view(), config).sign(key);
  ASSERT_TRUE(record.ok()) << record.error().to_string();
  EXPECT_TRUE(format::StatusMessage::read(*record).ok());
}

TEST(StatusMessage, OffSiteIsWhatTheQuorumHolds) {
  AgentView v = a_view();
  v.log.stream_begin = {100};
  v.uplinks[0].durable_end = {900};
  v.uplinks[1].durable_end = {500};
  EXPECT_EQ(off_site_end(v, 1), Position{900});
  EXPECT_EQ(off_site_end(v, 2), Position{500});
  EXPECT_EQ(off_site_end(v, 3), Position{100}) << "the third holds nothing of the stream yet";
  v.uplinks[0].stream = {};
  EXPECT_EQ(off_site_end(v, 1), Position{500}) << "another stream does not count";
}

TEST(StatusMessage, TheRecoveryPointIsZeroOnlyWhenEverythingIsOffSite) {
  AgentView v = a_view();
  v.off_site_end = {1000};
  v.off_site_time = ago(30);
  EXPECT_EQ(recovery_point_seconds(v), 0);
  v.log.server_end = {1001};
  EXPECT_EQ(recovery_point_seconds(v), 30);
  v.log.server_end = {1000};
  v.log.streaming = false;  // nobody knows what the server has by now
  EXPECT_EQ(recovery_point_seconds(v), 30);
}

TEST(StatusMessage, WhatIsNotKnownIsNotSent) {
  AgentView v = a_view();
  v.log.slot.reset();
  v.tls.has_crl = false;
  v.snapshot.last.reset();
  const auto fields = status_message(v, {}).fields;
  for (const char* field : {"slot_state", "slot_safe_bytes", "crl_next_update_timestamp_seconds", "snapshot_duration_seconds"}) {
    EXPECT_FALSE(fields.contains(field)) << field;
  }
  EXPECT_EQ(fields.at("snapshot_last_success_timestamp_seconds"), 0) << "no snapshot is a fact, not an absence";
}

TEST(StatusMessage, ASlotThatIsGoneOrLostShows) {
  AgentView v = a_view();
  EXPECT_EQ(status_message(v, {}).fields.at("slot_state"), 1);
  v.log.slot = SlotState{};
  EXPECT_EQ(status_message(v, {}).fields.at("slot_state"), 0);
  v.log.slot = SlotState{.name = "stele", .wal_status = WalStatus::kLost};
  EXPECT_EQ(status_message(v, {}).fields.at("slot_state"), 4);
}

TEST(StatusMessage, AReleasedSlotShows) {
  AgentView v = a_view();
  EXPECT_EQ(status_message(v, {}).fields.at("slot_released"), 0);
  v.log.released = v.log.spool_full = true;
  EXPECT_EQ(status_message(v, {}).fields.at("slot_released"), 1);
}

/// A view in which everything is wrong at once.
AgentView a_bad_view() {
  AgentView v = a_view();
  v.log.streaming = false;
  v.log.last_error = "connection refused";
  v.log.degraded = true;
  v.spool_failed = true;
  v.spool_capacity = 100;
  v.spool_disk_bytes = 70;
  v.off_site_time = ago(90);
  v.uplinks[0].gap = true;
  v.snapshot.last_error = Error{ErrorCode::kIo, "a file vanished", ""};
  v.snapshot.last_success = ago(3 * 86400);
  v.tls.certificate_not_after = ago(-3 * 86400 - 3600);
  return v;
}

config::AgentConfig with_targets() {
  config::AgentConfig config;
  config.name = {"440000", "registry"};
  config.policy.quorum = 1;
  config.targets.rpo = std::chrono::seconds(30);
  config.targets.snapshot_interval = std::chrono::hours(24);
  return config;
}

TEST(AgentReasons, AreGivenInBothLanguagesUnderOneCode) {
  std::set<std::string> codes;
  for (const Reason& r : reasons(a_bad_view(), with_targets())) {
    codes.insert(r.code);
    EXPECT_FALSE(r.en.empty()) << r.code;
    EXPECT_TRUE(std::any_of(r.zh.begin(), r.zh.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xE4; })) << r.code << ": " << r.zh;
    EXPECT_TRUE(std::none_of(r.en.begin(), r.en.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) << r.en;
  }
  EXPECT_EQ(codes, (std::set<std::string>{"not_streaming", "degraded", "spool_failed", "spool", "rpo", "receiver_gap", "receiver_away", "receivers", "snapshot_failed", "snapshot_late",
                                          "agent_certificate"}));
}

TEST(AgentReasons, ScreenAndJsonTellTheSame) {
  const std::string json = status_json(a_bad_view(), with_targets());
  const std::string english = status_text(json, cli::Painter(false)), chinese = status_text(json, cli::Painter(false), "zh");
  for (const Reason& r : reasons(a_bad_view(), with_targets())) {
    EXPECT_NE(json.find(r.zh), std::string::npos) << r.zh;
    EXPECT_NE(english.find(r.en), std::string::npos) << r.en;
    EXPECT_NE(chinese.find(r.zh), std::string::npos) << r.zh;
    EXPECT_EQ(chinese.find(r.en), std::string::npos) << r.en;
  }
}

TEST(AgentReasons, ThereAreNoneWhenAllIsWell) {
  AgentView v = a_view();
  v.off_site_end = v.log.server_end;
  for (UplinkState& u : v.uplinks) u.connected = true;
  v.snapshot.last_success = ago(3600);
  v.tls.certificate_not_after = ago(-90 * 86400);
  EXPECT_TRUE(reasons(v, with_targets()).empty());
  EXPECT_NE(status_json(v, with_targets()).find("\"state\": \"ok\""), std::string::npos);
}

}  // namespace
}  // namespace stele::agent
