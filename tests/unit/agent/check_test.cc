#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "agent/check/decisions.h"

namespace stele::agent {
namespace {

const Timestamp kNow{1'790'000'000'000'000};

config::AgentConfig good_config() {
  config::AgentConfig c;
  c.name = {"440000", "registry"};
  c.postgres.slot = c.postgres.application_name = "stele";
  c.spool.directory = "/var/lib/stele/spool";
  c.spool.max_bytes = 8ull << 30;
  c.spool.file_bytes = 64 << 20;
  c.policy.ack = config::AckPolicy::kReceivers;
  c.policy.quorum = 1;
  c.receivers.push_back({"shenzhen", {}});
  return c;
}

CheckFacts good_facts() {
  CheckFacts f;
  f.now = kNow;
  CheckedHost host;
  host.label = "db1:5432";
  host.role = "stele";
  host.database = "postgres";
  DatabaseFacts d;
  d.role = "stele";
  d.can_replicate = d.has_pg_monitor = true;
  d.version_num = 150000;
  d.wal_level = "replica";
  d.max_slot_wal_keep_size = 50ll << 30;
  d.max_wal_senders = d.max_replication_slots = 10;
  d.synchronous_standby_names = "stele";
  d.synchronous_commit = "on";
  d.data_checksums = true;
  host.facts = d;
  host.info.emplace();
  host.slot = SlotState{.name = "stele", .active = true, .active_pid = 7, .restart = Position{5}, .wal_status = WalStatus::kReserved};
  f.hosts.push_back(host);
  f.receivers.push_back({"shenzhen", "192.0.2.1:7400", {}, "stele-receiver 0.1.0", 1});
  f.keys.recovery = 2;
  f.tls.certificate_not_after = f.tls.ca_not_after = kNow + std::chrono::hours(24 * 365);
  f.tls.has_crl = true;
  f.spool.free_bytes = 20ull << 30;
  return f;
}

struct CheckTest : testing::Test {
  config::AgentConfig config = good_config();
  CheckFacts facts = good_facts();
  DatabaseFacts& database() { return *facts.hosts[0].facts; }
  Check find(std::string_view name) {
    for (const Check& check : judge(facts, config)) {
      if (check.name == name) return check;
    }
    ADD_FAILURE() << "no check " << name;
    return {};
  }
  void expect(std::string_view name, CheckLevel level, std::string_view todo = "") {
    const Check check = find(name);
    EXPECT_EQ(check_level_name(check.level), check_level_name(level)) << name << ": " << check.what;
    EXPECT_NE(check.what_to_do.find(todo), std::string::npos) << check.what_to_do;
    if (level != CheckLevel::kOk) EXPECT_FALSE(check.what_to_do.empty()) << name << " says nothing to do";
  }
};

TEST_F(CheckTest, AGoodInstallationPassesEverything) {
  const auto checks = judge(facts, config);
  for (const Check& check : checks) EXPECT_EQ(check.level, CheckLevel::kOk) << check.name << ": " << check.what;
  EXPECT_EQ(check_exit_code(checks), 0);
  EXPECT_GE(checks.size(), 20u);
}

TEST_F(CheckTest, WarningsAreAllowedAndFailuresAreNot) {
  EXPECT_EQ(check_exit_code({{"a", CheckLevel::kWarn, "", "x"}}), 0);
  EXPECT_EQ(check_exit_code({{"a", CheckLevel::kWarn, "", "x"}, {"b", CheckLevel::kFail, "", "x"}}), 1);
}

TEST_F(CheckTest, ARefusedConnectionPrintsTheHbaLinesItNeeds) {
  facts.hosts[0].sql_error = Error{ErrorCode::kUnauthorised, "no pg_hba.conf entry", ""};
  facts.hosts[0].replication_error = facts.hosts[0].sql_error;
  facts.hosts[0].facts.reset();
  facts.hosts[0].client_address = "192.0.2.7";
  expect("connection to db1:5432", CheckLevel::kFail, "192.0.2.7");
  expect("replication from db1:5432", CheckLevel::kFail, "replication");
  expect("primary", CheckLevel::kFail);
}

TEST_F(CheckTest, Privileges) {
  database().can_replicate = false;
  expect("privileges on db1:5432", CheckLevel::kFail, "ALTER ROLE stele REPLICATION");
  database().can_replicate = true;
  database().has_pg_monitor = false;
  expect("privileges on db1:5432", CheckLevel::kFail, "GRANT pg_monitor TO stele");
  database().is_superuser = true;
  expect("privileges on db1:5432", CheckLevel::kWarn);
}

TEST_F(CheckTest, WalLevelMinimalFails) {
  database().wal_level = "minimal";
  expect("wal_level on db1:5432", CheckLevel::kFail, "replica");
  database().wal_level = "logical";
  expect("wal_level on db1:5432", CheckLevel::kOk);
}

TEST_F(CheckTest, TheSlotOnEveryHost) {
  facts.hosts[0].slot.reset();
  facts.hosts[0].slot_error = Error{ErrorCode::kNotFound, "none", ""};
  expect("slot on db1:5432", CheckLevel::kWarn);
  facts.hosts[0].slot_error = Error{ErrorCode::kDatabase, "broken", ""};
  EXPECT_EQ(find("slot on db1:5432").level, CheckLevel::kFail);
  facts = good_facts();
  facts.hosts[0].slot->wal_status = WalStatus::kLost;
  facts.hosts[0].slot->invalidation_reason = "wal_status lost";
  expect("slot on db1:5432", CheckLevel::kFail, "snapshot");
  facts.hosts[0].slot->invalidation_reason.clear();
  facts.hosts[0].slot->wal_status = WalStatus::kUnreserved;
  expect("slot on db1:5432", CheckLevel::kFail);
  facts.hosts[0].slot->wal_status = WalStatus::kReserved;
  facts.hosts[0].slot->physical = false;
  expect("slot on db1:5432", CheckLevel::kFail);
}

TEST_F(CheckTest, NoLimitForTheSlotFailsUnlessHoldIsWrittenDown) {
  database().max_slot_wal_keep_size.reset();
  expect("max_slot_wal_keep_size on db1:5432", CheckLevel::kFail, "on_full = \"hold\"");
  config.policy.on_full = config::OnFull::kHold;
  expect("max_slot_wal_keep_size on db1:5432", CheckLevel::kFail);  // the default is not a decision
  config.policy.on_full_written = true;
  expect("max_slot_wal_keep_size on db1:5432", CheckLevel::kOk);
  config.policy.on_full = config::OnFull::kRelease;
  expect("max_slot_wal_keep_size on db1:5432", CheckLevel::kOk);
}

TEST_F(CheckTest, EveryHostIsCheckedAndTwoPrimariesFail) {
  CheckedHost standby = facts.hosts[0];
  standby.label = "db2:5432";
  standby.facts->in_recovery = true;
  standby.facts->max_slot_wal_keep_size.reset();
  facts.hosts.push_back(standby);
  expect("max_slot_wal_keep_size on db2:5432", CheckLevel::kFail);
  expect("primary", CheckLevel::kOk);
  facts.hosts[1].facts->in_recovery = false;
  expect("primary", CheckLevel::kFail);
}

TEST_F(CheckTest, ChecksumsOffIsAWarning) {
  database().data_checksums = false;
  expect("data checksums", CheckLevel::kWarn, "pg_checksums");
}

TEST_F(CheckTest, FsyncOffFails) {
  database().fsync = false;
  expect("durability of the server", CheckLevel::kFail);
}

TEST_F(CheckTest, SynchronousCommitOffOrLocalIsNamed) {
  database().synchronous_commit_overrides = {{"", "batch", "off"}, {"registry", "", "local"}, {"registry", "web", "on"}, {"", "x", "remote_write"}};
  const Check check = find("synchronous_commit");
  EXPECT_EQ(check.level, CheckLevel::kWarn);
  EXPECT_NE(check.what.find("role batch: off"), std::string::npos) << check.what;
  EXPECT_NE(check.what.find("database registry: local"), std::string::npos) << check.what;
  EXPECT_EQ(check.what.find("web"), std::string::npos);
}

TEST_F(CheckTest, RemoteApplyIsRefused) {
  database().synchronous_commit = "remote_apply";
  expect("remote_apply", CheckLevel::kFail, "synchronous_commit = on");
  database().synchronous_commit = "on";
  database().synchronous_commit_overrides = {{"registry", "web", "remote_apply"}};
  EXPECT_NE(find("remote_apply").what.find("role web in database registry"), std::string::npos);
}

TEST_F(CheckTest, SynchronousStandbyNamesMustContainTheAgent) {
  database().synchronous_standby_names = "";
  expect("synchronous_standby_names", CheckLevel::kFail, "'stele'");
  database().synchronous_standby_names = "other";
  expect("synchronous_standby_names", CheckLevel::kFail);
  config.policy.ack = config::AckPolicy::kSpool;
  expect("synchronous_standby_names", CheckLevel::kOk);
}

TEST_F(CheckTest, AStandbyThatMayStandInForTheAgentIsWarnedOf) {
  database().synchronous_standby_names = "ANY 1 (other, stele)";
  expect("synchronous_standby_names", CheckLevel::kWarn, "FIRST 2 (stele, ...)");
  database().synchronous_standby_names = "ANY 2 (other, stele)";
  expect("synchronous_standby_names", CheckLevel::kOk);
}

TEST(StandbyRank, SaysWhetherEveryCommitWaitsForTheAgent) {
  for (const char* text : {"stele", "stele, a", "FIRST 1 (stele, a)", "FIRST 2 (a, stele)", "2 (a, stele, *)", "ANY 2 (\"stele\",b)", "2 (stele)", "STELE",
                           "\"Stele\"", "first 1 (stele)", "any 1 (stele)"}) {
    EXPECT_EQ(standby_rank(text, "stele"), StandbyRank::kAlways) << text;
  }
  for (const char* text : {"a, stele", "FIRST 1 (a, stele)", "ANY 1 (other, stele)", "ANY 2 (a, b, stele)", "*", "ANY 1 (*)", "ANY 2 (stele, *)",
                           "FIRST 1 (*, stele)"}) {
    EXPECT_EQ(standby_rank(text, "stele"), StandbyRank::kPerhaps) << text;
  }
  for (const char* text : {"", "steles", "a,b", "FIRST 1 (a, b)", "\"ste,le\"", "\"*\"", "FIRST 1 (stele", "(", "\"ste\"\"le\""}) {
    EXPECT_EQ(standby_rank(text, "stele"), StandbyRank::kNone) << text;
  }
  EXPECT_EQ(standby_rank("\"a,b\", c", "a,b"), StandbyRank::kAlways);
}

TEST_F(CheckTest, ClocksThatDiffer) {
  for (const int sign : {1, -1}) {
    database().clock_difference.ahead = sign * std::chrono::milliseconds(999);
    expect("clock of db1:5432", CheckLevel::kOk);
    database().clock_difference.ahead = sign * std::chrono::seconds(1);
    expect("clock of db1:5432", CheckLevel::kWarn, "NTP");
    database().clock_difference.ahead = sign * std::chrono::seconds(60);
    expect("clock of db1:5432", CheckLevel::kFail, "NTP");
  }
}

TEST_F(CheckTest, WalsendersAndSlotsMustHaveRoom) {
  facts.hosts[0].slot.reset();
  database().used_replication_slots = 10;
  expect("walsenders and slots on db1:5432", CheckLevel::kFail, "max_replication_slots");
  database().used_replication_slots = 0;
  database().used_wal_senders = 9;
  expect("walsenders and slots on db1:5432", CheckLevel::kFail, "max_wal_senders");
}

TEST_F(CheckTest, AReceiverThatDoesNotAnswerFailsWithItsOwnReason) {
  facts.receivers[0].error = Error{ErrorCode::kUnauthorised, "the certificate is for stele:receiver:beijing", "look at its certificate"};
  expect("receiver shenzhen", CheckLevel::kFail, "certificate");
}

TEST_F(CheckTest, AQuorumThatTwoAgentsCouldBothReachIsAWarning) {
  config.receivers.assign(2, {"a", {}});
  expect("quorum", CheckLevel::kWarn, "quorum = 2");
  config.policy.quorum = 2;
  expect("quorum", CheckLevel::kOk);
  config.receivers.assign(4, {"a", {}});
  expect("quorum", CheckLevel::kWarn, "quorum = 3");
}

TEST_F(CheckTest, KeysAndRecipients) {
  facts.keys.recovery = 1;
  expect("recipients", CheckLevel::kWarn, "second");
  facts.keys.recovery = 0;
  facts.keys.drill = 1;
  expect("recipients", CheckLevel::kFail);
  facts.keys.error = Error{ErrorCode::kKeyMissing, "no key", ""};
  expect("keys", CheckLevel::kFail, "enroll");
}

TEST_F(CheckTest, CertificatesThatEnd) {
  facts.tls.certificate_not_after = kNow + std::chrono::hours(24 * 29);
  expect("certificate", CheckLevel::kWarn);
  facts.tls.certificate_not_after = kNow + std::chrono::hours(24 * 6);
  expect("certificate", CheckLevel::kFail);
  facts.tls.certificate_not_after = kNow;
  EXPECT_NE(find("certificate").what.find("expired"), std::string::npos);
  facts.tls.error = Error{ErrorCode::kConfig, "cannot read", ""};
  expect("certificate", CheckLevel::kFail);
}

TEST_F(CheckTest, RevocationLists) {
  facts.tls.has_crl = false;
  expect("revocation list", CheckLevel::kWarn);
  facts.tls.has_crl = facts.tls.crl_outdated = true;
  facts.tls.crl_next_update = kNow;
  expect("revocation list", CheckLevel::kWarn);
}

TEST_F(CheckTest, SpoolAndLockedMemory) {
  facts.spool.free_bytes = 1ull << 30;
  expect("spool", CheckLevel::kWarn, "max_bytes");
  facts.spool.used_bytes = 7ull << 30;
  expect("spool", CheckLevel::kOk);  // its own files count
  facts.spool.used_bytes = 0;
  facts.spool.free_bytes = 1 << 20;
  expect("spool", CheckLevel::kFail);
  facts.locked_memory = Error{ErrorCode::kIo, "mlock refused", ""};
  expect("locked memory", CheckLevel::kWarn, "LimitMEMLOCK");
}

TEST_F(CheckTest, TheReportIsReadByPeopleAndByPrograms) {
  database().max_slot_wal_keep_size.reset();
  const auto checks = judge(facts, config);
  const std::string plain = checks_text(checks, false), coloured = checks_text(checks, true);
  EXPECT_EQ(plain.find('\033'), std::string::npos);
  EXPECT_NE(coloured.find("\033[31mfail"), std::string::npos);
  EXPECT_NE(plain.find("1 failures"), std::string::npos);
  const auto json = nlohmann::json::parse(checks_json(checks));
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["checks"].size(), checks.size());
  EXPECT_EQ(json["checks"][0]["level"], "ok");
}

}  // namespace
}  // namespace stele::agent
