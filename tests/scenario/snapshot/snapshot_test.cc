#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/postgres/server_info.h"
#include "agent/postgres/wal_stream.h"
#include "agent/snapshot/service.h"
#include "agent/snapshot/task.h"
#include "core/crypto/hash.h"
#include "core/format/chunk_seal.h"
#include "core/pg/wal_decoder.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/snapshot/snapshot_rig.h"

namespace stele::agent {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::PostgresCluster;
using test::ScriptedReceiver;
using test::SnapshotRig;

/// A snapshot as a restore sees it: the files with their content, from the receiver's bytes and the epoch's keys alone.
struct Restored {
  format::Manifest manifest;
  format::ManifestSealed sealed;
  std::vector<format::FileEntry> table;
  std::map<std::pair<std::uint32_t, std::string>, Bytes> files;
  const Bytes* find(const std::string& path, std::uint32_t tablespace = 0) const {
    auto found = files.find({tablespace, path});
    return found == files.end() ? nullptr : &found->second;
  }
  std::string text(const std::string& name) const {
    for (const format::NamedText& t : sealed.texts) {
      if (t.name == name) return t.text;
    }
    return "(none)";
  }
};

Result<Restored> restore(const ScriptedReceiver::Seen& held, const Bytes& record_bytes,
                         const format::EpochSecrets& secrets) {
  Restored out;
  STELE_TRY(const format::SignedRecord record, format::parse_record(record_bytes));
  STELE_TRY(out.manifest, format::read_manifest(record));
  STELE_TRY(out.sealed, format::open_manifest(out.manifest, crypto::default_suite(), secrets.data));
  std::vector<ChunkName> names;
  for (const Digest& digest : out.manifest.reference.lists) {
    STELE_TRY(const format::ChunkList list, format::ChunkList::decode(held.lists.at(digest)));
    names.insert(names.end(), list.names.begin(), list.names.end());
  }
  if (names.size() != out.manifest.reference.chunk_count) return Error{ErrorCode::kDamaged, "chunk count", ""};
  format::ChunkOpener opener(crypto::default_suite(), secrets.chunk_name);
  auto open = [&](std::size_t i) -> Result<Bytes> {
    if (!held.chunks.contains(names[i])) return Error{ErrorCode::kDamaged, "a chunk is missing", ""};
    STELE_TRY(const format::ChunkView view, format::parse_chunk(held.chunks.at(names[i])));
    return opener.open(view, secrets.data);
  };
  Bytes table;
  for (std::size_t i = out.sealed.file_table_first; i < names.size(); ++i) {
    STELE_TRY(const Bytes piece, open(i));
    table.insert(table.end(), piece.begin(), piece.end());
  }
  if (table.size() != out.sealed.file_table_bytes) return Error{ErrorCode::kDamaged, "file table size", ""};
  ByteReader reader(table);
  std::size_t next = 0;
  while (reader.remaining() > 0) {
    STELE_TRY(format::FileEntry entry, format::read_file_entry(reader));
    Bytes content;
    for (std::uint32_t i = 0; i < entry.chunks; ++i) {
      STELE_TRY(const Bytes piece, open(next++));
      content.insert(content.end(), piece.begin(), piece.end());
    }
    if (content.size() != entry.size) return Error{ErrorCode::kDamaged, "size of " + entry.path, ""};
    if (entry.type == format::FileType::kFile || entry.type == format::FileType::kExtraFile)
      out.files[{entry.tablespace, entry.path}] = std::move(content);
    out.table.push_back(std::move(entry));
  }
  if (next != out.sealed.file_table_first || out.table.size() != out.sealed.file_count)
    return Error{ErrorCode::kDamaged, "file table", ""};
  return out;
}

/// Writes the files beneath a new cluster's directory, as user postgres.
Status write_files(const Restored& snapshot, PostgresCluster& into, const std::string& tablespace_root) {
  const fs::path data = into.data_directory();
  fs::create_directories(data);
  for (const format::FileEntry& entry : snapshot.table) {
    if (entry.type == format::FileType::kExtraFile) continue;
    const fs::path root = entry.tablespace == 0 ? data : fs::path(tablespace_root) / std::to_string(entry.tablespace);
    const fs::path path = root / entry.path;
    fs::create_directories(path.parent_path());
    if (entry.type == format::FileType::kDirectory) {
      fs::create_directories(path);
    } else if (entry.type == format::FileType::kSymlink) {
      const fs::path target = fs::path(tablespace_root) / path.filename();
      fs::create_directories(target);
      fs::create_symlink(target, path);
    } else {
      const Bytes& content = snapshot.files.at({entry.tablespace, entry.path});
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
    }
  }
  STELE_CHECK(test::run_checked({"chown", "-R", "postgres:postgres", data.string(), tablespace_root}).ok()
                  ? Status()
                  : Status(Error{ErrorCode::kIo, "chown", ""}));
  STELE_CHECK(test::run_checked({"chmod", "-R", "go-rwx", data.string(), tablespace_root}).ok()
                  ? Status()
                  : Status(Error{ErrorCode::kIo, "chmod", ""}));
  return {};
}

struct SnapshotScenario : testing::Test {
  std::unique_ptr<PostgresCluster> cluster;
  SnapshotRig rig;
  ScriptedReceiver& receiver = rig.add_receiver("north");
  SnapshotProgress progress;
  io::PosixFileSystem files;

