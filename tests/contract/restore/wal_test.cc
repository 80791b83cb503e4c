#include "tests/contract/restore/small_store.h"

#include <cstring>

#include "core/pg/control_file.h"
#include "core/pg/crc32c.h"
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
    return plan_restore(*catalog_, target, {}, false, index_.get());
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

/// A standby that was given a log of three objects, with more to come.
class Following : public Wal {
 protected:
  void SetUp() override {
    Wal::SetUp();
    fill(9, false);
    const auto p = plan();
    ASSERT_TRUE(p.ok()) << p.error().to_string();
    ASSERT_TRUE(stage_wal(*catalog_, *log_, *p, {}, staging(), 2, {}, true).ok());
    fs::create_directories(data() + "/global");
  }
  std::string data() { return scratch_ / "data"; }
  std::string put(std::int64_t first) {
    const std::size_t begin = wal_.bytes().size();
    const Position at = wal_.position();
    wal_.filler(100'000);
    wal_.commit(static_cast<pg::TransactionId>(700 + first), second(first));
    const auto before = builder_->names("log/");
    builder_->log(stream_, at, ByteView(wal_.bytes()).subspan(begin), second(first), second(first), second(first));
    for (const std::string& name : builder_->names("log/")) {
      if (std::find(before.begin(), before.end(), name) == before.end()) return builder_->file_of(name);
    }
    return "";
  }
  Result<Followed> extend() {
    catalog_ = load().value();
    log_ = std::make_unique<LogReader>(*catalog_, keys_);
    return extend_staging(*catalog_, *log_, staging(), 2);
  }
};

TEST_F(Following, AHoleBehindItsEndIsTold) {
  const std::string lost = put(10);
  put(11);
  fs::rename(lost, scratch_ / "away");
  const auto stuck = extend();
  ASSERT_TRUE(stuck.ok()) << stuck.error().to_string();
  EXPECT_EQ(stuck->end, end_);
  ASSERT_TRUE(stuck->stuck.has_value()) << "there is more in the store, and it is not given";
  EXPECT_EQ(stuck->stuck->code, ErrorCode::kGap);
  fs::rename(scratch_ / "away", lost);
  const auto goes_on = extend();
  ASSERT_TRUE(goes_on.ok()) << goes_on.error().to_string();
  EXPECT_EQ(goes_on->end, wal_.position());
  EXPECT_FALSE(goes_on->stuck.has_value());
}

TEST_F(Following, ItsLastRecordIsKnownAlsoWhenRetentionTookTheLogThatItBeganWith) {
  put(10);
  const auto done = extend();
  ASSERT_TRUE(done.ok()) << done.error().to_string();
  ASSERT_EQ(last_record_before(*catalog_, *log_, staging(), done->end).value(), done->end);
  std::vector<std::pair<Position, std::string>> runs;
  for (const auto& run : catalog_->facts().runs) runs.emplace_back(run.range.begin, builder_->file_of(run.name));
  std::sort(runs.begin(), runs.end());
  fs::remove(runs.front().second);
  ASSERT_TRUE(extend().ok());
  const auto last = last_record_before(*catalog_, *log_, staging(), done->end);
  ASSERT_TRUE(last.ok()) << last.error().to_string();
  EXPECT_EQ(*last, done->end) << "not the place where the standby began";
  fs::remove(runs.back().second);
  ASSERT_TRUE(extend().ok());
  EXPECT_EQ(last_record_before(*catalog_, *log_, staging(), done->end).error().code, ErrorCode::kGap);
}

TEST_F(Following, NothingIsTrimmedBeforeTheFirstStart) {
  for (const int i : {10, 11, 12}) put(i);
  ASSERT_TRUE(extend().ok());
  // The control file of a base backup that was taken from a standby: its restart point lies behind the backup's start.
  Bytes control(8192);
  auto put_number = [&](std::size_t at, std::uint64_t value, std::size_t size) { std::memcpy(&control[at], &value, size); };
  put_number(8, 1300, 4);
  put_number(32, wal_.position().value, 8), put_number(40, wal_.position().value, 8), put_number(48, 1, 4), put_number(52, 1, 4);
  put_number(172, 1, 4), put_number(180, 100, 4), put_number(184, 8, 4), put_number(188, 10, 4), put_number(196, 64, 4);
  put_number(216, 8192, 4), put_number(220, 131072, 4), put_number(224, 8192, 4), put_number(228, kSegment, 4);
  put_number(288, pg::crc32c_finish(pg::crc32c(pg::kCrc32cInit, ByteView(control).first(288))), 4);
  ASSERT_TRUE(pg::parse_control_file(control).ok()) << pg::parse_control_file(control).error().to_string();
  write_path(data() + "/global/pg_control", control);
  write_path(data() + "/backup_label", as_bytes("START WAL LOCATION: 0/1000028 (file 000000010000000000000001)\n"));
  const auto staged = read_wal_plan(staging())->segments.size();
  ASSERT_GT(staged, 1u) << "or there is nothing to trim";
  EXPECT_EQ(trim_staging(staging(), data()).value(), 0u);
  EXPECT_EQ(read_wal_plan(staging())->segments.size(), staged);
  // PostgreSQL renames the label when it has begun.
  fs::rename(data() + "/backup_label", data() + "/backup_label.old");
  EXPECT_GT(trim_staging(staging(), data()).value(), 0u);
}

TEST_F(Wal, AStandbyIsGivenTheHistoriesOfItsOwnPathAlone) {
  fill(12, false);
  auto old = load().value();
  const Position fork = old->facts().runs.back().range.begin;
  const std::size_t at = fork - Position{0x1000000};
  const Bytes new_log(wal_.bytes().begin() + static_cast<std::ptrdiff_t>(at), wal_.bytes().end());
  // Timeline 4 was abandoned; the database goes on with timeline 3, and nobody ever wrote 2.
  const StreamId abandoned = builder_->branch(4, kSystem, kSegment, stream_, fork);
  builder_->log(abandoned, fork, new_log, second(20), second(21), second(21));
  const StreamId child = builder_->branch(3, kSystem, kSegment, stream_, fork);
  builder_->log(child, fork, new_log, second(30), second(31), second(31));
  recovery::Target target;
  target.timeline = "3";
  const auto p = plan(target);
  ASSERT_TRUE(p.ok()) << p.error().to_string();
  ASSERT_TRUE(stage_wal(*catalog_, *log_, *p, {}, staging(), 2, {}, true).ok());
  // It looks for the highest number by counting up.
  EXPECT_EQ(fetch("00000002.history"), 0);
  EXPECT_EQ(fetch("00000003.history"), 0);
  write_path(scratch_ / "standby.signal", {});
  const fs::path here = fs::current_path();
  fs::current_path(fs::path(scratch_ / "standby.signal").parent_path());
  EXPECT_EQ(fetch("00000004.history"), 1) << "it would follow the abandoned one";
  fs::current_path(here);
}

}  // namespace
}  // namespace stele::restore
