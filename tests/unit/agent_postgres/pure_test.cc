#include <gtest/gtest.h>

#include <random>

#include "agent/postgres/address.h"
#include "agent/postgres/base_backup.h"
#include "agent/postgres/checks_sql.h"
#include "agent/postgres/slot.h"
#include "agent/postgres/wal_message.h"

namespace stele::agent {
namespace {

TEST(SplitHosts, GivesOneAddressForEachHost) {
  auto hosts =
      split_hosts("host=a,b,::1 port=5433 user=u password=secret target_session_attrs=primary options='-c x=1'");
  ASSERT_TRUE(hosts.ok()) << hosts.error().to_string();
  ASSERT_EQ(hosts->size(), 3u);
  EXPECT_EQ((*hosts)[0].label(), "a:5433");
  EXPECT_EQ((*hosts)[2].label(), "[::1]:5433");
  EXPECT_EQ((*hosts)[1].keyword("target_session_attrs"), nullptr);
  ASSERT_NE((*hosts)[1].keyword("user"), nullptr);
  EXPECT_EQ(*(*hosts)[1].keyword("user"), "u");
  EXPECT_EQ((*hosts)[1].label().find("secret"), std::string::npos);
}

TEST(SplitHosts, ReadsUrisAndPortsOfEachHost) {
  auto hosts = split_hosts("postgresql://u@h1:1111,h2:2222/db?sslmode=verify-full");
  ASSERT_TRUE(hosts.ok());
  ASSERT_EQ(hosts->size(), 2u);
  EXPECT_EQ((*hosts)[1].label(), "h2:2222");
  EXPECT_EQ(*(*hosts)[1].keyword("sslmode"), "verify-full");
  EXPECT_EQ(split_hosts("")->size(), 1u);
  EXPECT_EQ((*split_hosts("hostaddr=10.0.0.1,10.0.0.2"))[1].label(), "10.0.0.2:5432");
}

TEST(SplitHosts, RefusesWithoutQuotingASecret) {
  auto hosts = split_hosts("host=a password=top secret");
  ASSERT_FALSE(hosts.ok());
  EXPECT_EQ(hosts.error().code, ErrorCode::kConfig);
  EXPECT_EQ(hosts.error().to_string().find("secret"), std::string::npos);
  EXPECT_EQ(split_hosts("host=a,b,c port=1,2").error().code, ErrorCode::kConfig);
}

Bytes data_message() {
  Bytes m = {'w', 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 5};
  m.insert(m.end(), {7, 8, 9});
  return m;
}

TEST(WalMessage, ReadsDataAndKeepalives) {
  const Bytes m = data_message();
  auto parsed = parse_wal_message(m);
  ASSERT_TRUE(parsed.ok());
  const auto& data = std::get<WalData>(*parsed);
  EXPECT_EQ(data.start.to_string(), "1/2");
  EXPECT_EQ(data.server_end.to_string(), "1/9");
  EXPECT_EQ(to_iso8601(data.server_time), "2000-01-01T00:00:00.000005Z");
  EXPECT_EQ(to_bytes(data.bytes), (Bytes{7, 8, 9}));
  const Bytes k = {'k', 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 1};
  auto keepalive = parse_wal_message(k);
  ASSERT_TRUE(keepalive.ok());
  EXPECT_TRUE(std::get<WalKeepalive>(*keepalive).reply_requested);
  EXPECT_EQ(std::get<WalKeepalive>(*keepalive).server_end.to_string(), "1/3");
}

TEST(WalMessage, RefusesWhatIsCutAndSurvivesRubbish) {
  const Bytes m = data_message();
  for (std::size_t n = 0; n < 25; ++n) EXPECT_FALSE(parse_wal_message(ByteView(m).first(n)).ok()) << n;
  const std::uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20000; ++round) {
    Bytes rubbish(random() % 40);
    for (auto& b : rubbish) b = static_cast<std::uint8_t>(random());
    if (!rubbish.empty() && round % 2 == 0) rubbish[0] = round % 4 == 0 ? 'w' : 'k';
    if (auto parsed = parse_wal_message(rubbish); parsed.ok()) {
      if (const auto* data = std::get_if<WalData>(&*parsed)) {
        EXPECT_LE(data->start, data->start + data->bytes.size());
      }
    }
  }
  Bytes wraps = data_message();
  std::fill(wraps.begin() + 1, wraps.begin() + 9, 0xff);
  EXPECT_FALSE(parse_wal_message(wraps).ok());
}

TEST(StandbyStatus, ReportsOnePositionAsWrittenFlushedAndApplied) {
  const Bytes s = standby_status({0x0102030405060708}, Timestamp{946'684'800'000'001}, true);
  const Bytes lsn = {1, 2, 3, 4, 5, 6, 7, 8};
  ASSERT_EQ(s.size(), 34u);
  EXPECT_EQ(s[0], 'r');
  for (int field = 0; field < 3; ++field) {
    EXPECT_TRUE(std::equal(lsn.begin(), lsn.end(), s.begin() + 1 + 8 * field));
  }
  EXPECT_EQ(s[32], 1);  // the clock: one microsecond after 2000
  EXPECT_EQ(s[33], 1);
}

TEST(ParseSize, ReadsWhatShowPrints) {
  EXPECT_EQ(*parse_size("16MB"), 16u << 20);
  EXPECT_EQ(*parse_size("1GB"), 1u << 30);
  EXPECT_EQ(*parse_size("64kB"), 65536u);
  EXPECT_EQ(*parse_size("8192"), 8192u);
  for (const char* bad : {"", "MB", "16mb", "-1", "1 MB", "99999999999999999999", "18446744073709551615GB"}) {
    EXPECT_FALSE(parse_size(bad).ok()) << bad;
  }
}

HostState host(const char* name, std::uint32_t timeline, bool standby, std::uint64_t system = 1) {
  HostState out;
  out.address.host = name;
  out.info = ServerInfo{.system_identifier = system, .timeline = timeline};
  out.in_recovery = standby;
  return out;
}

TEST(ChoosePrimary, PrefersTheHigherTimelineAndRefusesToGuess) {
  EXPECT_EQ(*choose_primary({host("a", 1, true), host("b", 1, false)}), 1u);
  EXPECT_EQ(*choose_primary({host("old", 1, false), host("new", 2, false)}), 1u);
  EXPECT_EQ(*choose_primary({host("new", 3, false), host("old", 2, false)}), 0u);
  EXPECT_EQ(choose_primary({host("a", 2, false), host("b", 2, false)}).error().code, ErrorCode::kAmbiguous);
  EXPECT_EQ(choose_primary({host("a", 1, false, 1), host("b", 2, false, 2)}).error().code, ErrorCode::kAmbiguous);
  HostState down;
  down.address.host = "c";
  down.error = Error{ErrorCode::kClosed, "connect on c:5432: refused", ""};
  auto none = choose_primary({host("a", 1, true), down});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kTemporary);
  EXPECT_NE(none.error().what.find("refused"), std::string::npos);
  EXPECT_FALSE(choose_primary({}).ok());
}