  void SetUp() override {
    auto created = PostgresCluster::create(
        {.fsync = false, .config = "max_wal_senders = 4\nautovacuum = off\nwal_keep_size = 512MB\n"});
    ASSERT_TRUE(created.ok()) << created.error().what;
    cluster = std::move(*created);
    ASSERT_TRUE(cluster->start().ok()) << cluster->log_tail();
    auto connection = PgConnection::connect(server(), {.mode = ConnectionMode::kReplication}, deadline_in(10s),
                                            Interrupt::create().value());
    ASSERT_TRUE(connection.ok()) << connection.error().what;
    auto info = read_server_info(*connection, deadline_in(10s));
    ASSERT_TRUE(info.ok());
    rig.system_identifier = info->system_identifier;
    rig.timeline = info->timeline;
  }
  ServerAddress server() { return split_hosts(cluster->conninfo()).value().at(0); }
  std::string sql(std::string_view text) {
    auto out = cluster->psql(text);
    EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().what);
    return out.ok() ? *out : "";
  }
  config::AgentConfig::Snapshot settings() {
    config::AgentConfig::Snapshot s;
    s.chunk_bytes = 128 << 10;
    s.compression_level = 1;
    s.memory_bytes = 32 << 20;
    s.workers = 2;
    s.fast_checkpoint = true;
    return s;
  }
  SnapshotContext context() {
    SnapshotContext c = rig.context();
    c.server = server();
    return c;
  }
  Result<SnapshotReport> take(config::AgentConfig::Snapshot s, SnapshotContext c, bool full = false) {
    SnapshotTask::Options o;
    o.config = std::move(s);
    o.full = full;
    o.timing.first_pause = 10ms;
    o.commit_patience = 30s;
    SnapshotTask task(std::move(o), std::move(c), files, rig.clock, rig.random, progress, Interrupt::create().value());
    return task.run();
  }
  Result<SnapshotReport> take() { return take(settings(), context()); }
  Result<Restored> newest() {
    const auto seen = receiver.seen();
    return restore(seen, seen.manifests.back(), rig.secrets);
  }
};

