#include "restore/postgres/recovery_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "core/io/durable_file.h"
#include "tests/support/fault_file_system.h"

namespace stele::restore {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Configure : public testing::Test {
 protected:
  Configure() {
    EXPECT_TRUE(fs_.make_directory("/data").ok());
    write("backup_label", "START WAL LOCATION: 0/2000028\n");
    recovery_.restore_command = *make_restore_command({"/usr/bin/stele-restore", "wal-fetch"});
    recovery_.target = RecoveryTarget::lsn({0x3000000});
    source_.server_version = 150020;
    source_.control.wal_level = pg::WalLevel::kReplica;
    source_.control.max_connections = 300;
    source_.control.max_worker_processes = 8;
    source_.control.max_wal_senders = 10;
    source_.control.max_locks_per_xact = 64;
  }
  void write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(io::write_file_durably(fs_, "/data/" + name, as_bytes(text), io::WriteMode::kReplace).ok());
  }
  std::string read(const std::string& name) {
    auto bytes = io::read_file(fs_, "/data/" + name, 1 << 20);
    EXPECT_TRUE(bytes.ok()) << name;
    return bytes.ok() ? std::string(as_text(*bytes)) : "";
  }
  bool there(const std::string& name) { return *fs_.exists("/data/" + name); }
  Result<ConfigurationReport> configure_all() { return configure(fs_, "/data", recovery_, source_, options_, nullptr); }
  ConfigurationReport must() {
    auto report = configure_all();
    EXPECT_TRUE(report.ok()) << report.error().to_string();
    return report.ok() ? std::move(*report) : ConfigurationReport();
  }
  /// What PostgreSQL would use: the last line of postgresql.conf and postgresql.auto.conf that sets it.
  std::optional<std::string> effective(std::string_view name) {
    std::optional<std::string> value;
    for (const char* file : {"postgresql.conf", "postgresql.auto.conf"}) {
      for (const auto& line : parse_config(read(file))) {
        EXPECT_NE(line.kind, ConfigLineKind::kBad) << file << ": " << line.text;
        if (line.kind == ConfigLineKind::kSetting && line.name == name) value = line.value;
      }
    }
    return value;
  }
  static std::vector<std::string> names(const ConfigurationReport& report) {
    std::vector<std::string> out;
    for (const auto& n : report.neutralised) out.push_back(n.name);
    return out;
  }

  test::FaultFileSystem fs_;
  RecoverySettings recovery_;
  SourceFacts source_;
  ConfigurationOptions options_;
};

TEST_F(Configure, MakesWhatDebianKeepsOutsideTheDataDirectory) {
  source_.settings = {{"shared_preload_libraries", "pg_stat_statements"},
                      {"TimeZone", "Asia/Shanghai"},
                      {"archive_mode", "on"},
                      {"shared_buffers", "9999999"}};
  auto report = must();
  EXPECT_THAT(report.made_files, ElementsAre("postgresql.conf", "pg_hba.conf", "pg_ident.conf"));
  EXPECT_EQ(effective("max_connections"), "300");
  EXPECT_EQ(effective("timezone"), "Asia/Shanghai");
  EXPECT_EQ(effective("shared_buffers"), std::nullopt);
  EXPECT_EQ(effective("listen_addresses"), "localhost");
  EXPECT_THAT(read("pg_hba.conf"), Not(HasSubstr("trust")));
  EXPECT_TRUE(there("recovery.signal"));
  // Told though no restored file has it.
  EXPECT_THAT(names(report), Contains("archive_mode"));
}

