#include <dirent.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/pg/backup_label.h"
#include "core/pg/control_file.h"
#include "core/pg/wal_decoder.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/store/store_builder.h"

// A real PostgreSQL is backed up by its own tools, a store is made of that, and the program rebuilds the database from the store.
namespace stele::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSegment = 1 << 20;

Bytes read_path(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

Position lsn_of(PostgresCluster& cluster) { return *parse_position(*cluster.psql("SELECT pg_current_wal_insert_lsn()")); }
Timestamp now_of(PostgresCluster& cluster) {
  return {std::stoll(*cluster.psql("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))};
}

/// A plain base backup as the files of a snapshot.
std::vector<SnapshotFile> files_of(const fs::path& root, SnapshotSpec& spec) {
  std::vector<SnapshotFile> out;
  auto walk = [&](auto& self, const fs::path& directory, const std::string& prefix, std::uint32_t tablespace) -> void {
    for (const auto& entry : fs::directory_iterator(directory)) {
      const std::string path = prefix + entry.path().filename().string();
      if (fs::is_symlink(entry.symlink_status())) {
        const auto oid = static_cast<std::uint32_t>(std::stoul(entry.path().filename().string()));
        spec.tablespaces.push_back({oid, fs::read_symlink(entry.path()).string()});
        self(self, fs::read_symlink(entry.path()), "", oid);
      } else if (fs::is_directory(entry.symlink_status())) {
        out.push_back(directory_entry(path, tablespace));
        self(self, entry.path(), path + "/", tablespace);
      } else {
        out.push_back(plain_file(path, read_path(entry.path()), tablespace));
      }
    }
  };
  walk(walk, root, "", 0);
  return out;
}

class Restore : public testing::Test {
 protected:
  void SetUp() override {
    PostgresOptions options;
    options.wal_segment_mb = 1;
    options.config = "wal_keep_size = 512MB\nmax_wal_size = 512MB\nautovacuum = off\nsynchronous_standby_names = ''\n";
    auto made = PostgresCluster::create(options);
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    source_ = std::move(*made);
    ASSERT_TRUE(source_->start().ok());
    target_ = PostgresCluster::create_empty().value();
    work_ = target_->root_directory() + "/work";
    fs::create_directories(work_);
    store_ = std::make_unique<StoreBuilder>(work_ + "/store");
  }

  void sql(const std::string& text) {
    auto done = source_->psql(text);
    ASSERT_TRUE(done.ok()) << done.error().to_string();
  }

  /// Takes a base backup with PostgreSQL's tool.
  void take_snapshot() {
    const std::string copy = source_->root_directory() + "/copy";
    ProcessOptions options;
    options.as_database_user = true;
    options.environment = {{"PGHOST", source_->socket_directory()}, {"PGPORT", std::to_string(source_->port())}, {"PGUSER", "postgres"}};
    const std::string spaces = source_->root_directory() + "/ts";
    auto done = run_process({PostgresCluster::program("pg_basebackup"), "-D", copy, "-X", "none", "-c", "fast", "--no-slot", "-v",
                             fmt::format("--tablespace-mapping={}={}_copy", spaces, spaces)}, options);
    ASSERT_TRUE(done.ok() && done->exit_code == 0) << (done.ok() ? done->err : done.error().to_string());
    spec_.files = files_of(copy, spec_);
    const auto label = pg::parse_backup_label(as_text(read_path(copy + "/backup_label")));
    ASSERT_TRUE(label.ok());
    const auto control = pg::parse_control_file(read_path(copy + "/global/pg_control"));
    ASSERT_TRUE(control.ok());
    spec_.start = label->start_wal_location;
    // The manifest says where the backup ended; without -X pg_basebackup itself does not.
    const Bytes manifest = read_path(copy + "/backup_manifest");
    const std::string_view text = as_text(manifest), end = "\"End-LSN\": \"";
    const std::size_t at = text.find(end);
    ASSERT_NE(at, std::string_view::npos);
    const std::size_t begin = at + end.size();
    spec_.stop = *parse_position(text.substr(begin, text.find('"', begin) - begin));
    spec_.system_identifier = control->system_identifier;
    spec_.server_version = 150020;
    spec_.finished = now_of(*source_);
  }

  /// Puts snapshot and log up to `end` into the store; the last object's frames stay in the journal.
  void make_store(Position end, Timestamp as_of) {
    const StreamId stream = store_->branch(1, spec_.system_identifier, kSegment);
    spec_.stream = stream;
    const Position begin = pg::segment_begin(spec_.start, kSegment);
    Bytes log;
    for (std::uint64_t n = begin.value / kSegment; n * kSegment < end.value; ++n) {
      const Bytes segment = read_path(source_->data_directory() + "/pg_wal/" + pg::wal_file_name({1, n}, kSegment));
      ASSERT_EQ(segment.size(), kSegment);
      log.insert(log.end(), segment.begin(), segment.end());
    }
    log.resize(end - begin);
    pg::WalDecoder decoder({.segment_size = kSegment, .major = 15}, begin);
    constexpr std::size_t kObject = 300'000;
    for (std::size_t at = 0; at < log.size(); at += kObject) {
      const ByteView piece = ByteView(log).subspan(at, std::min(kObject, log.size() - at));
      ASSERT_TRUE(decoder.feed(piece).ok());
      const pg::LogFacts facts = decoder.take_facts();
      const bool last = at + kObject >= log.size();
      store_->log(stream, begin + at, piece, facts.min_commit, facts.max_commit, last ? as_of : facts.max_commit.is_none() ? spec_.finished : facts.max_commit, 2, last);
    }
    store_->snapshot(spec_);
    config_ = store_->write_config(work_ + "/config", "/usr/lib/postgresql/15/bin");
  }

  /// Runs stele-restore; its exit code is checked, its JSON given.
  nlohmann::json tool(std::vector<std::string> args, int expected) {
    std::vector<std::string> argv{std::string(STELE_BINARY_DIR) + "/bin/stele-restore", "--config", config_, "--json"};
    argv.insert(argv.end(), args.begin(), args.end());
    auto done = run_process(argv);
    if (!done.ok()) {
      ADD_FAILURE() << done.error().to_string();
      return {};
    }
    EXPECT_EQ(done->exit_code, expected) << done->out << done->err;
    auto parsed = nlohmann::json::parse(done->out, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << done->out << done->err;
    return parsed;
  }

  /// Starts the restored server and waits until it takes writes.
  void start_restored() {
    auto started = target_->start();
    ASSERT_TRUE(started.ok()) << started.error().to_string() << target_->log_tail();
    for (int i = 0; i < 300 && restored("SELECT pg_is_in_recovery()") != "f"; ++i) usleep(100'000);
    ASSERT_EQ(restored("SELECT pg_is_in_recovery()"), "f") << target_->log_tail();
  }

  std::string restored(const std::string& query) {
    auto answer = target_->psql(query);
    return answer.ok() ? *answer : answer.error().to_string() + target_->log_tail();
  }

  std::unique_ptr<PostgresCluster> source_, target_;
  std::string work_, config_;
  std::unique_ptr<StoreBuilder> store_;
  SnapshotSpec spec_;
};

TEST_F(Restore, RebuildsADatabaseJustBeforeAWrongDelete) {
  fs::create_directory(source_->root_directory() + "/ts");
  ASSERT_TRUE(give_to_database_user(source_->root_directory() + "/ts").ok());
  sql(fmt::format("CREATE TABLESPACE elsewhere LOCATION '{}/ts'", source_->root_directory()));
  sql("CREATE TABLE member(id int PRIMARY KEY, name text); CREATE TABLE far(id int) TABLESPACE elsewhere; INSERT INTO far VALUES (1)");
  sql("INSERT INTO member SELECT i, md5(i::text) FROM generate_series(1, 5000) i");
  ASSERT_NO_FATAL_FAILURE(take_snapshot());
  sql("INSERT INTO member SELECT i, md5(i::text) FROM generate_series(5001, 9000) i");
  sql("INSERT INTO far VALUES (2)");
  sql("SELECT pg_create_restore_point('before the mistake')");
  const Timestamp moment = now_of(*source_);
  sql("DELETE FROM member WHERE id > 100");
  sql("INSERT INTO member VALUES (20000, 'after')");
  const Position end = lsn_of(*source_);
  const Timestamp as_of = now_of(*source_);
  ASSERT_TRUE(source_->stop(PostgresCluster::Stop::kImmediate).ok());
  ASSERT_NO_FATAL_FAILURE(make_store(end, as_of));

  const auto listed = tool({"list"}, 0);
  ASSERT_EQ(listed["databases"].size(), 1u);
  EXPECT_EQ(listed["databases"][0]["windows"].size(), 1u) << listed.dump(1);
  EXPECT_EQ(listed["databases"][0]["windows"][0]["to"]["lsn"], end.to_string()) << "the journal's frames count";
  tool({"plan", "--target-time", to_iso8601(moment)}, 0);
  tool({"verify"}, 0);

  // Refusals leave no trace.
  tool({"run", "--into", target_->data_directory(), "--target-time", to_iso8601(moment)}, 2);  // no place for the tablespace
  const auto far = tool({"run", "--into", target_->data_directory(), "--target-lsn", (end + 100).to_string()}, 3);
  EXPECT_NE(far["error"]["hint"].get<std::string>().find("nearest reachable"), std::string::npos) << far.dump();
  EXPECT_FALSE(fs::exists(target_->data_directory()));

  const auto report = tool({"run", "--into", target_->data_directory(), "--target-time", to_iso8601(moment), "--tablespace-root", work_ + "/spaces"}, 0);
  EXPECT_FALSE(fs::exists(target_->data_directory() + ".stele-incomplete"));
  EXPECT_TRUE(fs::exists(target_->data_directory() + "/global/pg_control"));
  EXPECT_FALSE(fs::exists(target_->data_directory() + "/tablespace_map"));
  start_restored();
  EXPECT_EQ(restored("SELECT count(*), max(id) FROM member"), "9000|9000");
  EXPECT_EQ(restored("SELECT sum(id) FROM far"), "3");
  EXPECT_EQ(restored("SELECT timeline_id FROM pg_control_checkpoint()"), "2");
  EXPECT_TRUE(fs::exists(fmt::format("{}/spaces", work_)));
}

TEST_F(Restore, ReachesTheLastAcknowledgedByteAndEveryOtherKindOfTarget) {
  sql("CREATE TABLE t(i int)");
  ASSERT_NO_FATAL_FAILURE(take_snapshot());
  sql("INSERT INTO t VALUES (1)");
  const std::string xid = *source_->psql("BEGIN; INSERT INTO t VALUES (2) RETURNING pg_current_xact_id(); COMMIT");
  sql("SELECT pg_create_restore_point('p1')");
  const Position middle = lsn_of(*source_);
  sql("INSERT INTO t VALUES (3)");
  const Position end = lsn_of(*source_);
  const Timestamp as_of = now_of(*source_);
  ASSERT_TRUE(source_->stop(PostgresCluster::Stop::kImmediate).ok());
  ASSERT_NO_FATAL_FAILURE(make_store(end, as_of));
  const std::string number = xid.substr(xid.find_first_of("0123456789"), xid.find_first_not_of("0123456789", xid.find_first_of("0123456789")) - xid.find_first_of("0123456789"));
  struct Case {
    std::vector<std::string> args;
    std::string rows;
  };
  const std::vector<Case> cases = {
      {{}, "1,2,3"},
      {{"--target-time", to_iso8601(as_of)}, "1,2,3"},
      {{"--target-lsn", end.to_string()}, "1,2,3"},
      {{"--target-lsn", middle.to_string(), "--target-exclusive"}, "1,2"},
      {{"--target-name", "p1"}, "1,2"},
      {{"--target-xid", number}, "1,2"},
      {{"--target-xid", number, "--target-exclusive"}, "1"},
      {{"--target-immediate"}, ""},
  };
  for (const Case& c : cases) {
    std::vector<std::string> args{"run", "--into", target_->data_directory()};
    args.insert(args.end(), c.args.begin(), c.args.end());
    SCOPED_TRACE(c.args.empty() ? "latest" : c.args[0]);
    tool(args, 0);
    start_restored();
    EXPECT_EQ(restored("SELECT coalesce(string_agg(i::text, ',' ORDER BY i), '') FROM t"), c.rows);
    ASSERT_TRUE(target_->stop().ok());
    for (const char* suffix : {"", ".stele-wal"}) fs::remove_all(target_->data_directory() + suffix);
  }
  // Started by the program itself it is asked where it ended, and a standby of it inherits nothing of the target.
  const auto report = tool({"run", "--into", target_->data_directory(), "--target-name", "p1", "--start"}, 0);
  ProcessOptions owner;
  owner.as_database_user = true;
  auto stopped = run_process({PostgresCluster::program("pg_ctl"), "-D", target_->data_directory(), "-m", "immediate", "stop"}, owner);
  EXPECT_TRUE(stopped.ok() && stopped->exit_code == 0);
  EXPECT_TRUE(report.value("started", false) && report.contains("end")) << report.dump(1);
  const Bytes settings = read_path(target_->data_directory() + "/postgresql.auto.conf");
  for (const char* line : {"\nrecovery_target_timeline = 'latest'\n", "\nrecovery_target_name = ''\n", "\nrestore_command = ''\n"}) {
    EXPECT_NE(as_text(settings).find(line), std::string_view::npos) << line << as_text(settings);
  }
}

TEST_F(Restore, PgVerifybackupAcceptsTheFiles) {
  sql("CREATE TABLE t AS SELECT generate_series(1, 20000) i");
  ASSERT_NO_FATAL_FAILURE(take_snapshot());
  sql("INSERT INTO t VALUES (0)");  // flushes the page behind the backup's WAL switch
  const Position end = lsn_of(*source_);
  const Timestamp as_of = now_of(*source_);
  ASSERT_TRUE(source_->stop(PostgresCluster::Stop::kImmediate).ok());
  ASSERT_NO_FATAL_FAILURE(make_store(end, as_of));
  tool({"run", "--into", target_->data_directory()}, 0);
  auto verified = run_checked({PostgresCluster::program("pg_verifybackup"), "-n", target_->data_directory()});
  EXPECT_TRUE(verified.ok()) << verified.error().to_string();
}

}  // namespace
}  // namespace stele::test