TEST_F(SnapshotScenario, ARestoredServerHasEveryRowTablespacesIncludedAndUnloggedTablesEmpty) {
  const std::string space = cluster->root_directory() + "/space";
  fs::create_directories(space);
  ASSERT_TRUE(test::give_to_database_user(space).ok());
  sql("CREATE TABLESPACE remote LOCATION '" + space + "'");
  sql("CREATE TABLE member AS SELECT i AS id, md5(i::text) AS name, repeat('x', 200) AS address FROM "
      "generate_series(1, 60000) i");
  sql("CREATE TABLE moved TABLESPACE remote AS SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 20000) i");
  sql("CREATE UNLOGGED TABLE scratch AS SELECT i FROM generate_series(1, 1000) i");
  sql("ALTER SYSTEM SET work_mem = '7MB'");
  ASSERT_TRUE(cluster->reload().ok());
  const std::string expected = sql("SELECT count(*), md5(string_agg(name, '' ORDER BY id)) FROM member");

  const fs::path conf = fs::path(cluster->root_directory()) / "outside.conf";
  std::ofstream(conf) << "# outside\n";
  auto s = settings();
  s.extra_files = {conf, "/nowhere/at.all"};
  receiver.gaps = 2;  // the log is a little behind
  auto report = take(s, context());
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(receiver.seen().protocol_error, "");
  EXPECT_EQ(report->damaged_pages, 0u);
  EXPECT_GT(report->stop, report->start);
  EXPECT_EQ(report->receivers, std::vector<std::string>{"north"});
  EXPECT_TRUE(std::any_of(report->warnings.begin(), report->warnings.end(),
                          [](const std::string& w) { return w.find("/nowhere/at.all") != std::string::npos; }));

  auto snapshot = newest();
  ASSERT_TRUE(snapshot.ok()) << snapshot.error().what;
  EXPECT_EQ(snapshot->sealed.system_identifier, rig.system_identifier);
  EXPECT_EQ(snapshot->sealed.server_version / 10000, 15u);
  EXPECT_NE(snapshot->sealed.backup_label.find("START WAL LOCATION"), std::string::npos);
  EXPECT_EQ(snapshot->manifest.reference.raw_bytes, report->raw_bytes);
  ASSERT_EQ(snapshot->sealed.tablespaces.size(), 1u);
  EXPECT_EQ(snapshot->sealed.tablespaces[0].location, space);
  EXPECT_EQ(snapshot->text("setting/max_connections"), "100");
  EXPECT_EQ(snapshot->text("setting/work_mem"), "7168kB");
  EXPECT_NE(snapshot->text("counts/postgres").find("public member\n"), std::string::npos)
      << snapshot->text("counts/postgres");
  EXPECT_NE(snapshot->find("backup_manifest"), nullptr);
  ASSERT_NE(snapshot->find(conf.relative_path().string()), nullptr);
  EXPECT_EQ(as_text(*snapshot->find(conf.relative_path().string())), "# outside\n");

  // PostgreSQL itself verifies every file against its own manifest, and starts from them. The log it needs comes from
  // the old server.
  auto other = PostgresCluster::create_empty();
  ASSERT_TRUE(other.ok());
  const std::string tablespaces = (*other)->root_directory() + "/spaces";
  ASSERT_TRUE(write_files(*snapshot, **other, tablespaces).ok());
  auto verified = (*other)->run({"pg_verifybackup", "-n", (*other)->data_directory()});
  ASSERT_TRUE(verified.ok()) << verified.error().what;
  ASSERT_TRUE(cluster->stop().ok());
  for (const auto& entry : fs::directory_iterator(cluster->data_directory() + "/pg_wal")) {
    if (entry.is_regular_file())
      fs::copy_file(entry.path(), fs::path((*other)->data_directory()) / "pg_wal" / entry.path().filename());
  }
  ASSERT_TRUE(test::run_checked({"chown", "-R", "postgres:postgres", (*other)->data_directory()}).ok());
  ASSERT_TRUE((*other)->start().ok()) << (*other)->log_tail();
  EXPECT_EQ((*other)->psql("SELECT count(*), md5(string_agg(name, '' ORDER BY id)) FROM member").value(), expected);
  EXPECT_EQ((*other)->psql("SELECT count(*) FROM moved").value(), "20000");
  EXPECT_EQ((*other)->psql("SELECT count(*) FROM scratch").value(), "0");
}