TEST_F(Configure, NeutralisesWhatWouldReachTheSource) {
  write("postgresql.conf", R"(max_connections = 400
synchronous_standby_names = '*'
archive_mode = on
archive_command = 'cp %p /production/%f'
primary_conninfo = 'host=10.0.0.1 password=geheim'
primary_slot_name = standby1
recovery_target_name = 'old'
restore_command = 'rm -rf /'
listen_addresses = '*'
work_mem = 64MB
)");
  write("postgresql.auto.conf",
        "# Do not edit\nwork_mem = '32MB'\narchive_command = 'evil \\'' ALTER'\nprimary_conninfo = 'host=z "
        "password=geheim'\n");
  auto report = must();
  for (const char* name : {"synchronous_standby_names", "archive_command", "primary_conninfo", "primary_slot_name",
                           "recovery_target_name", "archive_library"}) {
    EXPECT_EQ(effective(name), "") << name;
  }
  EXPECT_EQ(effective("archive_mode"), "off");
  EXPECT_EQ(effective("restore_command"), recovery_.restore_command);
  EXPECT_EQ(effective("recovery_target_lsn"), "0/3000000");
  EXPECT_EQ(effective("work_mem"), "32MB");
  EXPECT_EQ(effective("listen_addresses"), "localhost");
  EXPECT_THAT(names(report), Contains("synchronous_standby_names"));
  EXPECT_THAT(names(report), Contains("primary_conninfo"));
  EXPECT_THAT(names(report), Contains("restore_command"));
  EXPECT_THAT(report.raised, IsEmpty());  // 400 is more than the 300 of pg_control
  EXPECT_THAT(report.made_files, ElementsAre("pg_hba.conf", "pg_ident.conf"));
  EXPECT_THAT(report.edited_files, IsEmpty());
  for (const auto& n : report.neutralised) {
    EXPECT_EQ(n.source_value.find("geheim"), std::string::npos);
    EXPECT_EQ(n.source_value.find("production"), std::string::npos);
    EXPECT_FALSE(n.reason.empty());
  }
}

TEST_F(Configure, RaisesTheMinimaOfHotStandby) {
  write("postgresql.conf", "max_connections = 50\nmax_worker_processes = 20\n");
  source_.control.max_prepared_xacts = 5;
  auto report = must();
  EXPECT_THAT(report.raised, ElementsAre(Setting{"max_connections", "300"}, Setting{"max_prepared_transactions", "5"}));
  EXPECT_EQ(effective("max_connections"), "300");
  EXPECT_EQ(effective("max_worker_processes"), "20");
}

TEST_F(Configure, LinesThatNothingCanOverruleBecomeComments) {
  write("postgresql.conf", R"(data_directory = '/var/lib/postgresql/15/main'
hba_file = '/etc/postgresql/15/main/pg_hba.conf'
external_pid_file = '/var/run/x.pid'
include_dir = '/etc/postgresql/15/main/conf.d'
include '../outside.conf'
include 'inside.conf'
include_if_exists 'nothing.conf'
include 'missing.conf'
this is no setting
port = 5433
)");
  write("inside.conf", "work_mem = 1MB\ndata_directory = '/elsewhere'\ninclude 'postgresql.conf'\n");
  std::string before = read("postgresql.conf");
  auto report = must();
  EXPECT_THAT(report.edited_files, ElementsAre("inside.conf", "postgresql.conf"));
  EXPECT_EQ(read("postgresql.conf.stele-source"), before);
  for (const char* name : {"data_directory", "hba_file", "external_pid_file"})
    EXPECT_EQ(effective(name), std::nullopt) << name;
  std::vector<std::string> included;
  for (const auto& line : parse_config(read("postgresql.conf"))) {
    if (line.kind != ConfigLineKind::kSetting && line.kind != ConfigLineKind::kEmpty) included.push_back(line.value);
  }
  EXPECT_THAT(included, ElementsAre("inside.conf", "nothing.conf"));
  EXPECT_EQ(report.port, 5433);
  EXPECT_EQ(read("inside.conf").find("\ndata_directory"), std::string::npos);
}

