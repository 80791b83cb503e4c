#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/postgres/base_backup.h"
#include "agent/postgres/checks_sql.h"
#include "tests/scenario/agent_postgres/support.h"

namespace stele::agent {
namespace {

TEST(Timelines, AStandbyThatIsPromotedEndsTheTimelineAtItsSwitchPoint) {
  auto primary = started();
  ASSERT_TRUE(primary);
  SystemClock clock;
  auto made = PostgresCluster::create_empty();
  ASSERT_OK(made);
  PostgresCluster& standby = **made;
  ASSERT_OK(primary->run({"pg_basebackup", "-R", "-c", "fast", "-D", standby.data_directory()}));
  ASSERT_OK(standby.start());

  auto hosts = split_hosts(primary->conninfo());
  auto second = split_hosts(standby.conninfo());
  ASSERT_TRUE(hosts.ok() && second.ok());
  hosts->push_back(second->at(0));
  auto found = survey_hosts(*hosts, {}, seconds(60), new_interrupt(), seconds(60));
  // Another host takes connections and never says a word.
  const int dark = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(dark, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(dark, 8), 0);
  ASSERT_EQ(::getsockname(dark, reinterpret_cast<sockaddr*>(&address), &size), 0);
  auto third = split_hosts(fmt::format("host=127.0.0.1 port={} user=postgres dbname=postgres", ntohs(address.sin_port)));
  ASSERT_OK(third);
  auto without = survey_hosts({hosts->at(0), third->at(0)}, {}, std::chrono::hours(1), new_interrupt());
  ::close(dark);
  ASSERT_OK(without);
  EXPECT_EQ(*choose_primary(*without), 0u);
  EXPECT_TRUE((*without)[1].error) << "not waited for: there is a primary";
  ASSERT_OK(found);
  EXPECT_EQ(*choose_primary(*found), 0u);
  EXPECT_TRUE((*found)[1].in_recovery);
  EXPECT_EQ((*found)[1].info->wal_segment_size, 1u << 20);
  EXPECT_EQ((*found)[0].info->system_identifier, (*found)[1].info->system_identifier);
  EXPECT_TRUE((*found)[0].info->data_checksums);
  EXPECT_EQ((*found)[0].info->version_num / 10000, 15);

  // A slot on a standby keeps WAL until it is advanced.
  auto sql = connect(standby, ConnectionMode::kSql);
  ASSERT_OK(sql);
  auto stream = open_stream(standby, clock);
  ASSERT_OK(stream);
  {
    auto replication = connect(standby, ConnectionMode::kReplication);
    ASSERT_OK(replication);
    ASSERT_OK(ensure_slot(*replication, "idle_slot", deadline_in(seconds(5))));
  }
  ASSERT_OK(primary->psql("CREATE TABLE t AS SELECT i FROM generate_series(1, 20000) i"));
  const Position end = position(*primary);
  while (stream->received_end() < end) {
    auto event = stream->next(deadline_in(seconds(10)));
    ASSERT_OK(event);
    ASSERT_FALSE(std::holds_alternative<WalIdle>(*event));
  }
  ASSERT_OK(stream->send_status(stream->received_end()));
  auto at = read_slot(*sql, "idle_slot", deadline_in(seconds(5)));
  ASSERT_OK(at);
  ASSERT_TRUE(at->restart.has_value());
  const Position before = *at->restart;
  auto advanced = advance_slot(*sql, "idle_slot", end + (1 << 30), deadline_in(seconds(5)));
  ASSERT_OK(advanced);
  EXPECT_GT(*advanced, before);
  auto back = advance_slot(*sql, "idle_slot", before, deadline_in(seconds(5)));
  ASSERT_OK(back);
  EXPECT_EQ(*back, *advanced);
  ASSERT_OK(advance_slot(*sql, "stele", end, deadline_in(seconds(5))));  // a slot in use is left alone

  const Instant began = clock.steady_now();
  ASSERT_OK(primary->stop());
  EXPECT_LT(clock.steady_now() - began, seconds(20));
  const Position last = stream->received_end();
  ASSERT_OK(standby.psql("SELECT pg_promote()"));
  std::optional<EndOfTimeline> ended;
  while (!ended) {
    auto event = stream->next(deadline_in(seconds(10)));
    ASSERT_OK(event);
    ASSERT_FALSE(std::holds_alternative<WalIdle>(*event));
    if (std::holds_alternative<EndOfTimeline>(*event)) ended = std::get<EndOfTimeline>(*event);
  }
  EXPECT_EQ(ended->next_timeline, 2u);
  EXPECT_GE(ended->switch_point, last);
  EXPECT_EQ(stream->received_end(), ended->switch_point);

  PgConnection connection = stream->take_connection();
  auto history = fetch_timeline_history(connection, 2, deadline_in(seconds(5)));
  ASSERT_OK(history);
  EXPECT_EQ(history->file_name, "00000002.history");
  EXPECT_NE(as_text(history->content).find(ended->switch_point.to_string()), std::string_view::npos);
  EXPECT_FALSE(fetch_timeline_history(connection, 1, deadline_in(seconds(5))).ok());

  // Asked for the old timeline at its very end, the server says at once what follows.
  auto empty = WalStream::start(std::move(connection), {.slot = "stele", .start = ended->switch_point, .timeline = 1},
                                clock, deadline_in(seconds(5)));
  ASSERT_OK(empty);
  auto event = empty->next(deadline_in(seconds(5)));
  ASSERT_OK(event);
  ASSERT_TRUE(std::holds_alternative<EndOfTimeline>(*event));
  EXPECT_EQ(std::get<EndOfTimeline>(*event).switch_point, ended->switch_point);

  auto next = WalStream::start(empty->take_connection(), {.slot = "stele", .start = ended->switch_point, .timeline = 2},
                               clock, deadline_in(seconds(5)));
  ASSERT_OK(next);
  ASSERT_OK(standby.psql("INSERT INTO t VALUES (7)"));
  const Position target = position(standby);
  while (next->received_end() < target) {
    auto more = next->next(deadline_in(seconds(10)));
    ASSERT_OK(more);
    ASSERT_FALSE(std::holds_alternative<WalIdle>(*more));
  }
  // A timeline that is not in this server's history is a fork.
  auto fork = WalStream::start(connect(standby, ConnectionMode::kReplication).value(),
                               {.slot = "idle_slot", .start = target, .timeline = 9}, clock, deadline_in(seconds(5)));
  ASSERT_FALSE(fork.ok());
  EXPECT_EQ(fork.error().code, ErrorCode::kFork) << fork.error().to_string();
}

/// The number of entries of a tar archive, or -1 when its sizes do not add up.
int tar_entries(const Bytes& tar) {
  int entries = 0;
  std::size_t at = 0;
  while (at + 512 <= tar.size() && tar[at] != 0) {
    std::size_t size = 0;
    for (std::size_t i = at + 124; i < at + 135; ++i) size = size * 8 + (tar[i] - '0');
    at += 512 + (size + 511) / 512 * 512;
    ++entries;
  }
  const bool only_zeros = std::all_of(tar.begin() + static_cast<std::ptrdiff_t>(std::min(at, tar.size())), tar.end(),
                                      [](std::uint8_t b) { return b == 0; });
  return at <= tar.size() && only_zeros && tar.size() % 512 == 0 ? entries : -1;
}

TEST(BaseBackup, ReadsEveryTablespaceManifestAndStopPosition) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  const std::string space = cluster->root_directory() + "/space";
  ASSERT_EQ(mkdir(space.c_str(), 0700), 0);
  ASSERT_OK(test::give_to_database_user(space));
  ASSERT_OK(cluster->psql("CREATE TABLESPACE extra LOCATION '" + space + "'"));
  ASSERT_OK(
      cluster->psql("CREATE TABLE t TABLESPACE extra AS SELECT i, md5(i::text) AS x FROM generate_series(1, 30000) i"));
  const auto oid = cluster->psql("SELECT oid FROM pg_tablespace WHERE spcname = 'extra'");
  ASSERT_OK(oid);

