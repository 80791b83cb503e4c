#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/config/agent_config.h"
#include "core/config/receiver_config.h"
#include "core/config/restore_config.h"

using namespace stele;
using namespace stele::config;
using testing::HasSubstr;

namespace {

constexpr std::string_view kAgent = R"(
site = "440000"
database = "registry"
[postgres]
conninfo = "host=a,b user=stele"
[keys]
agent_key = "a"
enrolment = "b"
recipients = "c"
[[receiver]]
name = "r1"
address = "h:1"
[tls]
ca = "ca"
certificate = "cert"
key = "key"
)";

std::string agent_error(const std::string& extra, std::string_view from = "", std::string_view to = "") {
  std::string text(kAgent);
  if (!from.empty()) text.replace(text.find(from), from.size(), to);
  auto config = parse_agent_config(text + extra, "/etc/stele/agent.toml");
  return config.ok() ? "" : config.error().what;
}

constexpr std::string_view kReceiver = R"(
name = "r1"
[tls]
ca = "ca"
certificate = "cert"
key = "key"
[keys]
signing_key = "s"
[[authority]]
label = "national"
public_key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)";

}  // namespace

TEST(AgentConfig, TheShortestFileHasSafeDefaults) {
  auto config = parse_agent_config(kAgent, "/etc/stele/agent.toml");
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config->keys.agent_key, "/etc/stele/a");
  EXPECT_EQ(config->policy.ack, AckPolicy::kSpool);
  EXPECT_EQ(config->policy.on_full, OnFull::kHold);
  EXPECT_FALSE(config->policy.on_full_written);
  EXPECT_EQ(config->spool.max_bytes, 8ull << 30);
  EXPECT_EQ(config->bandwidth.limit_at(Timestamp{1}), 0u);
  EXPECT_THAT(config->secret_files(), testing::ElementsAre("/etc/stele/a", "/etc/stele/key"));
}

TEST(AgentConfig, RefusesContradictions) {
  EXPECT_THAT(agent_error("[policy]\nack = 'receivers'\nquorum = 2\n"),
              HasSubstr("agent.toml:19:10: [policy] quorum: expected at most the number of receivers, which is 1"));
  EXPECT_THAT(agent_error("[spool]\nmode = 'none'\n"),
              HasSubstr("expected \"receivers\", because [spool] mode is \"none\""));
  EXPECT_THAT(agent_error("[spool]\nmode = 'none'\n[policy]\nack = 'receivers'\non_quorum_loss = 'degrade'\n"),
              HasSubstr("on_quorum_loss: expected \"hold\""));
  EXPECT_THAT(agent_error("[policy]\non_full = 'drop'\n"), HasSubstr("release"));
  EXPECT_THAT(agent_error("[spool]\nmax_bytes = '64MiB'\n"), HasSubstr("at least two spool files"));
  EXPECT_THAT(agent_error("[spool]\nfile_bytes = '1MiB'\n"), HasSubstr("expected 4MiB to 1GiB"));
  EXPECT_THAT(agent_error("[spool]\nfile_bytes = '2GiB'\n"), HasSubstr("expected 4MiB to 1GiB"));
  EXPECT_THAT(agent_error("[log_stream]\nframe_bytes = '1MiB'\n"), HasSubstr("expected 8KiB to 768KiB"));
  EXPECT_THAT(agent_error("[log_stream]\nobject_bytes = '32MiB'\n"), HasSubstr("expected 1MiB to 16MiB, found 32MiB"));
  EXPECT_THAT(agent_error("[snapshot]\nmax_rate = '1kB/s'\n"), HasSubstr("PostgreSQL's limits"));
  EXPECT_THAT(agent_error("[snapshot]\nchunk_bytes = '100KiB'\n"), HasSubstr("multiple of 32KiB"));
  EXPECT_THAT(agent_error("[snapshot]\nschedule = '61 * * * *'\n"),
              HasSubstr("[snapshot] schedule: schedule: the minute \"61\""));
  EXPECT_THAT(agent_error("[snapshot]\ntime_zone = 'Asia/Nowhere'\n"), HasSubstr("expected a time zone"));
  EXPECT_THAT(agent_error("[[bandwidth.window]]\nhours = '8-20'\nlimit = '1MB/s'\n"),
              HasSubstr("[bandwidth.window 1] hours: expected hours"));
  EXPECT_THAT(agent_error("[[receiver]]\nname = 'r1'\naddress = 'h:2'\n"), HasSubstr("listed twice"));
  EXPECT_THAT(agent_error("[postgres2]\n"), HasSubstr("postgres2: unknown key"));
  EXPECT_THAT(agent_error("", "440000", "../etc"), HasSubstr("site: "));
  EXPECT_THAT(agent_error("", "user=stele\"", "user=stele\"\nslot = \"Stele\""), HasSubstr("expected a slot name"));
}

TEST(AgentConfig, TakesNoPasswordAndDoesNotPrintIt) {
  for (const char* conninfo : {"password=geheim", "host=a password = 'geheim'", "host='a b' password=geheim",
                               "host=a\\\\ b sslpassword=geheim", "postgresql://u:geheim@h/db",
                               "postgres://h/db?password=geheim", "postgresql://u@h/db?a=b&sslpassword=geheim",
                               "postgresql://u:ge?heim@h/db", "postgresql://u@h/db?%70assword=geheim"}) {
    const std::string error = agent_error("", "host=a,b user=stele", conninfo);
    EXPECT_THAT(error, HasSubstr("holds a secret")) << conninfo;
    EXPECT_THAT(error, testing::Not(HasSubstr("geheim"))) << conninfo;
  }
}

