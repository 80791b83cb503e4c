#include "agent/check/gather.h"
#include "core/crypto/random.h"
#include "tests/scenario/agent_postgres/support.h"

namespace stele::agent {
namespace {

config::AgentConfig config_for(const std::string& conninfo) {
  config::AgentConfig c;
  c.name = {"440000", "registry"};
  c.postgres.conninfo = conninfo;
  c.postgres.slot = c.postgres.application_name = "stele";
  c.spool.directory = "/tmp";
  c.spool.max_bytes = 1;
  c.policy.ack = config::AckPolicy::kReceivers;
  c.keys.agent_key = "/nonexistent/agent.key";
  c.tls.ca = "/nonexistent/ca.pem";
  c.receivers.push_back({"shenzhen", {"127.0.0.1", 1}});
  return c;
}

CheckLevel level_of(const std::vector<Check>& checks, std::string_view beginning) {
  for (const Check& check : checks) {
    if (check.name.starts_with(beginning)) return check.level;
  }
  ADD_FAILURE() << "no check " << beginning;
  return CheckLevel::kFail;
}

TEST(AgentCheck, FindsOnARealServerWhatIsWrongAndWhatIsRight) {
  auto server = started({.data_checksums = false, .wal_segment_mb = 1, .config = "synchronous_standby_names = 'other'\nsynchronous_commit = local\n"});
  ASSERT_TRUE(server);
  ASSERT_OK(server->psql("CREATE ROLE agent LOGIN REPLICATION; CREATE ROLE web LOGIN; ALTER ROLE web SET synchronous_commit = off"));
  config::AgentConfig config = config_for(fmt::format("host={} port=5432 user=agent dbname=postgres", server->socket_directory()));
  SystemClock clock;
  io::PosixFileSystem fs;
  crypto::SodiumRandom random;
  auto checks = judge(gather_facts(config, fs, clock, random), config);
  EXPECT_EQ(level_of(checks, "connection"), CheckLevel::kOk);
  EXPECT_EQ(level_of(checks, "replication"), CheckLevel::kOk);
  EXPECT_EQ(level_of(checks, "privileges"), CheckLevel::kFail) << "not in pg_monitor";
  EXPECT_EQ(level_of(checks, "wal_level"), CheckLevel::kOk);
  EXPECT_EQ(level_of(checks, "slot on"), CheckLevel::kWarn);
  EXPECT_EQ(level_of(checks, "max_slot_wal_keep_size"), CheckLevel::kFail);
  EXPECT_EQ(level_of(checks, "clock"), CheckLevel::kOk);
  EXPECT_EQ(level_of(checks, "data checksums"), CheckLevel::kWarn);
  EXPECT_EQ(level_of(checks, "synchronous_commit"), CheckLevel::kWarn);
  EXPECT_EQ(level_of(checks, "synchronous_standby_names"), CheckLevel::kFail);
  EXPECT_EQ(level_of(checks, "keys"), CheckLevel::kFail);
  EXPECT_EQ(level_of(checks, "certificate"), CheckLevel::kFail);
  EXPECT_EQ(level_of(checks, "receiver shenzhen"), CheckLevel::kFail);
  EXPECT_EQ(level_of(checks, "spool"), CheckLevel::kOk);
  EXPECT_EQ(check_exit_code(checks), 1);

  ASSERT_OK(server->psql("GRANT pg_monitor TO agent; ALTER ROLE web RESET synchronous_commit; ALTER SYSTEM SET synchronous_commit = 'on'"));
  ASSERT_OK(server->psql("ALTER SYSTEM SET synchronous_standby_names = 'stele'"));
  ASSERT_OK(server->psql("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'"));
  ASSERT_OK(server->psql("SELECT pg_reload_conf(), pg_create_physical_replication_slot('stele', true)"));
  std::this_thread::sleep_for(milliseconds(300));
  checks = judge(gather_facts(config, fs, clock, random), config);
  for (const char* name : {"privileges", "slot on", "max_slot_wal_keep_size", "synchronous_commit", "synchronous_standby_names"}) {
    EXPECT_EQ(level_of(checks, name), CheckLevel::kOk) << name;
  }
}

TEST(AgentCheck, ARefusedRoleIsToldItsHbaLines) {
  auto server = started();
  ASSERT_TRUE(server);
  ASSERT_OK(server->psql("CREATE ROLE agent LOGIN REPLICATION"));
  ASSERT_EQ(std::system(fmt::format("sed -i '1i local all agent reject\\nlocal replication agent reject' {}/pg_hba.conf", server->data_directory()).c_str()), 0);
  ASSERT_OK(server->reload());
  std::this_thread::sleep_for(milliseconds(300));
  const config::AgentConfig config = config_for(fmt::format("host={} port=5432 user=agent dbname=postgres", server->socket_directory()));
  SystemClock clock;
  const CheckedHost host = gather_host(split_hosts(config.postgres.conninfo).value()[0], config, clock);
  ASSERT_TRUE(host.sql_error);
  ASSERT_TRUE(host.replication_error);
  for (const Check& check : judge_host(host, config)) {
    EXPECT_EQ(check.level, CheckLevel::kFail);
    EXPECT_NE(check.what_to_do.find("replication"), std::string::npos) << check.what_to_do;
  }
}

}  // namespace
}  // namespace stele::agent
