// Compares what core/pg reads with what PostgreSQL's own tools say about the same bytes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <regex>
#include <sstream>

#include "core/pg/control_file.h"
#include "core/pg/page.h"
#include "core/pg/relation_file.h"
#include "core/pg/wal_decoder.h"
#include "tests/scenario/pg_wal/common.h"

namespace stele::pg {
namespace {

/// One record as pg_waldump prints it.
struct Dumped {
  std::string rmgr;
  std::uint32_t length = 0, xid = 0;
  std::string start, prev, desc;
  std::size_t blocks = 0, images = 0;
};

std::vector<Dumped> parse_waldump(const std::string& text) {
  static const std::regex line_form(
      R"(^rmgr: (\S+)\s+len \(rec/tot\):\s*\d+/\s*(\d+), tx:\s*(\d+), lsn: (\S+), prev (\S+), )");
  std::vector<Dumped> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    // std::regex recurses for each character: only for the short beginning.
    auto desc = line.find("desc: ");
    if (desc == std::string::npos) continue;
    std::string head = line.substr(0, desc);
    std::smatch m;
    if (!std::regex_match(head, m, line_form)) continue;
    Dumped d{m[1], static_cast<std::uint32_t>(std::stoul(m[2])), static_cast<std::uint32_t>(std::stoul(m[3])), m[4], m[5], line.substr(desc + 6), 0, 0};
    for (std::size_t at = 0; (at = d.desc.find("blkref #", at)) != std::string::npos; ++at) ++d.blocks;
    for (std::size_t at = 0; (at = d.desc.find(" FPW", at)) != std::string::npos; ++at) ++d.images;
    out.push_back(std::move(d));
  }
  return out;
}

/// pg_waldump pads the lower half to 8 digits: "0/01000028".
std::string dump_lsn(Position p) { return fmt::format("{:X}/{:08X}", p.value >> 32, p.value & 0xFFFFFFFF); }

/// "2026-11-23 16:02:11.123456 UTC" as pg_waldump prints a time with TZ=UTC.
std::string dump_time(Timestamp t) {
  std::int64_t micros = t.micros % 1'000'000;
  std::string text = to_iso8601({t.micros - micros});
  text[10] = ' ';
  text.pop_back();
  return fmt::format("{}.{:06} UTC", text, micros);
}

void run_workload(PostgresCluster& cluster) {
  ASSERT_OK(cluster.psql(R"(
    CREATE TABLE t (id bigserial PRIMARY KEY, name text, doc jsonb);
    CREATE INDEX t_name ON t (name);
    CREATE INDEX t_doc ON t USING gin (doc);
    CREATE INDEX t_brin ON t USING brin (id);
    INSERT INTO t (name, doc) SELECT md5(i::text), jsonb_build_object('k', i) FROM generate_series(1, 20000) i;
    UPDATE t SET name = name || 'x' WHERE id % 7 = 0;
    DELETE FROM t WHERE id % 11 = 0;
    CREATE TABLE p (x point); INSERT INTO p SELECT point(i, i) FROM generate_series(1, 2000) i;
    CREATE INDEX p_gist ON p USING gist (x); CREATE INDEX p_sp ON p USING spgist (x);
    INSERT INTO p SELECT point(i, -i) FROM generate_series(1, 2000) i;
    CREATE INDEX t_hash ON t USING hash (name);
    CREATE UNLOGGED TABLE u AS SELECT 1 AS x;
    CREATE SEQUENCE s; SELECT nextval('s') FROM generate_series(1, 50);
  )"));
  std::string many = "BEGIN;\n";
  for (int i = 0; i < 300; ++i) many += fmt::format("SAVEPOINT s{}; INSERT INTO t (name) VALUES ('sub{}'); {}\n", i, i, i % 5 == 0 ? "ROLLBACK TO s" + std::to_string(i) + ";" : "");
  ASSERT_OK(cluster.psql(many + "COMMIT;"));
  ASSERT_OK(cluster.psql(R"(
    BEGIN; INSERT INTO t (name) VALUES ('prepared'); CREATE TABLE made_by_prepared (x int); PREPARE TRANSACTION 'one';
    BEGIN; INSERT INTO t (name) VALUES ('prepared two'); SAVEPOINT a; INSERT INTO t (name) VALUES ('sub'); PREPARE TRANSACTION 'two';
    COMMIT PREPARED 'one'; ROLLBACK PREPARED 'two';
    BEGIN; INSERT INTO t (name) VALUES ('gone'); ROLLBACK;
    SELECT pg_create_restore_point('before the release');
    SELECT pg_switch_wal();
    INSERT INTO t (name) VALUES ('after the switch');
    SELECT pg_create_restore_point('second');
    CHECKPOINT;
    VACUUM t;
    INSERT INTO t (name) SELECT repeat(md5(i::text), 30) FROM generate_series(1, 3000) i;
    SELECT pg_logical_emit_message(true, 'big', repeat('x', 3 * 1024 * 1024));
    SELECT pg_logical_emit_message(false, 'big', repeat('y', 5 * 1000 * 1000 + 3));
  )"));
  // A commit record with long lists of files and invalidations.
  ASSERT_OK(cluster.psql("DO $$ BEGIN FOR i IN 1..150 LOOP EXECUTE format('CREATE TABLE many_%s (a int PRIMARY KEY, b text)', i); END LOOP; END $$;"));
  ASSERT_OK(cluster.psql("DO $$ BEGIN FOR i IN 1..150 LOOP EXECUTE format('DROP TABLE many_%s', i); END LOOP; END $$;"));
  ASSERT_OK(cluster.psql("CREATE DATABASE by_copy STRATEGY file_copy;"));
  ASSERT_OK(cluster.psql("CREATE DATABASE by_log STRATEGY wal_log;"));
  ASSERT_OK(cluster.psql("CREATE TABLE other AS SELECT 1 AS x; SELECT pg_switch_wal(); SELECT pg_switch_wal();", "by_log"));
  ASSERT_OK(cluster.psql("SELECT pg_backup_start('x', true); SELECT lsn FROM pg_backup_stop(false);"));
  // Compressed page images.
  ASSERT_OK(cluster.psql("SET wal_compression = pglz; CHECKPOINT; UPDATE t SET name = 'z' || id;"));
  ASSERT_OK(cluster.psql("SET wal_compression = lz4; CHECKPOINT; UPDATE t SET name = 'y' || id WHERE id < 5000;"));
}

void compare(const WalRecord& r, const Dumped& d) {
  SCOPED_TRACE(fmt::format("record at {}: {}", d.start, d.desc.substr(0, 200)));
  ASSERT_EQ(dump_lsn(r.start), d.start);
  EXPECT_EQ(dump_lsn(r.previous), d.prev);
  EXPECT_EQ(to_string(r.rmgr), d.rmgr);
  EXPECT_EQ(r.total_length, d.length);
  EXPECT_EQ(r.xid, d.xid);
  ASSERT_EQ(r.blocks.size(), d.blocks);
  std::size_t images = 0;
  for (const auto& b : r.blocks) {
    images += b.has_image ? 1 : 0;
    static constexpr const char* kForks[] = {"", " fork fsm", " fork vm", " fork init"};
    std::string expected = fmt::format("blkref #{}: rel {}/{}/{}{} blk {}", b.id, b.tablespace, b.database, b.relation, kForks[b.fork], b.block);
    EXPECT_NE(d.desc.find(expected), std::string::npos) << expected;
  }
  EXPECT_EQ(images, d.images);
  if (const auto* end = std::get_if<TransactionEnd>(&r.notable)) {
    std::string word = std::string(end->commit ? "COMMIT" : "ABORT") + (end->prepared ? "_PREPARED" : "");
    if (end->prepared) word += fmt::format(" {}:", end->xid);
    EXPECT_TRUE(d.desc.starts_with(word + " ")) << word;
    EXPECT_NE(d.desc.find(dump_time(end->time)), std::string::npos) << dump_time(end->time);
    std::size_t subxids = 0;
    if (auto at = d.desc.find("subxacts:"); at != std::string::npos) {
      std::string list = d.desc.substr(at + 9);
      list = list.substr(0, list.find(';'));
      std::istringstream numbers(list);
      for (std::string number; numbers >> number;) ++subxids;
    }
    EXPECT_EQ(end->subxids, subxids);
  } else {
    EXPECT_FALSE(d.rmgr == "Transaction" && (d.desc.starts_with("COMMIT") || d.desc.starts_with("ABORT")));
  }
  if (const auto* point = std::get_if<RestorePoint>(&r.notable)) {
    EXPECT_TRUE(d.desc.starts_with("RESTORE_POINT " + point->name));
    EXPECT_EQ(point->end, r.end);
  } else {
    EXPECT_FALSE(d.rmgr == "XLOG" && d.desc.starts_with("RESTORE_POINT"));
  }
  if (const auto* c = std::get_if<CheckpointRecord>(&r.notable)) {
    std::string expected = fmt::format("redo {}; tli {}; prev tli {};", c->checkpoint.redo.to_string(), c->checkpoint.timeline, c->checkpoint.previous_timeline);
    EXPECT_NE(d.desc.find(expected), std::string::npos) << expected;
    EXPECT_NE(d.desc.find(c->shutdown ? "CHECKPOINT_SHUTDOWN" : "CHECKPOINT_ONLINE"), std::string::npos);
  }
  if (std::holds_alternative<WalSwitch>(r.notable)) {
    EXPECT_TRUE(d.desc.starts_with("SWITCH"));
  }
  if (const auto* b = std::get_if<BackupEnd>(&r.notable)) {
    EXPECT_EQ(d.desc, "BACKUP_END " + b->start.to_string());
  }
}

class PgWal : public ::testing::TestWithParam<int> {};

TEST_P(PgWal, ReadsWhatPostgresToolsRead) {
  const std::uint32_t segment_size = static_cast<std::uint32_t>(GetParam()) << 20;
  std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);

  auto made = PostgresCluster::create({.wal_segment_mb = GetParam(),
                                       .config = "max_prepared_transactions = 10\nwal_keep_size = 4GB\nmax_wal_size = 4GB\n"
                                                 "max_connections = 23\nautovacuum = on\nautovacuum_naptime = 1s\nwal_level = logical"});
  ASSERT_OK(made);
  PostgresCluster& cluster = **made;
  ASSERT_OK(cluster.start());
  ASSERT_OK(cluster.psql("CHECKPOINT"));
  Position workload_start;
  {
    auto lsn = cluster.psql("SELECT pg_current_wal_insert_lsn()");
    ASSERT_OK(lsn);
    workload_start = *parse_position(*lsn);
  }
  run_workload(cluster);
  if (HasFatalFailure()) return;
  // A crash in the middle: recovery, end-of-recovery checkpoint, torn pages of the end rewritten.
  ASSERT_OK(cluster.kill_hard());
  ASSERT_OK(cluster.start());
  ASSERT_OK(cluster.append_config("max_connections = 31"));
  ASSERT_OK(cluster.restart());
  ASSERT_OK(cluster.psql("INSERT INTO t (name) VALUES ('last'); SELECT pg_create_restore_point('third')"));
  ASSERT_OK(cluster.stop());

  Bytes control_bytes = read_file(cluster.data_directory() + "/global/pg_control");
  auto control = parse_control_file(control_bytes);
  ASSERT_OK(control);

  Position first;
  Bytes wal = join_segments(cluster, segment_size, &first);
  ASSERT_FALSE(wal.empty());

  std::string waldump = fmt::format("TZ=UTC {} --path={}/pg_wal --start={} 2>/dev/null || true", PostgresCluster::program("pg_waldump"),
                                    cluster.data_directory(), first.value % segment_size == 0 ? (first + 40).to_string() : first.to_string());
  auto text = test::run_process({"sh", "-c", waldump});
  ASSERT_OK(text);
  std::vector<Dumped> dumped = parse_waldump(text->out);
  ASSERT_GT(dumped.size(), 20000u);

  std::vector<WalRecord> records;
  LogFacts whole;
  std::vector<LogFacts> frames;
  WalDecoder decoder({.segment_size = segment_size, .system_identifier = control->system_identifier}, first, [&](const WalRecord& r) {
    records.push_back(r);
    whole.add(r);
  });
  // The log ends with a shutdown checkpoint; what lies behind it is recycled or zero.
  std::size_t at = 0;
  Status status;
  while (at < wal.size()) {
    std::size_t limit = random() % 3 == 0 ? 20 : random() % 2 == 0 ? 3000 : 300000;
    std::size_t n = std::min<std::size_t>(random() % limit + 1, wal.size() - at);
    Position before = decoder.boundary();
    status = decoder.feed(ByteView(wal).subspan(at, n));
    if (!status.ok()) break;
    at += n;
    EXPECT_LE(before, decoder.boundary());
    EXPECT_LE(decoder.boundary(), decoder.position());
    EXPECT_EQ(decoder.position(), first + at);
    frames.push_back(decoder.take_facts());
  }
  frames.push_back(decoder.take_facts());
  ASSERT_FALSE(status.ok()) << "there is something behind the last record";
  EXPECT_EQ(status.error().code, ErrorCode::kDamaged);
  EXPECT_NE(status.error().what.find(decoder.boundary().to_string()), std::string::npos) << status.error().to_string();
  EXPECT_EQ(decoder.last_record(), control->checkpoint);
  EXPECT_EQ(decoder.major(), 15);
  EXPECT_EQ(decoder.timeline(), 1u);

  ASSERT_EQ(records.size(), dumped.size());
  std::set<std::string> kinds;
  for (std::size_t i = 0; i < records.size(); ++i) {
    compare(records[i], dumped[i]);
    if (HasFatalFailure()) return;
    if (i > 0) {
      ASSERT_LE(records[i - 1].end, records[i].start);
    }
    kinds.insert(dumped[i].rmgr + " " + std::to_string(records[i].notable.index()));
    if (std::holds_alternative<ParameterChange>(records[i].notable)) {
      EXPECT_EQ(std::get<ParameterChange>(records[i].notable).max_connections, i < records.size() / 2 ? 23u : 31u);
      EXPECT_EQ(std::get<ParameterChange>(records[i].notable).wal_level, WalLevel::kLogical);
    }
  }
  for (const char* kind : {"Transaction 1", "XLOG 2", "XLOG 3", "XLOG 5", "XLOG 6", "XLOG 8", "Database 0", "Gin 0", "Gist 0", "SPGist 0", "Hash 0",
                           "BRIN 0", "Sequence 0", "LogicalMessage 0", "Standby 0", "Heap2 0"}) {
    EXPECT_TRUE(kinds.contains(kind)) << kind;
  }
  std::size_t prepared = 0, compressed = 0, subxids = 0;
  for (const auto& r : records) {
    if (const auto* e = std::get_if<TransactionEnd>(&r.notable)) prepared += e->prepared ? 1 : 0, subxids += e->subxids;
    for (const auto& b : r.blocks) compressed += b.compressed ? 1 : 0;
    if (std::holds_alternative<WalSwitch>(r.notable)) {
      EXPECT_EQ(r.end.value % segment_size, 0u);
    }
  }
  EXPECT_EQ(prepared, 2u);
  EXPECT_GT(compressed, 10u);
  EXPECT_GE(subxids, 240u);

  // The facts of the frames add up to those of the whole.
  LogFacts sum;
  std::vector<std::string> points;
  for (const auto& f : frames) {
    sum.commits += f.commits;
    sum.aborts += f.aborts;
    sum.block_refs += f.block_refs;
    sum.images += f.images;
    for (const auto& p : f.restore_points) points.push_back(p.name);
  }
  EXPECT_EQ(sum.commits, whole.commits);
  EXPECT_EQ(sum.aborts, whole.aborts);
  EXPECT_EQ(sum.block_refs, whole.block_refs);
  EXPECT_EQ(sum.images, whole.images);
  EXPECT_EQ(points, (std::vector<std::string>{"before the release", "second", "third"}));

  // From any page, the decoder finds the same records.
  for (int round = 0; round < 30; ++round) {
    std::uint64_t pages = (decoder.boundary() - first) / kWalPageSize;
    Position from = first + (random() % pages) * kWalPageSize;
    std::vector<Position> starts;
    WalDecoder middle({.segment_size = segment_size, .major = 15}, from, [&](const WalRecord& r) { starts.push_back(r.start); });
    Position to = std::min(from + (8 << 20), decoder.boundary());
    Status fed = middle.feed(ByteView(wal).subspan(from - first, to - from));
    // A start among the zeroed pages behind a WAL switch goes on at the next segment.
    ASSERT_TRUE(fed.ok()) << from.to_string() << ": " << fed.error().to_string();
    std::vector<Position> expected;
    for (const auto& r : records) {
      if (r.start >= from && r.start < to && expected.size() < starts.size()) expected.push_back(r.start);
    }
    EXPECT_EQ(starts, expected);
    if (!starts.empty()) EXPECT_EQ(middle.valid_from(), starts[0]);
  }
  // From any record, too.
  for (int round = 0; round < 20; ++round) {
    std::size_t i = random() % records.size();
    std::size_t seen = i;
    WalDecoder middle({.segment_size = segment_size, .major = 15}, records[i].start, [&](const WalRecord& r) { EXPECT_EQ(r.start, records[seen++].start); });
    Position to = std::min(records[i].start + (2 << 20), decoder.boundary());
    ASSERT_OK(middle.feed(ByteView(wal).subspan(records[i].start - first, to - records[i].start)));
    EXPECT_EQ(middle.valid_from(), records[i].start);
  }
  // Flipped bits are found, at the record or page that has them.
  for (int round = 0; round < 60; ++round) {
    std::size_t i = records.size() / 4 + random() % (records.size() / 2);
    const WalRecord& r = records[i];
    Bytes piece(wal.begin() + static_cast<std::ptrdiff_t>(r.start - first),
                wal.begin() + static_cast<std::ptrdiff_t>(std::min(r.start + r.total_length, first + wal.size()) - first));
    std::size_t bit = random() % (piece.size() * 8);
    piece[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    piece.insert(piece.end(), wal.begin() + static_cast<std::ptrdiff_t>(r.start - first + piece.size()),
                 wal.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(r.start - first + piece.size() + 65536, wal.size())));
    int emitted = 0;
    WalDecoder middle({.segment_size = segment_size, .major = 15}, r.start, [&](const WalRecord&) { ++emitted; });
    Status fed = middle.feed(piece);
    // The first record's xl_prev has nothing to be compared with but is covered by the CRC; padding (8 bytes) is covered by nothing,
    // and neither are the fields of a page header that nobody reads.
    bool covered = bit / 8 < 24 && (bit / 8 < 18 || bit / 8 >= 20);
    if (covered) {
      EXPECT_TRUE(!fed.ok() || emitted == 0) << "bit " << bit << " of the record at " << r.start.to_string();
    }
  }

  // pg_controldata's words.
  auto controldata = cluster.run({"pg_controldata", cluster.data_directory()});
  ASSERT_OK(controldata);
  std::map<std::string, std::string> shown;
  std::istringstream lines(*controldata);
  for (std::string line; std::getline(lines, line);) {
    auto colon = line.find(':');
    auto value = line.find_first_not_of(' ', colon + 1);
    shown[line.substr(0, colon)] = value == std::string::npos ? "" : line.substr(value);
  }
  EXPECT_EQ(shown["Database system identifier"], std::to_string(control->system_identifier));
  EXPECT_EQ(shown["pg_control version number"], std::to_string(control->pg_control_version));
  EXPECT_EQ(shown["Catalog version number"], std::to_string(control->catalog_version));
  EXPECT_EQ(shown["Database cluster state"], to_string(control->state));
  EXPECT_EQ(shown["Latest checkpoint location"], control->checkpoint.to_string());
  EXPECT_EQ(shown["Latest checkpoint's REDO location"], control->checkpoint_copy.redo.to_string());
  EXPECT_EQ(shown["Latest checkpoint's TimeLineID"], std::to_string(control->checkpoint_copy.timeline));
  EXPECT_EQ(shown["Latest checkpoint's PrevTimeLineID"], std::to_string(control->checkpoint_copy.previous_timeline));
  EXPECT_EQ(shown["Latest checkpoint's NextXID"], fmt::format("{}:{}", control->checkpoint_copy.next_full_xid >> 32,
                                                              control->checkpoint_copy.next_full_xid & 0xFFFFFFFF));
  EXPECT_EQ(shown["Latest checkpoint's NextOID"], std::to_string(control->checkpoint_copy.next_oid));
  EXPECT_EQ(shown["Latest checkpoint's oldestXID"], std::to_string(control->checkpoint_copy.oldest_xid));
  EXPECT_EQ(shown["Minimum recovery ending location"], control->min_recovery_point.to_string());
  EXPECT_EQ(shown["Min recovery ending loc's timeline"], std::to_string(control->min_recovery_point_timeline));
  EXPECT_EQ(shown["Backup start location"], control->backup_start_point.to_string());
  EXPECT_EQ(shown["Backup end location"], control->backup_end_point.to_string());
  EXPECT_EQ(shown["wal_level setting"], to_string(control->wal_level));
  EXPECT_EQ(shown["max_connections setting"], std::to_string(control->max_connections));
  EXPECT_EQ(shown["max_worker_processes setting"], std::to_string(control->max_worker_processes));
  EXPECT_EQ(shown["max_wal_senders setting"], std::to_string(control->max_wal_senders));
  EXPECT_EQ(shown["max_prepared_xacts setting"], std::to_string(control->max_prepared_xacts));
  EXPECT_EQ(shown["max_locks_per_xact setting"], std::to_string(control->max_locks_per_xact));
  EXPECT_EQ(shown["track_commit_timestamp setting"], control->track_commit_timestamp ? "on" : "off");
  EXPECT_EQ(shown["Database block size"], std::to_string(control->block_size));
  EXPECT_EQ(shown["Blocks per segment of large relation"], std::to_string(control->relation_segment_blocks));
  EXPECT_EQ(shown["WAL block size"], std::to_string(control->wal_block_size));
  EXPECT_EQ(shown["Bytes per WAL segment"], std::to_string(control->wal_segment_size));
  EXPECT_EQ(shown["Data page checksum version"], std::to_string(control->data_checksum_version));
  control_bytes[100] ^= 1;
  EXPECT_EQ(parse_control_file(control_bytes).error().code, ErrorCode::kDamaged);

  // Every page of every relation file.
  std::size_t files = 0, pages = 0, new_pages = 0, damages = 0, unseen = 0;
  for (const auto& e : fs::recursive_directory_iterator(cluster.data_directory())) {
    if (!e.is_regular_file()) continue;
    auto file = parse_relation_path(fs::relative(e.path(), cluster.data_directory()).string());
    if (!file) continue;
    Bytes bytes = read_file(e.path());
    ASSERT_EQ(bytes.size() % kPageSize, 0u) << e.path();
    ++files;
    for (std::size_t i = 0; i * kPageSize < bytes.size(); ++i) {
      ByteView page = ByteView(bytes).subspan(i * kPageSize, kPageSize);
      PageState state = check_page(page, file->first_block() + static_cast<std::uint32_t>(i));
      ASSERT_FALSE(is_suspect(state)) << e.path() << " block " << i;
      ++pages;
      if (state == PageState::kNew) {
        ++new_pages;
        continue;
      }
      EXPECT_LE(read_page_header(page).lsn, decoder.boundary());
      if (pages % 50 != 0) continue;
      Bytes broken = to_bytes(page);
      broken[random() % kPageSize] ^= static_cast<std::uint8_t>(1 + random() % 255);
      for (const bool seen : {is_suspect(check_page(broken, file->first_block() + static_cast<std::uint32_t>(i))),
                              is_suspect(check_page(page, file->first_block() + static_cast<std::uint32_t>(i) + 1))}) {
        ++damages;
        unseen += seen ? 0 : 1;
      }
    }
  }
  EXPECT_GT(damages, 100u);
  EXPECT_LE(unseen, 2u) << "a page's checksum has 16 bits: one change in 65,535 goes unseen, three of " << damages << " do not";
  auto checked = cluster.run({"pg_checksums", "--check", "-D", cluster.data_directory()});
  ASSERT_OK(checked);
  std::smatch m;
  ASSERT_TRUE(std::regex_search(*checked, m, std::regex(R"(Files scanned:\s+(\d+)\s+Blocks scanned:\s+(\d+))"))) << *checked;
  EXPECT_EQ(std::to_string(files), m[1]);
  EXPECT_EQ(std::to_string(pages), m[2]);
  std::cout << records.size() << " records, " << whole.block_refs << " block references, " << whole.images << " images, " << pages
            << " pages (" << new_pages << " new), workload from " << workload_start.to_string() << "\n";
}

INSTANTIATE_TEST_SUITE_P(SegmentSizes, PgWal, ::testing::Values(16, 1), [](const auto& p) { return fmt::format("{}MB", p.param); });

}  // namespace
}  // namespace stele::pg
