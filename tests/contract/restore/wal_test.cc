#include "tests/contract/restore/small_store.h"

#include "core/pg/timeline_history.h"
#include "restore/wal/wal_follow.h"

namespace stele::restore {
namespace {

class Wal : public SmallStore {
 protected:
  Result<recovery::Plan> plan(const recovery::Target& target = {}) {
    catalog_ = load().value();
    keys_.add(builder_->recovery_key());
    log_ = std::make_unique<LogReader>(*catalog_, keys_);
    index_ = std::make_unique<DecodingLogIndex>(*catalog_, *log_);
    return plan_restore(*catalog_, target, {}, index_.get());
  }
  int fetch(const std::string& name) { return fetch_wal_file(staging(), name, scratch_ / "fetched").exit_code; }
  std::string staging() { return scratch_ / "staging"; }
  std::unique_ptr<StoreCatalog> catalog_;
  KeyRing keys_;
  std::unique_ptr<LogReader> log_;
  std::unique_ptr<DecodingLogIndex> index_;
};

TEST_F(Wal, StagedSegmentsAreTheLogAndEndInZeros) {
  fill();
  const auto p = plan();
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  ASSERT_TRUE(stage_wal(*catalog_, *log_, *p, {}, staging(), 2, {}).ok());
  Bytes all;
  for (const std::string& name : p->segments) {
    const Bytes segment = read_path(staging() + "/" + name);
    EXPECT_EQ(segment.size(), kSegment);
    all.insert(all.end(), segment.begin(), segment.end());
  }
  const std::size_t size = end_ - Position{0x1000000};
  ASSERT_GE(all.size(), size);
  EXPECT_TRUE(equal(ByteView(all).first(size), ByteView(wal_.bytes()).first(size)));
  EXPECT_TRUE(std::all_of(all.begin() + static_cast<std::ptrdiff_t>(size), all.end(), [](std::uint8_t b) { return b == 0; }));
}

TEST_F(Wal, FetchGivesWhatIsThereAndOneOnlyPastTheEnd) {
  fill();
  const auto p = plan();
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  ASSERT_TRUE(stage_wal(*catalog_, *log_, *p, {2}, staging(), 2, {}).ok());
  EXPECT_EQ(fetch(p->segments.front()), 0);
  EXPECT_TRUE(equal(read_path(scratch_ / "fetched"), read_path(staging() + "/" + p->segments.front())));
  EXPECT_EQ(fetch("00000002.history"), 0) << "a reserved number looks taken";
  EXPECT_EQ(fetch("00000003.history"), 1);
  EXPECT_EQ(fetch("000000010000000000000FFF"), 1);
  EXPECT_EQ(fetch("000000010000000000000001"), 255) << "before the plan: not proven to be past the end";
  EXPECT_EQ(fetch("nonsense"), 255);
  fs::remove(staging() + "/" + p->segments.back());
  EXPECT_EQ(fetch(p->segments.back()), 255) << "planned and lost";
  fs::resize_file(staging() + "/" + p->segments.front(), 100);
  EXPECT_EQ(fetch(p->segments.front()), 255);
  fs::remove(staging() + "/plan");
  EXPECT_EQ(fetch("000000010000000000000FFF"), 255) << "without a plan nothing is proven";
}

TEST_F(Wal, TimesTransactionsAndPositionsAreResolvedByDecoding) {
  fill();
  recovery::Target target;
  target.kind = recovery::TargetKind::kTime;
  target.time = {second(7).micros + 1};
  const auto by_time = plan(target);
  ASSERT_TRUE(by_time.ok()) << by_time.error().to_string();
  EXPECT_TRUE(by_time->exact);
  target.kind = recovery::TargetKind::kXid;
  target.xid = 708;
  const auto by_xid = plan(target);
  ASSERT_TRUE(by_xid.ok()) << by_xid.error().to_string();
  EXPECT_EQ(by_time->end, by_xid->end) << "the first commit later than second 7 is transaction 708";
  target.kind = recovery::TargetKind::kLsn;
  target.lsn = end_;
  const auto by_lsn = plan(target);
  ASSERT_TRUE(by_lsn.ok()) << by_lsn.error().to_string();
  EXPECT_EQ(by_lsn->end, end_);
  EXPECT_EQ(by_lsn->reaches.position, end_);
}

TEST_F(Wal, ANewTimelinesFirstSegmentBeginsWithItsParentsBytes) {
  fill(12, false);
  // The standby was promoted a little before the end of the old branch.
  auto old = load().value();
  const Position fork = old->facts().runs.back().range.begin;
  const StreamId child = builder_->branch(2, kSystem, kSegment, stream_, fork);
  const std::size_t at = fork - Position{0x1000000};
  Bytes new_log(wal_.bytes().begin() + static_cast<std::ptrdiff_t>(at), wal_.bytes().end());
  builder_->log(child, fork, new_log, second(20), second(21), second(21));
  recovery::Target target;
  target.timeline = "2";
  const auto p = plan(target);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  EXPECT_EQ(p->timeline, 2u);
  ASSERT_TRUE(stage_wal(*catalog_, *log_, *p, {}, staging(), 2, {}).ok());
  const std::string first = pg::wal_file_name({2, fork.value / kSegment}, kSegment);
  const Bytes segment = read_path(staging() + "/" + first);
  ASSERT_EQ(segment.size(), kSegment);
  const std::size_t begin = fork.value / kSegment * kSegment - 0x1000000, size = std::min<std::size_t>(kSegment, wal_.bytes().size() - begin);
  EXPECT_TRUE(equal(ByteView(segment).first(size), ByteView(wal_.bytes()).subspan(begin, size)));
  EXPECT_EQ(fetch(pg::wal_file_name({1, fork.value / kSegment}, kSegment)), 1) << "timeline 1 ends in it";
  EXPECT_EQ(fetch("00000002.history"), 0);
  const Bytes history = read_path(scratch_ / "fetched");
  const auto parsed = pg::parse_timeline_history(2, as_text(history));
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->ancestors.size(), 1u);
  EXPECT_EQ(parsed->ancestors[0].end, fork);
}

TEST_F(Wal, AFollowedTimelinesFirstSegmentIsWholeThoughItsParentsEndCameAlone) {
  fill(9, false);
  const auto p = plan();
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  ASSERT_TRUE(stage_wal(*catalog_, *log_, *p, {}, staging(), 2, {}, true).ok());
  auto more = [&](int first) {
    const std::size_t begin = wal_.bytes().size();
    for (int i = first; i < first + 3; ++i) {
      wal_.filler(100'000);
      wal_.commit(static_cast<pg::TransactionId>(700 + i), second(i));
    }
    return Bytes(wal_.bytes().begin() + static_cast<std::ptrdiff_t>(begin), wal_.bytes().end());
  };
  auto extend = [&] {
    catalog_ = load().value();
    log_ = std::make_unique<LogReader>(*catalog_, keys_);
    auto followed = extend_staging(*catalog_, *log_, staging(), 2);
    EXPECT_TRUE(followed.ok()) << followed.error().to_string();
    return followed->end;
  };
  // The source was promoted: its new branch is known, and of the log only the old timeline's end has come.
  builder_->log(stream_, end_, more(10), second(10), second(12), second(12));
  const Position fork = wal_.position();
  ASSERT_NE(fork.value % kSegment, 0u);
  const StreamId child = builder_->branch(2, kSystem, kSegment, stream_, fork);
  EXPECT_EQ(extend(), fork);
  builder_->log(child, fork, more(13), second(13), second(15), second(15));
  EXPECT_EQ(extend(), wal_.position());
  const Bytes segment = read_path(staging() + "/" + pg::wal_file_name({2, fork.value / kSegment}, kSegment));
  ASSERT_EQ(segment.size(), kSegment);
  const std::size_t begin = fork.value / kSegment * kSegment - 0x1000000, size = std::min<std::size_t>(kSegment, wal_.bytes().size() - begin);
  EXPECT_TRUE(equal(ByteView(segment).first(size), ByteView(wal_.bytes()).subspan(begin, size)));
}

}  // namespace
}  // namespace stele::restore