TEST_F(Configure, MayBeRepeated) {
  write("postgresql.conf", "port = 5433\n");
  write("postgresql.auto.conf", "work_mem = '32MB'\narchive_mode = 'on'\ninclude '/etc/evil'\n");
  must();
  ASSERT_TRUE(raise_setting(fs_, "/data", {"max_connections", "700"}).ok());
  EXPECT_EQ(effective("max_connections"), "700");
  recovery_.target = RecoveryTarget::immediate();
  must();
  std::string once = read("postgresql.auto.conf");
  must();
  EXPECT_EQ(read("postgresql.auto.conf"), once);
  EXPECT_EQ(effective("recovery_target_lsn"), "");
  EXPECT_EQ(effective("recovery_target"), "immediate");
  EXPECT_EQ(effective("work_mem"), "32MB");
  EXPECT_EQ(effective("max_connections"), "700");
  EXPECT_THAT(once, HasSubstr("#source: archive_mode = 'on'"));
}

TEST_F(Configure, SslWithoutItsFilesIsTurnedOff) {
  write("postgresql.conf",
        "ssl = on\nssl_cert_file = '/etc/ssl/certs/none.pem'\nssl_passphrase_command = 'cat /secret'\n");
  must();
  EXPECT_EQ(effective("ssl"), "off");
  EXPECT_EQ(effective("ssl_passphrase_command"), "");
  write("server.crt", "c");
  write("server.key", "k");
  write("postgresql.conf", "ssl = yes\n");
  ASSERT_TRUE(fs_.unlink("/data/postgresql.auto.conf").ok());
  must();
  EXPECT_EQ(effective("ssl"), "yes");
}

TEST_F(Configure, OnlyAllowedPreloadLibrariesStay) {
  write("postgresql.conf",
        "shared_preload_libraries = 'pg_stat_statements, /tmp/evil, pg_cron'\nlog_directory = '/var/log/postgresql'\n");
  must();
  EXPECT_EQ(effective("shared_preload_libraries"), "pg_stat_statements, pg_cron");
  EXPECT_EQ(effective("log_directory"), "log");
  options_.allowed_libraries = {"pg_stat_statements"};
  auto report = must();
  EXPECT_EQ(effective("shared_preload_libraries"), "pg_stat_statements");
  EXPECT_THAT(names(report), Contains("shared_preload_libraries"));
}

TEST_F(Configure, ForcedSettingsWin) {
  options_.forced = {{"archive_mode", "always"}, {"port", "7000"}};
  options_.port = 6000;
  EXPECT_EQ(must().port, 7000);
  EXPECT_EQ(effective("port"), "7000");
  EXPECT_EQ(effective("archive_mode"), "always");
}

TEST_F(Configure, RemovesStandbySignal) {
  write("standby.signal", "");
  EXPECT_THAT(must().removed_files, ElementsAre("standby.signal"));
  EXPECT_FALSE(there("standby.signal"));
}

TEST_F(Configure, RefusesDirectoriesThatWouldBeHarmed) {
  write("tablespace_map", "16384 /production\n");
  EXPECT_EQ(configure_all().error().code, ErrorCode::kDamaged);
  ASSERT_TRUE(fs_.unlink("/data/tablespace_map").ok());
  write("postmaster.pid", "1\n");
  EXPECT_EQ(configure_all().error().code, ErrorCode::kExists);
  ASSERT_TRUE(fs_.unlink("/data/postmaster.pid").ok());
  ASSERT_TRUE(fs_.unlink("/data/backup_label").ok());
  EXPECT_EQ(configure_all().error().code, ErrorCode::kDamaged);
  EXPECT_FALSE(there("recovery.signal"));
}

TEST_F(Configure, RefusesTargetsThatPostgresWouldRefuse) {
  auto refused = [&](RecoveryTarget target) {
    recovery_.target = std::move(target);
    return configure_all().ok() ? ErrorCode::kInternal : configure_all().error().code;
  };
  EXPECT_EQ(refused({RecoveryTarget::Kind::kXid, "12x"}), ErrorCode::kConfig);
  EXPECT_EQ(refused({RecoveryTarget::Kind::kXid, "4294967296"}), ErrorCode::kConfig);
  EXPECT_EQ(refused(RecoveryTarget::name("")), ErrorCode::kConfig);
  EXPECT_EQ(refused(RecoveryTarget::name(std::string(64, 'x'))), ErrorCode::kConfig);
  EXPECT_EQ(refused({RecoveryTarget::Kind::kLsn, "zzz"}), ErrorCode::kUsage);
  EXPECT_EQ(refused({RecoveryTarget::Kind::kTime, "yesterday"}), ErrorCode::kUsage);
  recovery_.target = {};
  recovery_.timeline = "0";
  EXPECT_EQ(configure_all().error().code, ErrorCode::kConfig);
  recovery_.timeline = "2";
  recovery_.restore_command = "";
  EXPECT_EQ(configure_all().error().code, ErrorCode::kConfig);
}