  auto connection = connect(*cluster, ConnectionMode::kReplication);
  ASSERT_OK(connection);
  auto backup = BaseBackup::start(std::move(*connection), {.label = "it's a test", .fast_checkpoint = true},
                                  deadline_in(seconds(60)));
  ASSERT_OK(backup);
  EXPECT_EQ(backup->begin().timeline, 1u);
  ASSERT_EQ(backup->begin().tablespaces.size(), 2u);
  EXPECT_GT(backup->estimated_size(), 20u << 20);
  std::map<std::string, Bytes> archives;
  std::string current, manifest;
  std::optional<BackupEnd> end;
  while (!end) {
    auto event = backup->next(deadline_in(seconds(30)));
    ASSERT_OK(event);
    if (const auto* begin = std::get_if<ArchiveBegin>(&*event)) {
      ASSERT_EQ(current, "");
      current = begin->oid ? std::to_string(*begin->oid) : "base";
      EXPECT_EQ(begin->path, begin->oid ? space : "");
      ASSERT_TRUE(archives.emplace(current, Bytes{}).second);
    } else if (const auto* data = std::get_if<ArchiveData>(&*event)) {
      ASSERT_NE(current, "");
      archives[current].insert(archives[current].end(), data->bytes.begin(), data->bytes.end());
    } else if (std::holds_alternative<ArchiveEnd>(*event)) {
      current = "";
    } else if (const auto* piece = std::get_if<ManifestData>(&*event)) {
      ASSERT_EQ(current, "");
      manifest += as_text(piece->bytes);
    } else {
      end = std::get<BackupEnd>(*event);
    }
  }
  ASSERT_EQ(archives.size(), 2u);
  EXPECT_EQ(archives.count(*oid), 1u);
  EXPECT_GT(tar_entries(archives["base"]), 500);
  EXPECT_GT(tar_entries(archives[*oid]), 0);
  EXPECT_EQ(backup->bytes_read(), archives["base"].size() + archives[*oid].size());
  EXPECT_GE(backup->bytes_read() + (1 << 20), backup->estimated_size());
  EXPECT_GT(end->stop, backup->begin().start);
  EXPECT_EQ(end->timeline, 1u);
  EXPECT_NE(manifest.find("\"PostgreSQL-Backup-Manifest-Version\""), std::string::npos);
  EXPECT_NE(manifest.find("\"Manifest-Checksum\""), std::string::npos);
  EXPECT_NE(as_text(archives["base"]).find("LABEL: it's a test"), std::string_view::npos);
  EXPECT_EQ(as_text(archives["base"]).find("tablespace_map"), std::string_view::npos);
  EXPECT_FALSE(backup->next(deadline_in(seconds(1))).ok());
}

TEST(BaseBackup, DroppedMidwayLeavesTheServerFree) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  {
    auto backup = BaseBackup::start(connect(*cluster, ConnectionMode::kReplication).value(),
                                    {.fast_checkpoint = true, .max_rate_kib = 1024}, deadline_in(seconds(60)));
    ASSERT_OK(backup);
    ASSERT_OK(backup->next(deadline_in(seconds(10))));
    ASSERT_OK(backup->next(deadline_in(seconds(10))));
  }
  std::string left = "1";
  for (int i = 0; i < 100 && left != "0"; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
    left = cluster->psql("SELECT count(*) FROM pg_stat_replication").value();
  }
  EXPECT_EQ(left, "0");
}