TEST(SlotName, FollowsPostgresRule) {
  EXPECT_TRUE(check_slot_name("stele_440000_registry").ok());
  for (const std::string bad : {"", "Stele", "a-b", "a b; DROP", std::string(64, 'a').c_str()}) {
    EXPECT_FALSE(check_slot_name(bad).ok()) << bad;
  }
}

TEST(BaseBackupCommand, FitsTheServerVersion) {
  EXPECT_EQ(base_backup_command(150020, {}, "'l'"),
            "BASE_BACKUP (LABEL 'l', PROGRESS true, CHECKPOINT 'spread', WAIT false, MANIFEST 'yes', VERIFY_CHECKSUMS "
            "false)");
  EXPECT_EQ(base_backup_command(170000, {.fast_checkpoint = true, .max_rate_kib = 2048}, "'l'"),
            "BASE_BACKUP (LABEL 'l', PROGRESS true, CHECKPOINT 'fast', WAIT false, MANIFEST 'yes', VERIFY_CHECKSUMS "
            "false, MAX_RATE 2048)");
  EXPECT_EQ(base_backup_command(140010, {.fast_checkpoint = true, .max_rate_kib = 64}, "'l'"),
            "BASE_BACKUP LABEL 'l' PROGRESS FAST NOWAIT MAX_RATE 64 NOVERIFY_CHECKSUMS MANIFEST 'yes'");
}

TEST(TextArray, IsParsedAsPostgresPrintsIt) {
  EXPECT_EQ(*parse_text_array("{}"), std::vector<std::string>{});
  EXPECT_EQ(*parse_text_array("{all}"), std::vector<std::string>{"all"});
  EXPECT_EQ(*parse_text_array(R"({a,"b c","d\"e\\f,",""})"), (std::vector<std::string>{"a", "b c", "d\"e\\f,", ""}));
  for (const char* bad : {"", "{", "a", "{a", "{a,}", "{\"a}", "{\"a\\}", "{{a}}"})
    EXPECT_FALSE(parse_text_array(bad).ok()) << bad;
}

TEST(Checks, KnowWhichFilesABaseBackupDoesNotHold) {
  EXPECT_TRUE(lies_beneath("/var/lib/pg/data/postgresql.conf", "/var/lib/pg/data"));
  EXPECT_TRUE(lies_beneath("/var/lib/pg/data/conf.d/../a.conf", "/var/lib/pg/data/"));
  EXPECT_FALSE(lies_beneath("/var/lib/pg/data2/postgresql.conf", "/var/lib/pg/data"));
  EXPECT_FALSE(lies_beneath("/etc/postgresql/15/main/postgresql.conf", "/var/lib/pg/data"));
  EXPECT_FALSE(lies_beneath("/var/lib/pg/data/../x", "/var/lib/pg/data"));
}

TEST(Checks, PrintTheTwoHbaLines) {
  EXPECT_EQ(needed_hba_lines("stele", "registry", "10.1.2.3", true),
            (std::vector<std::string>{"hostssl replication \"stele\" 10.1.2.3/32 scram-sha-256",
                                      "hostssl \"registry\" \"stele\" 10.1.2.3/32 scram-sha-256"}));
  EXPECT_EQ(needed_hba_lines("stele", "postgres", "", false)[0], "local replication \"stele\" scram-sha-256");
  EXPECT_EQ(needed_hba_lines("s", "d", "fd00::1", false)[1], "host \"d\" \"s\" fd00::1/128 scram-sha-256");
}

}  // namespace
}  // namespace stele::agent