TEST_F(SnapshotScenario, ALargeTableStaysInBoundedMemoryAndTheSecondSnapshotSendsOnlyWhatChanged) {
  sql("CREATE TABLE big AS SELECT i AS id, md5(i::text) || md5((i + 1)::text) AS a, md5((i * 7)::text) AS b, 0 AS "
      "changed FROM generate_series(1, 900000) i");
  sql("VACUUM FREEZE big");
  auto s = settings();
  s.memory_bytes = 16 << 20;
  auto first = take(s, context());
  ASSERT_TRUE(first.ok()) << first.error().to_string();
  EXPECT_GT(first->raw_bytes, 100u << 20);
  EXPECT_LE(first->peak_buffered_bytes, 16u << 20);
  EXPECT_GT(first->new_bytes, 20u << 20);

  sql("UPDATE big SET changed = 1 WHERE id BETWEEN 400000 AND 402000");
  receiver.reset_counters();
  auto second = take(s, context());
  ASSERT_TRUE(second.ok()) << second.error().to_string();
  const auto seen = receiver.seen();
  std::printf(
      "first: %.1f MB raw, %.1f MB new; second: %.1f MB raw, %.2f MB new, %.2f MB on the line in %llu packs; peak %.1f "
      "MB of buffers\n",
      first->raw_bytes / 1e6, first->new_bytes / 1e6, second->raw_bytes / 1e6, second->new_bytes / 1e6,
      seen.pack_bytes / 1e6, static_cast<unsigned long long>(seen.packs), second->peak_buffered_bytes / 1e6);
  EXPECT_LT(second->new_bytes, first->new_bytes / 20);
  EXPECT_EQ(second->chunk_count > 800, true);
  auto snapshot = newest();
  ASSERT_TRUE(snapshot.ok()) << snapshot.error().what;
  EXPECT_EQ(snapshot->manifest.reference.previous, first->manifest);

  // Full: everything again, whatever the receiver holds.
  auto full = take(s, context(), true);
  ASSERT_TRUE(full.ok()) << full.error().to_string();
  EXPECT_GT(full->new_bytes, first->new_bytes * 9 / 10);
  EXPECT_TRUE(newest()->manifest.reference.full);
}

TEST_F(SnapshotScenario, ADamagedPageMarksTheSnapshotAndDoesNotRefuseIt) {
  sql("CREATE TABLE victim AS SELECT i, repeat('y', 100) FROM generate_series(1, 20000) i");
  sql("CHECKPOINT");
  const std::string path = cluster->data_directory() + "/" + sql("SELECT pg_relation_filepath('victim')");
  ASSERT_TRUE(cluster->restart().ok());  // nothing of it is in shared buffers
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5 * 8192 + 4321);
    file.put('\x55');
  }
  SnapshotContext c = context();
  c.page_images = nullptr;  // no log is followed here: nothing can clear the page
  auto report = take(settings(), c);
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->damaged_pages, 1u);
  EXPECT_EQ(report->cleared_pages, 0u);
  auto snapshot = newest();
  ASSERT_TRUE(snapshot.ok()) << snapshot.error().what;
  EXPECT_EQ(snapshot->manifest.reference.damaged_pages, 1u);
}