TEST(Connection, RefusalsSayWhatToDo) {
  auto cluster = started();
  ASSERT_TRUE(cluster);
  ASSERT_OK(
      cluster->psql("CREATE ROLE plain LOGIN PASSWORD 'planted-secret'; CREATE ROLE agent LOGIN REPLICATION; GRANT "
                    "pg_monitor TO agent"));
  const auto try_as = [&](const std::string& extra, ConnectionMode mode) {
    auto hosts = split_hosts("host=" + cluster->socket_directory() + " dbname=postgres " + extra);
    ConnectOptions options;
    options.mode = mode;
    return PgConnection::connect(hosts->at(0), options, deadline_in(seconds(5)), new_interrupt());
  };
  auto nobody = try_as("user=nobody_at_all password=planted-secret", ConnectionMode::kSql);
  ASSERT_FALSE(nobody.ok());
  EXPECT_EQ(nobody.error().code, ErrorCode::kUnauthorised) << nobody.error().to_string();
  EXPECT_EQ(nobody.error().to_string().find("planted-secret"), std::string::npos);
  auto plain = try_as("user=plain", ConnectionMode::kReplication);
  ASSERT_FALSE(plain.ok()) << "a role without REPLICATION";
  EXPECT_EQ(sqlstate_of(plain.error()), "42501") << plain.error().to_string();
  EXPECT_NE(plain.error().hint.find("REPLICATION"), std::string::npos);
  auto refused = try_as("user=plain port=1", ConnectionMode::kSql);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(reconnect_reason(refused.error()), ReconnectReason::kRefused);

  auto agent = try_as("user=agent", ConnectionMode::kReplication);
  ASSERT_OK(agent);
  EXPECT_EQ(agent->query("SHOW wal_sender_timeout", deadline_in(seconds(5)))->single("x").value(), "4s");
  EXPECT_FALSE(agent->query("SELECT 1", deadline_in(seconds(5))).ok()) << "no SQL on a walsender";
  EXPECT_TRUE(agent->usable());

  auto sql = try_as("user=plain", ConnectionMode::kSql);
  ASSERT_OK(sql);
  EXPECT_EQ(sql->query("SELECT pg_sleep(30)", deadline_in(milliseconds(200))).error().code, ErrorCode::kTimeout);
  EXPECT_FALSE(sql->usable());
}