TEST_F(Configure, TimesKeepTheirMicrosecondsAndSayTheirZone) {
  recovery_.target = RecoveryTarget::time(*parse_timestamp("2026-11-23T23:33:45.123456+08"));
  must();
  EXPECT_EQ(effective("recovery_target_time"), "2026-11-23 15:33:45.123456+00");
}

TEST_F(Configure, NamesWithQuotesArriveUnchanged) {
  recovery_.target = RecoveryTarget::name("it's a \\ 'release'");
  must();
  EXPECT_EQ(effective("recovery_target_name"), "it's a \\ 'release'");
}

TEST_F(Configure, AfterAnyFailureItMayBeRepeated) {
  for (std::uint64_t n = 1; n < 400; ++n) {
    SCOPED_TRACE(n);
    test::FaultFileSystem fs(n);
    ASSERT_TRUE(fs.make_directory("/data").ok());
    auto put = [&](const std::string& name, std::string_view text) {
      ASSERT_TRUE(io::write_file_durably(fs, "/data/" + name, as_bytes(text), io::WriteMode::kReplace).ok());
    };
    put("backup_label", "x");
    put("postgresql.conf", "data_directory = '/production'\nport = 5433\n");
    put("postgresql.auto.conf", "archive_mode = 'on'\nwork_mem = '32MB'\n");
    put("standby.signal", "");
    fs.fail_operation(n, EIO);
    auto first = configure(fs, "/data", recovery_, source_, options_, nullptr);
    if (!fs.failure_happened()) {
      EXPECT_TRUE(first.ok());
      EXPECT_GT(n, 20u);
      return;
    }
    fs.fail_operation(0, 0);
    auto second = configure(fs, "/data", recovery_, source_, options_, nullptr);
    ASSERT_TRUE(second.ok()) << second.error().to_string();
    auto original = io::read_file(fs, "/data/postgresql.conf.stele-source", 1000);
    ASSERT_TRUE(original.ok());
    EXPECT_EQ(as_text(*original), "data_directory = '/production'\nport = 5433\n");
    auto conf = io::read_file(fs, "/data/postgresql.conf", 1000);
    EXPECT_FALSE(as_text(*conf).starts_with("data_directory"));
    auto automatic = io::read_file(fs, "/data/postgresql.auto.conf", 10000);
    EXPECT_THAT(std::string(as_text(*automatic)), HasSubstr("work_mem = '32MB'"));
    EXPECT_FALSE(*fs.exists("/data/standby.signal"));
  }
  FAIL() << "never got through";
}

TEST_F(Configure, AfterRecoveryNothingOfItsTargetIsInherited) {
  write("postgresql.conf", "port = 5433\nrestore_command = 'cp /production/%f %p'\n");
  recovery_.target = RecoveryTarget::lsn(Position{0x5000000});
  recovery_.timeline = "3";
  must();
  ASSERT_EQ(effective("recovery_target_timeline"), "3");
  ASSERT_EQ(effective("recovery_target_lsn"), "0/5000000");
  ASSERT_TRUE(clear_recovery_target(fs_, "/data").ok());
  EXPECT_EQ(effective("recovery_target_timeline"), "latest");
  EXPECT_EQ(effective("recovery_target_lsn"), "");
  EXPECT_EQ(effective("restore_command"), "") << "nor the source's own";
  EXPECT_EQ(effective("archive_mode"), "off") << "the rest stays";
}

}  // namespace
}  // namespace stele::restore