TEST_F(SnapshotScenario, APageThatTheLogBringsWholeIsNotDamaged) {
  sql("CREATE TABLE victim AS SELECT i, repeat('y', 100) AS t FROM generate_series(1, 20000) i");
  sql("CREATE EXTENSION IF NOT EXISTS pageinspect");
  sql("CHECKPOINT");
  const std::string file_path = cluster->data_directory() + "/" + sql("SELECT pg_relation_filepath('victim')");
  // What a torn write looks like: the page is changed (so the log has its image after the checkpoint), and the file has
  // another half. The images are recorded by the same decoder that the log thread uses, fed over a real replication
  // connection.
  SnapshotContext c = context();
  auto interrupt = Interrupt::create().value();
  auto info_connection =
      PgConnection::connect(server(), {.mode = ConnectionMode::kReplication}, deadline_in(10s), interrupt).value();
  auto info = read_server_info(info_connection, deadline_in(10s)).value();
  ASSERT_TRUE(info_connection.query("CREATE_REPLICATION_SLOT images PHYSICAL RESERVE_WAL", deadline_in(10s)).ok());
  const Position segment{info.flush_position.value / info.wal_segment_size * info.wal_segment_size};
  WalStreamOptions stream_options;
  stream_options.slot = "images";
  stream_options.start = segment;
  stream_options.timeline = info.timeline;
  auto stream = WalStream::start(std::move(info_connection), stream_options, rig.clock, deadline_in(10s));
  ASSERT_TRUE(stream.ok()) << stream.error().what;
  std::atomic<bool> done{false};
  std::thread log([&] {
    pg::WalDecoder decoder({}, segment, [&](const pg::WalRecord& record) { rig.page_images->add(record); });
    while (!done) {
      auto event = stream->next(deadline_in(100ms));
      if (!event.ok()) break;
      if (const auto* data = std::get_if<WalData>(&*event)) ASSERT_TRUE(decoder.feed(data->bytes).ok());
    }
  });
  // Between the checkpoint of the backup and the reading of the file: a rate of 1 MB/s leaves time.
  auto s = settings();
  s.max_rate = 4 << 20;
  std::thread writer([&] {
    while (progress.phase != SnapshotPhase::kReading) std::this_thread::sleep_for(1ms);
    sql("UPDATE victim SET t = 'z' WHERE ctid = '(5,1)'");
    std::fstream file(file_path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(5 * 8192 + 4321);
    file.put('\x55');
  });
  auto report = take(s, c);
  writer.join();
  done = true;
  log.join();
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->damaged_pages, 0u);
  EXPECT_EQ(report->cleared_pages, 1u);
}

TEST_F(SnapshotScenario, ABrokenLineCostsOnlyWhatWasOnIt) {
  sql("CREATE TABLE big AS SELECT i AS id, md5(i::text) || md5((i + 1)::text) AS a FROM generate_series(1, 300000) i");
  receiver.cut_after_stored = 3;
  receiver.cut_before_stored = 5;
  auto report = take();
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_GE(progress.reconnects, 1u);
  for (const auto& [name, copies] : receiver.seen().copies) EXPECT_EQ(copies, 1);
  auto snapshot = newest();
  EXPECT_TRUE(snapshot.ok()) << snapshot.error().what;
}

TEST_F(SnapshotScenario, AServerOfAnotherClusterOrTimelineIsRefusedBeforeItIsRead) {
  SnapshotContext other = context();
  other.system_identifier += 1;
  auto foreign = take(settings(), other);
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, ErrorCode::kFork);
  SnapshotContext later = context();
  later.timeline += 1;
  auto switched = take(settings(), later);
  ASSERT_FALSE(switched.ok());
  EXPECT_EQ(switched.error().code, ErrorCode::kTemporary);
  SnapshotContext old = context();
  old.log_begin = {std::uint64_t{1} << 60};
  EXPECT_FALSE(take(settings(), old).ok());
  EXPECT_EQ(receiver.seen().packs, 0u);
}

TEST_F(SnapshotScenario, OneReceiverAwayIsAWarningWhenTheQuorumIsThere) {
  ScriptedReceiver& south = rig.add_receiver("south");
  south.go_away();
  SnapshotTask::Options o;
  o.config = settings();
  o.connect_patience = 300ms;
  SnapshotTask task(std::move(o), context(), files, rig.clock, rig.random, progress, Interrupt::create().value());
  auto report = task.run();
  ASSERT_TRUE(report.ok()) << report.error().to_string();
  EXPECT_EQ(report->receivers, std::vector<std::string>{"north"});
  EXPECT_FALSE(report->warnings.empty());
}