TEST(AgentConfig, TakesConnectionStringsWithoutPassword) {
  for (const char* conninfo :
       {"", "host=a,b port=1,2 passfile=/x user=u", "service=stele", "application_name='password=x'",
        "host=a\\ password=b", "postgresql://u@h1:1,h2:2/db?passfile=x", "postgresql://[::1]:5432/db",
        "postgresql:///db?host=/run/x"}) {
    Status status = check_conninfo_without_secret(conninfo);
    EXPECT_TRUE(status.ok()) << conninfo << ": " << status.error().what;
  }
  EXPECT_FALSE(check_conninfo_without_secret("host").ok());
  EXPECT_FALSE(check_conninfo_without_secret("host='a").ok());
  EXPECT_FALSE(check_conninfo_without_secret("host='a\\").ok());
}

TEST(ReceiverConfig, TakesAuthoritiesInPlaceAndFromAFile) {
  auto config = parse_receiver_config(kReceiver, "/etc/stele/receiver.toml");
  ASSERT_TRUE(config.ok()) << config.error().what;
  ASSERT_EQ(config->authorities.size(), 1u);
  const std::string hex = to_hex(config->authorities[0].public_key);
  EXPECT_EQ(load_authority_text(config->authorities[0]).value(), hex);
  EXPECT_EQ(config->authorities[0].public_key.size(), 32u);

  const std::string path = testing::TempDir() + "stele-authority-" + std::to_string(::getpid());
  std::ofstream(path) << hex << "\n";
  EXPECT_EQ(load_authority_text({"x", {}, path}).value(), hex);
  std::filesystem::remove(path);
  EXPECT_EQ(load_authority_text({"x", {}, path}).error().code, ErrorCode::kNotFound);
}

TEST(ReceiverConfig, TakesRestoreHostsOrNone) {
  EXPECT_TRUE(parse_receiver_config(kReceiver, "/etc/stele/receiver.toml").value().restore_hosts.empty());
  const std::string host = "[[restore_host]]\nlabel = 'drill-1'\npublic_key = 'drill-1.pub'\n";
  auto config = parse_receiver_config(std::string(kReceiver) + host, "/etc/stele/receiver.toml");
  ASSERT_TRUE(config.ok()) << config.error().what;
  ASSERT_EQ(config->restore_hosts.size(), 1u);
  EXPECT_EQ(config->restore_hosts[0].label, "drill-1");
  EXPECT_EQ(config->restore_hosts[0].path, "/etc/stele/drill-1.pub");
  auto twice = parse_receiver_config(std::string(kReceiver) + host + host, "/etc/stele/receiver.toml");
  ASSERT_FALSE(twice.ok());
  EXPECT_THAT(twice.error().what, HasSubstr("the restore_host \"drill-1\" is listed twice"));
}

TEST(ReceiverConfig, RefusesContradictions) {
  auto error = [](const std::string& extra) {
    auto config = parse_receiver_config(std::string(kReceiver) + extra, "receiver.toml");
    return config.ok() ? "" : config.error().what;
  };
  EXPECT_THAT(error("[[site]]\nname = '1'\ndatabases = ['a']\nauthorities = ['other']\n"),
              HasSubstr("no [[authority]] with the label \"other\""));
  EXPECT_THAT(error("[[site]]\nname = '1'\ndatabases = ['A B']\nauthorities = ['national']\n"),
              HasSubstr("[site 1] databases"));
  EXPECT_THAT(error("[[site]]\nname = '1'\ndatabases = []\nauthorities = ['national']\n"),
              HasSubstr("at least one entry"));
  const std::string site = "[[site]]\nname = '1'\ndatabases = ['a']\nauthorities = ['national']\n";
  EXPECT_EQ(error(site), "");
  EXPECT_THAT(error(site + site), HasSubstr("listed twice"));
  EXPECT_THAT(error("[journal]\nmax_bytes = '128MiB'\n"), HasSubstr("at least four journal files"));
  EXPECT_THAT(error("[journal]\nfile_bytes = '2GiB'\n"), HasSubstr("expected 1MiB to 1GiB"));
  EXPECT_THAT(error("[store]\njournal = 'elsewhere'\n"), HasSubstr("unknown key"));
}

TEST(RestoreConfig, ReadsEitherADirectoryOrReceivers) {
  auto directory = parse_restore_config("[store]\ndirectory = 'store/'\n", "/data/restore.toml");
  ASSERT_TRUE(directory.ok()) << directory.error().what;
  EXPECT_EQ(directory->store_directory, "/data/store");

  const std::string receivers =
      "[[receiver]]\nname = 'a'\naddress = 'h:1'\n[[receiver]]\nname = 'b'\naddress = 'h:2'\n";
  const std::string tls = "[tls]\nca = 'a'\ncertificate = 'b'\nkey = 'c'\n";
  auto both = parse_restore_config(receivers + tls + "[store]\ndirectory = 'x'\n", "r.toml");
  ASSERT_FALSE(both.ok());
  EXPECT_THAT(both.error().what, HasSubstr("found both"));
  auto online = parse_restore_config(receivers + tls, "r.toml");
  ASSERT_TRUE(online.ok()) << online.error().what;
  EXPECT_EQ(online->receivers.size(), 2u);
  auto without_certificate = parse_restore_config(receivers, "r.toml");
  ASSERT_FALSE(without_certificate.ok());
  EXPECT_THAT(without_certificate.error().what, HasSubstr("[tls] ca: is missing"));
  auto neither = parse_restore_config("", "r.toml");
  ASSERT_FALSE(neither.ok());
  EXPECT_THAT(neither.error().what, HasSubstr("found neither"));
}
