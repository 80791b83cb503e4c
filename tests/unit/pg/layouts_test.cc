// Golden values of PostgreSQL's fixed layouts and names.
#include <gtest/gtest.h>

#include <random>

#include "core/pg/backup_label.h"
#include "core/pg/control_file.h"
#include "core/pg/crc32c.h"
#include "core/pg/page.h"
#include "core/pg/relation_file.h"
#include "core/pg/timeline_history.h"
#include "core/pg/wal_segment.h"

namespace stele::pg {
namespace {

TEST(Crc32c, GivesThePublishedValue) {
  EXPECT_EQ(crc32c_finish(crc32c(kCrc32cInit, as_bytes("123456789"))), 0xE3069283u);
  EXPECT_EQ(crc32c_finish(crc32c_by_table(kCrc32cInit, as_bytes("123456789"))), 0xE3069283u);
}

TEST(Crc32c, IsTheSameByTableAndByInstructionInAnyPieces) {
  std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  Bytes data(5000);
  for (auto& b : data) b = static_cast<std::uint8_t>(random());
  std::uint32_t whole = crc32c_by_table(kCrc32cInit, data), pieces = kCrc32cInit;
  for (std::size_t at = 0; at < data.size();) {
    std::size_t n = std::min<std::size_t>(random() % 40, data.size() - at);
    pieces = crc32c(pieces, ByteView(data).subspan(at, n));
    at += n;
  }
  EXPECT_EQ(whole, pieces);
}

TEST(WalSegment, NamesAreThoseOfPostgres) {
  EXPECT_EQ(wal_file_name({1, 1}, 16u << 20), "000000010000000000000001");
  EXPECT_EQ(wal_file_name({3, 256}, 16u << 20), "000000030000000100000000");
  EXPECT_EQ(wal_file_name({1, 4095}, 1u << 20), "000000010000000000000FFF");
  EXPECT_EQ(wal_file_name({1, 4096}, 1u << 20), "000000010000000100000000");
  EXPECT_EQ(wal_file_name({0xAB, 7}, 1u << 30), "000000AB0000000100000003");
  for (std::uint32_t size = kMinWalSegmentSize; size <= kMaxWalSegmentSize; size *= 2) {
    for (std::uint64_t number : {0ull, 1ull, 12345ull, 0xFFFFFFFFull}) {
      WalSegment s{9, number};
      if (number >= (std::uint64_t{1} << 32) * ((std::uint64_t{1} << 32) / size)) continue;
      auto parsed = parse_wal_file_name(wal_file_name(s, size), size);
      ASSERT_TRUE(parsed.ok());
      EXPECT_EQ(*parsed, s);
    }
    EXPECT_TRUE(check_wal_segment_size(size).ok());
  }
  for (std::uint64_t bad : {0ull, 1ull << 19, 1ull << 31, 3ull << 20}) EXPECT_FALSE(check_wal_segment_size(bad).ok());
  for (const char* bad : {"", "00000001000000000000000", "0000000100000000000000001", "00000001000000000000000g", "00000001000000000000000a",
                          "000000000000000000000001", "000000010000000000000100"}) {
    EXPECT_EQ(parse_wal_file_name(bad, 16u << 20).error().code, ErrorCode::kUsage) << bad;
  }
  EXPECT_EQ(segment_ceiling({0x1000001}, 16u << 20), (Position{0x2000000}));
  EXPECT_EQ(segment_ceiling({0x1000000}, 16u << 20), (Position{0x1000000}));
  EXPECT_EQ(segment_begin(Position{0x1FFFFFF}, 16u << 20), (Position{0x1000000}));
}

TEST(WalSegment, TellsTheKindsOfFilesApart) {
  EXPECT_EQ(classify_wal_file("000000010000000000000001"), WalFileKind::kSegment);
  EXPECT_EQ(classify_wal_file("00000002.history"), WalFileKind::kHistory);
  EXPECT_EQ(classify_wal_file("000000010000000000000001.partial"), WalFileKind::kPartial);
  EXPECT_EQ(classify_wal_file("000000010000000000000001.00000028.backup"), WalFileKind::kBackupHistory);
  for (const char* other : {"", "archive_status", "RECOVERYXLOG", "0000000g.history", "000000010000000000000001.x"}) {
    EXPECT_EQ(classify_wal_file(other), WalFileKind::kOther) << other;
  }
  EXPECT_EQ(*parse_history_file_name("0000000A.history"), 10u);
  EXPECT_FALSE(parse_history_file_name("00000000.history").ok());
  EXPECT_FALSE(parse_history_file_name("0000000a.history").ok());
}

TEST(TimelineHistory, ReadsWhatPostgresWrites) {
  auto h = parse_timeline_history(4, "# a comment\n1\t0/5000000\tno recovery target specified\n\n3\t1/A0\tat restore point \"x y\"\n");
  ASSERT_TRUE(h.ok());
  ASSERT_EQ(h->ancestors.size(), 2u);
  EXPECT_EQ(h->ancestors[1].reason, "at restore point \"x y\"");
  EXPECT_EQ(h->ancestors[1].begin, (Position{0x5000000}));
  EXPECT_EQ(h->begin(), (Position{0x1000000A0}));
  EXPECT_EQ(h->timeline_at({0}), 1u);
  EXPECT_EQ(h->timeline_at({0x4FFFFFF}), 1u);
  EXPECT_EQ(h->timeline_at({0x5000000}), 3u);
  EXPECT_EQ(h->timeline_at({0x1000000A0}), 4u);
  EXPECT_EQ(h->switch_point(3), (Position{0x1000000A0}));
  EXPECT_FALSE(h->switch_point(4).has_value());
  EXPECT_FALSE(h->switch_point(2).has_value());
  EXPECT_EQ(write_timeline_history(*h), "1\t0/5000000\tno recovery target specified\n3\t1/A0\tat restore point \"x y\"\n");
  EXPECT_EQ(to_hex(canonical_bytes(*h)), "01" "04000000" "02000000" "01000000" "0000000500000000" "03000000" "a000000001000000");
}

TEST(TimelineHistory, RefusesWhatCannotBe) {
  for (const char* bad : {"x\t0/1\n", "1\n", "1\tzz\n", "0\t0/1\n", "2\t0/1\n1\t0/2\n", "1\t0/2\n2\t0/1\n", "5\t0/1\n", "1\t0/1\n1\t0/2\n", "-1\t0/1\n"}) {
    EXPECT_EQ(parse_timeline_history(5, bad).error().code, ErrorCode::kDamaged) << bad;
  }
  EXPECT_FALSE(parse_timeline_history(0, "").ok());
  EXPECT_TRUE(parse_timeline_history(1, "").ok());
}

TEST(TimelineHistory, KnowsItsAncestors) {
  auto make = [](TimelineId tli, std::string_view text) { return *parse_timeline_history(tli, text); };
  TimelineHistory one, two = make(2, "1\t0/100\tx\n"), two_other = make(2, "1\t0/200\tx\n"), three = make(3, "1\t0/100\ty\n2\t0/300\tz\n"),
                       three_of_one = make(3, "1\t0/100\tx\n");
  EXPECT_TRUE(three.descends_from(two));
  EXPECT_TRUE(three.descends_from(one));
  EXPECT_TRUE(three.descends_from(three));
  EXPECT_FALSE(three.descends_from(two_other));
  EXPECT_FALSE(two.descends_from(three));
  EXPECT_FALSE(three_of_one.descends_from(two));
  EXPECT_EQ(two.common_end(two_other), (Position{0x100}));
  EXPECT_EQ(three.common_end(two), (Position{0x300}));
  EXPECT_EQ(three.common_end(two_other), (Position{0x100}));
  EXPECT_EQ(one.common_end(three), (Position{0x100}));
  EXPECT_EQ(three_of_one.common_end(three), (Position{0x100}));
  EXPECT_EQ(one.common_end(one), (Position{~0ull}));
  EXPECT_EQ(*three.history_of(2), two);
}

Bytes control_bytes(std::uint32_t version) {
  Bytes b(kControlFileSize);
  auto u32 = [&](std::size_t at, std::uint32_t v) { std::memcpy(&b[at], &v, 4); };
  auto u64 = [&](std::size_t at, std::uint64_t v) { std::memcpy(&b[at], &v, 8); };
  u64(0, 7123456789012345678), u32(8, version), u32(12, 202209061), u32(16, 6), u64(24, 1700000000), u64(32, 0x123456);
  u64(40, 0x123400), u32(48, 2), u32(52, 1), u64(64, (3ull << 32) | 777), u64(104, 1699999999);
  u64(136, 0x99), u32(144, 2), u32(172, 1), u32(180, 100), u32(184, 8), u32(188, 10), u32(192, 2), u32(196, 64);
  b[200] = 1;
  u32(216, 8192), u32(220, 131072), u32(224, 8192), u32(228, 16 << 20), u32(252, 1);
  u32(288, crc32c_finish(crc32c(kCrc32cInit, ByteView(b).first(288))));
  return b;
}

TEST(ControlFile, ReadsTheKnownVersionsAndRefusesOthers) {
  for (std::uint32_t version : {1300u, 1700u}) {
    Bytes bytes = control_bytes(version);
    auto c = parse_control_file(bytes);
    ASSERT_TRUE(c.ok()) << c.error().to_string();
    EXPECT_EQ(c->system_identifier, 7123456789012345678u);
    EXPECT_EQ(c->state, DatabaseState::kInProduction);
    EXPECT_EQ(c->checkpoint, (Position{0x123456}));
    EXPECT_EQ(c->checkpoint_copy.timeline, 2u);
    EXPECT_EQ(c->checkpoint_copy.next_full_xid, (3ull << 32) | 777);
    EXPECT_EQ(c->checkpoint_copy.time, (Timestamp{1699999999000000}));
    EXPECT_EQ(c->max_connections, 100u);
    EXPECT_TRUE(c->track_commit_timestamp);
    EXPECT_EQ(c->wal_segment_size, 16u << 20);
    EXPECT_EQ(c->data_checksum_version, 1u);
    for (std::size_t at = 0; at < 292; ++at) {
      Bytes broken = bytes;
      broken[at] ^= 0x10;
      EXPECT_FALSE(parse_control_file(broken).ok()) << at;
    }
    for (std::size_t size = 0; size < 292; ++size) EXPECT_FALSE(parse_control_file(ByteView(bytes).first(size)).ok());
  }
  EXPECT_EQ(parse_control_file(control_bytes(1201)).error().code, ErrorCode::kUnsupported);
}

TEST(Page, ChecksumCountsEverythingButItself) {
  Bytes page(kPageSize);
  for (std::size_t i = 0; i < page.size(); ++i) page[i] = static_cast<std::uint8_t>(i * 31 + i / 256);
  std::uint16_t sum = page_checksum(page, 5);
  Bytes other = page;
  other[8] ^= 0xFF, other[9] ^= 0xFF;
  EXPECT_EQ(page_checksum(other, 5), sum) << "the stored checksum does not count";
  EXPECT_NE(page_checksum(page, 6), sum);
  other = page;
  other[8191] ^= 1;
  EXPECT_NE(page_checksum(other, 5), sum);
  EXPECT_NE(sum, 0);
}

TEST(Page, TellsNewGoodAndBadApart) {
  Bytes page(kPageSize);
  EXPECT_EQ(check_page(page, 0), PageState::kNew);
  page[5000] = 1;
  EXPECT_EQ(check_page(page, 0), PageState::kBadHeader);
  auto u16 = [&](std::size_t at, std::uint16_t v) { std::memcpy(&page[at], &v, 2); };
  std::uint32_t high = 0x16, low = 0xB374D848;
  std::memcpy(&page[0], &high, 4), std::memcpy(&page[4], &low, 4);
  u16(12, 40), u16(14, 8000), u16(16, 8192), u16(18, 8192 | 4);
  u16(8, page_checksum(page, 3));
  EXPECT_EQ(check_page(page, 3), PageState::kGood);
  EXPECT_EQ(check_page(page, 4), PageState::kBadChecksum);
  EXPECT_EQ(read_page_header(page).lsn.to_string(), "16/B374D848");
  EXPECT_EQ(read_page_header(page).page_size, 8192);
  EXPECT_EQ(read_page_header(page).layout_version, 4);
  u16(12, 8100);
  u16(8, page_checksum(page, 3));
  EXPECT_EQ(check_page(page, 3), PageState::kBadHeader);
}

TEST(BackupLabel, ReadsAndWritesWhatPostgresWrites) {
  const std::string text =
      "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\n"
      "BACKUP FROM: primary\nSTART TIME: 2026-11-23 16:00:00 UTC\nLABEL: a: b\nSTART TIMELINE: 1\n";
  auto label = parse_backup_label(text);
  ASSERT_TRUE(label.ok());
  EXPECT_EQ(label->start_wal_location.to_string(), "0/2000028");
  EXPECT_EQ(label->checkpoint_location.to_string(), "0/2000060");
  EXPECT_EQ(label->label, "a: b");
  EXPECT_EQ(label->start_timeline, 1u);
  EXPECT_EQ(write_backup_label(*label), text);
  auto old = parse_backup_label("START WAL LOCATION: 0/28 (file 000000070000000000000000)\nCHECKPOINT LOCATION: 0/60\n");
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->start_timeline, 7u);
  for (const char* bad : {"", "CHECKPOINT LOCATION: 0/60\n", "START WAL LOCATION: 0/28 (file 000000070000000000000000)\n",
                          "START WAL LOCATION: x (file 000000070000000000000000)\nCHECKPOINT LOCATION: 0/60\n",
                          "START WAL LOCATION: 0/28 (file ../../etc)\nCHECKPOINT LOCATION: 0/60\n"}) {
    EXPECT_EQ(parse_backup_label(bad).error().code, ErrorCode::kDamaged) << bad;
  }
}

TEST(TablespaceMap, KeepsEscapedPaths) {
  std::map<Oid, std::string> map = {{16400, "/srv/with space"}, {16401, "/srv/line\nend\\x"}};
  auto parsed = parse_tablespace_map(write_tablespace_map(map));
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  EXPECT_EQ(*parsed, map);
  for (const char* bad : {"x /srv\n", "16400\n", "16400 \n", "16400 /a\n16400 /b\n", "16400 /a\\"}) EXPECT_FALSE(parse_tablespace_map(bad).ok()) << bad;
}

TEST(RelationFile, IsRecognisedByItsPath) {
  auto f = parse_relation_path("base/5/1259_vm.3");
  ASSERT_TRUE(f.has_value());
  EXPECT_EQ(f->database, 5u);
  EXPECT_EQ(f->relation, 1259u);
  EXPECT_EQ(f->fork, Fork::kVisibilityMap);
  EXPECT_EQ(f->first_block(), 3u * 131072);
  f = parse_relation_path("pg_tblspc/16400/PG_15_202209061/5/16401");
  ASSERT_TRUE(f.has_value());
  EXPECT_EQ(f->tablespace, 16400u);
  EXPECT_EQ(parse_relation_path("global/1262")->tablespace, 1664u);
  EXPECT_TRUE(parse_relation_path("base/5/t3_16500")->temporary);
  EXPECT_EQ(parse_relation_path("base/5/16500_init")->fork, Fork::kInit);
  for (const char* other : {"", "global/pg_control", "base/5/pg_filenode.map", "base/5/PG_VERSION", "base/5/1259.0", "base/5/01259", "base/5/1259_x",
                            "base/5/1259.", "base/5", "base/x/1", "pg_xact/0000", "pg_tblspc/16400/other/5/1", "base/5/99999999999", "base/5/1259.40000"}) {
    EXPECT_FALSE(parse_relation_path(other).has_value()) << other;
  }
}

TEST(BackupTreatment, LeavesOutWhatPostgresLeavesOut) {
  EXPECT_EQ(backup_treatment("pg_wal", true), BackupTreatment::kEmptyDirectory);
  EXPECT_EQ(backup_treatment("pg_wal/archive_status", true), BackupTreatment::kEmptyDirectory);
  EXPECT_EQ(backup_treatment("pg_wal/000000010000000000000001", false), BackupTreatment::kExclude);
  EXPECT_EQ(backup_treatment("pg_replslot/a/state", false), BackupTreatment::kExclude);
  EXPECT_EQ(backup_treatment("postmaster.pid", false), BackupTreatment::kExclude);
  EXPECT_EQ(backup_treatment("base/5/pg_internal.init.123", false), BackupTreatment::kExclude);
  EXPECT_EQ(backup_treatment("base/pgsql_tmp/pgsql_tmp1.0", false), BackupTreatment::kExclude);
  EXPECT_EQ(backup_treatment("base/5/t3_16500", false), BackupTreatment::kExclude);
  EXPECT_EQ(backup_treatment("base/5/16500", false), BackupTreatment::kInclude);
  EXPECT_EQ(backup_treatment("global/pg_control", false), BackupTreatment::kInclude);
  EXPECT_EQ(backup_treatment("pg_xact", true), BackupTreatment::kInclude);
}

}  // namespace
}  // namespace stele::pg
