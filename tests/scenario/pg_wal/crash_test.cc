// The log after a crash and after a promotion.
#include <gtest/gtest.h>

#include "core/pg/timeline_history.h"
#include "core/pg/wal_decoder.h"
#include "tests/scenario/pg_wal/common.h"

namespace stele::pg {
namespace {

// A record that crosses into a segment which is lost in a crash: PostgreSQL leaves its beginning in the log for ever.
TEST(PgWalCrash, ReadsOnBehindARecordThatWasNeverFinished) {
  auto made = PostgresCluster::create({.wal_segment_mb = 1, .config = "wal_keep_size = 1GB\nautovacuum = off\ncheckpoint_timeout = 1h"});
  ASSERT_OK(made);
  PostgresCluster& cluster = **made;
  ASSERT_OK(cluster.start());
  ASSERT_OK(cluster.psql("CREATE TABLE t (x int); CHECKPOINT; INSERT INTO t VALUES (1); SELECT pg_switch_wal(); INSERT INTO t VALUES (2);"));
  auto before = cluster.psql("SELECT pg_current_wal_insert_lsn()");
  ASSERT_OK(before);
  ASSERT_OK(cluster.psql("SELECT pg_logical_emit_message(true, 'big', repeat('x', 3000000)); INSERT INTO t VALUES (3);"));
  ASSERT_OK(cluster.kill_hard());
  constexpr std::uint32_t kSize = 1 << 20;
  Position torn = *parse_position(*before);
  for (int i = 1; i <= 4; ++i) {
    fs::remove(cluster.data_directory() + "/pg_wal/" + wal_file_name({1, segment_number(torn, kSize) + static_cast<std::uint64_t>(i)}, kSize));
  }
  ASSERT_OK(cluster.start());
  ASSERT_OK(cluster.psql("INSERT INTO t VALUES (4); SELECT pg_create_restore_point('after');"));
  ASSERT_OK(cluster.stop());

  Position first;
  Bytes wal = join_segments(cluster, kSize, &first);
  std::optional<OverwriteContrecord> overwrite;
  std::vector<std::string> points;
  WalDecoder decoder({.segment_size = kSize}, first, [&](const WalRecord& r) {
    if (const auto* o = std::get_if<OverwriteContrecord>(&r.notable)) overwrite = *o;
    if (const auto* p = std::get_if<RestorePoint>(&r.notable)) points.push_back(p->name);
  });
  Status status = decoder.feed(wal);
  ASSERT_FALSE(status.ok());
  auto control = parse_control_file(read_file(cluster.data_directory() + "/global/pg_control"));
  ASSERT_OK(control);
  EXPECT_EQ(decoder.last_record(), control->checkpoint) << status.error().to_string();
  ASSERT_TRUE(overwrite.has_value());
  EXPECT_EQ(overwrite->overwritten, torn);
  EXPECT_EQ(points, std::vector<std::string>{"after"});
}

// A standby is promoted: the log goes on under a new timeline in a copy of the last segment.
TEST(PgWalPromotion, FollowsTheLogToTheNewTimeline) {
  auto primary_made = PostgresCluster::create({.wal_segment_mb = 1, .config = "wal_keep_size = 1GB"});
  ASSERT_OK(primary_made);
  PostgresCluster& primary = **primary_made;
  ASSERT_OK(primary.start());
  ASSERT_OK(primary.psql("CREATE TABLE t AS SELECT generate_series(1, 10000) AS x"));
  auto standby_made = PostgresCluster::create_empty();
  ASSERT_OK(standby_made);
  PostgresCluster& standby = **standby_made;
  ASSERT_OK(primary.run({"pg_basebackup", "-D", standby.data_directory(), "-R", "-X", "stream", "-c", "fast"}));
  ASSERT_OK(standby.start());
  ASSERT_OK(primary.psql("INSERT INTO t SELECT generate_series(1, 10000)"));
  ASSERT_OK(primary.stop());
  ASSERT_OK(standby.psql("SELECT pg_promote(true, 30); INSERT INTO t SELECT generate_series(1, 10000); SELECT pg_create_restore_point('new life');"));
  ASSERT_OK(standby.stop());

  constexpr std::uint32_t kSize = 1 << 20;
  Bytes raw = read_file(standby.data_directory() + "/pg_wal/" + history_file_name(2));
  auto history = parse_timeline_history(2, as_text(raw));
  ASSERT_OK(history);
  ASSERT_EQ(history->ancestors.size(), 1u);
  EXPECT_EQ(write_timeline_history(*history), as_text(raw));

  std::vector<std::pair<std::string, WalSegment>> segments;
  for (const auto& e : fs::directory_iterator(standby.data_directory() + "/pg_wal")) {
    auto segment = parse_wal_file_name(e.path().filename().string(), kSize);
    if (segment.ok()) segments.emplace_back(e.path(), *segment);
  }
  std::sort(segments.begin(), segments.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  Position switched = history->begin();
  std::optional<EndOfRecovery> end_of_recovery;
  TimelineId of_point = 0;
  std::optional<WalDecoder> decoder;
  for (const auto& [path, segment] : segments) {
    // Of the old timeline only the whole segments before the one with the switch point.
    if (segment.timeline == 1 && segment.number >= segment_number(switched, kSize)) continue;
    if (!decoder) {
      decoder.emplace(WalDecoderOptions{.segment_size = kSize}, segment_begin(segment.number, kSize), [&](const WalRecord& r) {
        if (const auto* e = std::get_if<EndOfRecovery>(&r.notable)) end_of_recovery = *e;
        if (std::holds_alternative<RestorePoint>(r.notable)) of_point = r.timeline;
        EXPECT_EQ(r.timeline <= history->timeline_at(r.start), true);
      });
    }
    if (!decoder->feed(read_file(path)).ok()) break;
  }
  ASSERT_TRUE(decoder.has_value());
  auto control = parse_control_file(read_file(standby.data_directory() + "/global/pg_control"));
  ASSERT_OK(control);
  EXPECT_EQ(decoder->last_record(), control->checkpoint);
  ASSERT_TRUE(end_of_recovery.has_value());
  EXPECT_EQ(end_of_recovery->timeline, 2u);
  EXPECT_EQ(end_of_recovery->previous_timeline, 1u);
  EXPECT_EQ(of_point, 2u);
}

}  // namespace
}  // namespace stele::pg