TEST(DatabaseFacts, AreWhatTheServerSays) {
  auto cluster = started({.wal_segment_mb = 1,
                          .config = "max_slot_wal_keep_size = 64MB\nmax_wal_senders = 7\n"
                                    "synchronous_standby_names = 'other'\nsynchronous_commit = local\n"});
  ASSERT_TRUE(cluster);
  ASSERT_OK(cluster->psql(
      "CREATE ROLE plain LOGIN; CREATE ROLE agent LOGIN REPLICATION; GRANT pg_monitor TO agent;"
      "ALTER ROLE plain SET synchronous_commit = off; ALTER DATABASE postgres SET synchronous_commit = remote_apply"));
  SystemClock clock;
  const auto facts_of = [&](const std::string& role) -> Result<DatabaseFacts> {
    STELE_TRY(auto hosts, split_hosts("host=" + cluster->socket_directory() + " user=" + role));
    STELE_TRY(auto sql, PgConnection::connect(hosts[0], {}, deadline_in(seconds(5)), new_interrupt()));
    return read_database_facts(sql, clock, deadline_in(seconds(10)));
  };
  auto facts = facts_of("agent");
  ASSERT_OK(facts);
  EXPECT_EQ(facts->role, "agent");
  EXPECT_TRUE(facts->can_replicate);
  EXPECT_FALSE(facts->is_superuser);
  EXPECT_TRUE(facts->has_pg_monitor);
  EXPECT_EQ(facts->wal_level, "replica");
  EXPECT_EQ(facts->max_slot_wal_keep_size, 64 << 20);
  EXPECT_EQ(facts->max_wal_senders, 7);
  EXPECT_EQ(facts->used_wal_senders, 0);
  EXPECT_EQ(facts->synchronous_standby_names, "other");
  ASSERT_EQ(facts->synchronous_commit_overrides.size(), 2u);
  EXPECT_EQ(facts->synchronous_commit_overrides[0].database, "postgres");
  EXPECT_EQ(facts->synchronous_commit_overrides[0].value, "remote_apply");
  EXPECT_EQ(facts->synchronous_commit_overrides[1].role, "plain");
  EXPECT_EQ(facts->synchronous_commit_overrides[1].value, "off");
  EXPECT_TRUE(facts->data_checksums);
  ASSERT_TRUE(facts->config_file.has_value());
  EXPECT_TRUE(facts->files_outside_data_directory.empty());
  EXPECT_FALSE(facts->hba_rules.has_value()) << "needs more than pg_monitor";
  EXPECT_LT(std::abs(facts->clock_difference.ahead.count()), 1'000'000);
  EXPECT_GT(facts->database_size, 5u << 20);

  auto plain = facts_of("plain");
  ASSERT_OK(plain);
  EXPECT_FALSE(plain->can_replicate);
  EXPECT_FALSE(plain->config_file.has_value());
  auto super = facts_of("postgres");
  ASSERT_OK(super);
  ASSERT_TRUE(super->hba_rules.has_value());
  EXPECT_FALSE(super->hba_rules->empty());
}

}  // namespace
}  // namespace stele::agent