TEST_F(SnapshotScenario, TheServiceTakesOneForANewBranchByItselfAndRepairsAReceiverThatLostChunks) {
  const std::string state = cluster->root_directory() + "/state";
  fs::create_directories(state);
  SnapshotService::Options o;
  o.database = rig.database;
  o.config = settings();
  o.state_directory = state;
  std::atomic<int> failures{0};
  SnapshotService::Callbacks callbacks;
  callbacks.context = [this]() -> Result<SnapshotContext> { return context(); };
  callbacks.on_failure = [&](const Error&) { ++failures; };
  auto service = SnapshotService::create(o, callbacks, files, rig.clock, rig.random);
  ASSERT_TRUE(service.ok());
  (*service)->start();
  EXPECT_FALSE((*service)->status().running);
  (*service)->set_stream(context().stream);
  auto wait_for = [&](auto condition) {
    for (int i = 0; i < 6000 && !condition(); ++i) std::this_thread::sleep_for(10ms);
    return condition();
  };
  ASSERT_TRUE(wait_for([&] { return (*service)->status().succeeded == 1; }));
  EXPECT_EQ((*service)->status().reason, SnapshotReason::kNewBranch);
  EXPECT_FALSE((*service)->status().next);

  // The receiver says that it holds a chunk that it has lost: the commit finds it, the next try sends it.
  const auto held = receiver.seen();
  const auto snapshot = newest().value();
  const format::ChunkList list = format::ChunkList::decode(held.lists.at(snapshot.manifest.reference.lists[0])).value();
  receiver.claim(list.names[3]);
  receiver.forget(list.names[3]);
  const std::uint64_t ticket = (*service)->request(SnapshotReason::kCommand, false);
  ASSERT_TRUE(wait_for([&] { return (*service)->outcome(ticket).has_value(); }));
  const auto failed = *(*service)->outcome(ticket);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kTemporary);
  const std::uint64_t again = (*service)->request(SnapshotReason::kCommand, false);
  ASSERT_TRUE(wait_for([&] { return (*service)->outcome(again).has_value(); }));
  EXPECT_TRUE((*service)->outcome(again)->ok()) << (*service)->outcome(again)->error().what;
  EXPECT_EQ(failures, 1);
  EXPECT_TRUE(newest().ok());

  // After a restart the same stream needs none.
  (*service)->stop();
  auto restarted = SnapshotService::create(o, callbacks, files, rig.clock, rig.random);
  ASSERT_TRUE(restarted.ok());
  (*restarted)->set_stream(context().stream);
  EXPECT_FALSE((*restarted)->status().next);
  EXPECT_TRUE((*restarted)->status().last_success);
}

TEST_F(SnapshotScenario, StoppingTheServiceGivesUpARunningSnapshotSoon) {
  const std::string state = cluster->root_directory() + "/state";
  fs::create_directories(state);
  SnapshotService::Options o;
  o.database = rig.database;
  o.config = settings();
  o.config.max_rate = 1 << 20;  // it would take half a minute
  o.state_directory = state;
  SnapshotService::Callbacks callbacks;
  callbacks.context = [this]() -> Result<SnapshotContext> { return context(); };
  auto service = SnapshotService::create(o, callbacks, files, rig.clock, rig.random);
  ASSERT_TRUE(service.ok());
  (*service)->start();
  (*service)->request(SnapshotReason::kCommand, false);
  for (int i = 0; i < 3000 && (*service)->status().phase != SnapshotPhase::kReading; ++i)
    std::this_thread::sleep_for(10ms);
  const auto begun = std::chrono::steady_clock::now();
  (*service)->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  EXPECT_EQ((*service)->status().last_error->code, ErrorCode::kCancelled);
}

}  // namespace
}  // namespace stele::agent
