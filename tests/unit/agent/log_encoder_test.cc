#include "agent/log/log_encoder.h"

#include <set>

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"
#include "agent/log/branch_decision.h"
#include "tests/support/wal_builder.h"

namespace stele::agent {
namespace {

constexpr std::uint32_t kSegment = pg::kMinWalSegmentSize;
const Timestamp kTime{1'790'000'000'000'000};

struct LogEncoderTest : testing::Test {
  test::SeededRandom random{9};
  crypto::SecretBytes data_key = crypto::SecretBytes::random(32, random), join_key = crypto::SecretBytes::random(32, random);
  LogEncoderOptions options;
  pg::WalBuilder wal{{0x1000000}, kSegment};
  std::unique_ptr<LogEncoder> encoder;
  std::vector<format::Frame> frames;

  LogEncoderTest() {
    options.stream = random.draw<StreamId>();
    options.epoch = random.draw<EpochId>();
    options.generation = {3};
    options.segment_size = kSegment;
    options.major = 15;
    options.system_identifier = wal.system_identifier;
    options.frame_bytes = 16 << 10;
    options.object_bytes = 100 << 10;
  }
  /// A log of commits, large records and restore points.
  void fill(std::size_t bytes, test::SeededRandom& r) {
    const std::size_t until = wal.bytes().size() + bytes;
    for (std::uint32_t xid = 700; wal.bytes().size() < until; ++xid) {
      wal.filler(1 + r.below(r.below(10) == 0 ? 30'000 : 400), xid);
      if (r.below(3) == 0) wal.commit(xid, {kTime.micros + static_cast<std::int64_t>(r.below(1'000'000'000))}, r.below(4) != 0);
      if (r.below(40) == 0) wal.restore_point(kTime, "point" + std::to_string(xid));
    }
  }
  ByteView log(Position begin, Position end) const { return ByteView(wal.bytes()).subspan(begin.value - 0x1000000, end - begin); }
  void create(Position overlap, Position resume) { encoder = LogEncoder::create(options, data_key, join_key, overlap, resume, random).value(); }
  Status feed(Position begin, Position end, test::SeededRandom* cuts = nullptr) {
    ByteView bytes = log(begin, end);
    while (!bytes.empty()) {
      const std::size_t take = cuts == nullptr ? bytes.size() : std::min<std::size_t>(bytes.size(), 1 + cuts->below(20'000));
      STELE_CHECK(encoder->feed(bytes.first(take), kTime, frames));
      bytes = bytes.subspan(take);
      if (cuts != nullptr && cuts->below(4) == 0) STELE_CHECK(encoder->flush(frames));
      if (cuts != nullptr && cuts->below(20) == 0) STELE_CHECK(encoder->as_of(kTime, frames));
    }
    return {};
  }
  /// What a restore reads: every object's chain is followed, its frames are opened.
  Bytes decode(std::vector<format::IndexBlock>* indexes = nullptr, std::vector<ObjectId>* objects = nullptr) {
    Bytes out;
    std::optional<format::LogObjectOpener> opener;
    format::FrameChain chain;
    Position end;
    for (const format::Frame& frame : frames) {
      if (frame.header().number == 0) {
        chain = {};
        opener.emplace(format::LogObjectOpener::begin(frame.header(), data_key).value());
        EXPECT_TRUE(end.value == 0 || frame.header().start == end) << "objects join";
        if (objects != nullptr) objects->push_back(frame.header().object);
      }
      EXPECT_TRUE(chain.accept(frame).ok());
      if (frame.header().kind == format::FrameKind::kIndex) {
        auto index = opener->open_index(frame);
        EXPECT_TRUE(index.ok());
        if (index.ok() && indexes != nullptr) indexes->push_back(*index);
      } else {
        EXPECT_TRUE(opener->open_log(frame, out).ok());
      }
      end = frame.header().end;
    }
    return out;
  }
};

TEST_F(LogEncoderTest, OnABoundaryWhoseSegmentBeforeIsGoneTheNewObjectJoinsTheKeptTag) {
  fill(2 * kSegment, random);
  const Position boundary{0x1000000 + kSegment};
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, boundary).ok());
  ASSERT_TRUE(encoder->flush(frames).ok());
  ASSERT_EQ(frames.back().header().end, boundary);
  const JoinTag kept = frames.back().header().join;
  frames.clear();
  create(boundary, boundary);
  encoder->expect_join(kept, options.stream);
  ASSERT_TRUE(feed(boundary, boundary + 20'000).ok());
  ASSERT_TRUE(encoder->flush(frames).ok());
  ASSERT_TRUE(frames.front().header().join_start.has_value());
  EXPECT_EQ(*frames.front().header().join_start, kept);
}

TEST_F(LogEncoderTest, WhateverTheCutsTheFramesDecodeToTheSameBytes) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  test::SeededRandom r(seed);
  fill(3 * kSegment, r);
  for (int round = 0; round < 10; ++round) {
    frames.clear();
    const Position resume{0x1000000 + r.below(kSegment)};
    create({0x1000000}, resume);
    ASSERT_TRUE(feed({0x1000000}, wal.position(), &r).ok());
    ASSERT_TRUE(encoder->end_object(frames).ok());
    EXPECT_EQ(encoder->sealed_end(), wal.position());
    const ByteView expected = log(resume, wal.position());
    ASSERT_TRUE(std::ranges::equal(decode(), expected)) << round;
    for (const auto& frame : frames) ASSERT_LE(frame.header().raw_size(), options.frame_bytes);
  }
}

TEST_F(LogEncoderTest, IndexBlocksSayWhatAnIndependentReadingOfTheLogSays) {
  test::SeededRandom r(11);
  fill(2 * kSegment, r);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, wal.position(), &r).ok());
  ASSERT_TRUE(encoder->end_object(frames).ok());
  std::vector<format::IndexBlock> indexes;
  decode(&indexes);
  ASSERT_GT(indexes.size(), 10u);
  std::size_t commits = 0, points = 0;
  // One reader over the whole log, asked at each frame's end.
  pg::WalDecoder reader({kSegment, 15, wal.system_identifier}, {0x1000000});
  Position at{0x1000000};
  for (const auto& index : indexes) {
    for (const auto& f : index.frames) {
      ASSERT_EQ(f.range.begin, at);
      ASSERT_TRUE(reader.feed(log(f.range.begin, f.range.end)).ok());
      const pg::LogFacts facts = reader.take_facts();
      EXPECT_EQ(f.commits, facts.commits);
      EXPECT_EQ(f.aborts, facts.aborts);
      EXPECT_EQ(f.min_commit, facts.min_commit);
      EXPECT_EQ(f.max_commit, facts.max_commit);
      EXPECT_EQ(f.min_xid, facts.min_xid);
      EXPECT_EQ(f.max_xid, facts.max_xid);
      EXPECT_EQ(f.block_references, facts.block_refs);
      commits += f.commits;
      at = f.range.end;
    }
    points += index.restore_points.size();
    for (const auto& point : index.restore_points) EXPECT_TRUE(point.name.starts_with("point"));
  }
  EXPECT_EQ(at, wal.position());
  EXPECT_GT(commits, 100u);
  EXPECT_GT(points, 5u);
}

TEST_F(LogEncoderTest, CommitTimesAreInTheClearHeaderAndNamesAreNot) {
  wal.commit(700, kTime);
  wal.restore_point(kTime, "before the migration");
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, wal.position()).ok());
  ASSERT_TRUE(encoder->end_object(frames).ok());
  EXPECT_EQ(frames[0].header().min_commit, kTime);
  EXPECT_EQ(frames[0].header().max_commit, kTime);
  for (const auto& frame : frames) {
    const Bytes stored = frame.encode();
    EXPECT_EQ(as_text(stored).find("migration"), std::string_view::npos);
  }
}

TEST_F(LogEncoderTest, AnObjectEndsAtItsSizeWithItsIndexAndTheNextHasAnotherId) {
  wal.filler(350'000);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, wal.position()).ok());
  ASSERT_TRUE(encoder->end_object(frames).ok());
  std::vector<ObjectId> objects;
  std::vector<format::IndexBlock> indexes;
  decode(&indexes, &objects);
  EXPECT_EQ(objects.size(), 4u);
  EXPECT_EQ(indexes.size(), 4u);
  EXPECT_EQ(std::set<ObjectId>(objects.begin(), objects.end()).size(), 4u);
  EXPECT_TRUE(frames.back().header().last);
}

TEST_F(LogEncoderTest, AnAsOfHasNoBytesAndTheServersTime) {
  wal.filler(100);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(encoder->feed(wal.bytes(), kTime, frames).ok());
  ASSERT_TRUE(encoder->as_of({kTime.micros + 5}, frames).ok());
  ASSERT_EQ(frames.size(), 2u) << "what was pending goes first";
  EXPECT_EQ(frames[1].header().kind, format::FrameKind::kAsOf);
  EXPECT_EQ(frames[1].header().end, wal.position());
  EXPECT_EQ(frames[1].header().raw_size(), 0u);
  EXPECT_EQ(frames[1].header().server_time, (Timestamp{kTime.micros + 5}));
}

TEST_F(LogEncoderTest, NoAsOfBeforeTheOverlapWasChecked) {
  wal.filler(5000);
  create({0x1000000}, wal.position());
  ASSERT_TRUE(encoder->as_of(kTime, frames).ok());
  EXPECT_TRUE(frames.empty());
}

TEST_F(LogEncoderTest, TheSameLogPassesTheOverlapCheckFromEveryEncoding) {
  test::SeededRandom r(12);
  fill(kSegment + 100'000, r);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, wal.position(), &r).ok());
  ASSERT_TRUE(encoder->flush(frames).ok());
  const std::vector<format::Frame> first = frames;
  int checked = 0;
  for (const auto& frame : first) {
    const Position end = frame.header().end;
    const Position overlap = Position{end.value - end.value % kSegment};
    if (end == overlap) continue;
    create(overlap, end);
    encoder->expect_join(frame.header().join, options.stream);
    ASSERT_TRUE(feed(overlap, end, &r).ok()) << end.to_string();
    ++checked;
  }
  EXPECT_GT(checked, 50);
}

TEST_F(LogEncoderTest, OneDifferentByteInTheOverlapIsAFork) {
  wal.filler(200'000);
  wal.filler(100);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, wal.position()).ok());
  ASSERT_TRUE(encoder->flush(frames).ok());
  const JoinTag join = frames.back().header().join;
  const Position end = wal.position();
  // Another history of the same length, valid by PostgreSQL's rules.
  pg::WalBuilder twin({0x1000000}, kSegment);
  Bytes main(200'000, 0x5A);
  main[123'456] ^= 1;
  twin.main_record(pg::Rmgr::kLogicalMessage, 0, 0, main);
  twin.filler(100);
  ASSERT_EQ(twin.position(), end);
  create({0x1000000}, end);
  encoder->expect_join(join, options.stream);
  frames.clear();
  Status fed = encoder->feed(twin.bytes(), kTime, frames);
  ASSERT_FALSE(fed.ok());
  EXPECT_EQ(fed.error().code, ErrorCode::kFork);
  EXPECT_TRUE(frames.empty()) << "nothing of another history is sealed";
}

TEST_F(LogEncoderTest, AForkExactlyOnASegmentBoundaryIsSeen) {
  while (wal.position().value < 0x1000000 + kSegment - 4096) wal.filler(500);
  wal.wal_switch();
  const Position boundary = wal.position();
  ASSERT_EQ(boundary.value % kSegment, 0u);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, boundary).ok());
  ASSERT_TRUE(encoder->flush(frames).ok());
  const JoinTag join = frames.back().header().join;
  wal.bytes()[9000] ^= 1;  // its CRC is wrong as well, so the decoder may be first to say so
  create(overlap_begin(boundary, kSegment), boundary);
  encoder->expect_join(join, options.stream);
  EXPECT_FALSE(feed({0x1000000}, boundary).ok());
}

TEST_F(LogEncoderTest, ABranchIsCheckedAgainstTheLogOfItsParent) {
  wal.filler(50'000);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, wal.position()).ok());
  ASSERT_TRUE(encoder->flush(frames).ok());
  const StreamId parent = options.stream;
  const JoinTag join = frames.back().header().join;
  options.stream = random.draw<StreamId>();
  create({0x1000000}, wal.position());
  encoder->expect_join(join, parent);
  EXPECT_TRUE(feed({0x1000000}, wal.position()).ok());
  create({0x1000000}, wal.position());
  encoder->expect_join(join, options.stream);
  EXPECT_EQ(feed({0x1000000}, wal.position()).error().code, ErrorCode::kFork) << "a tag belongs to one stream";
}

TEST_F(LogEncoderTest, ALogThatIsBrokenByItsOwnRulesIsNeverSealed) {
  for (int i = 0; i < 100; ++i) wal.filler(300);
  wal.bytes()[20'000] ^= 1;
  create({0x1000000}, {0x1000000});
  Status fed = encoder->feed(wal.bytes(), kTime, frames);
  ASSERT_FALSE(fed.ok());
  EXPECT_EQ(fed.error().code, ErrorCode::kDamaged);
  for (const auto& frame : frames) EXPECT_LE(frame.header().end, (Position{0x1000000 + 20'000}));
}

TEST_F(LogEncoderTest, ANewEpochBeginsWithANewObject) {
  wal.filler(30'000);
  create({0x1000000}, {0x1000000});
  ASSERT_TRUE(feed({0x1000000}, {0x1000000 + 10'000}).ok());
  const EpochId next = random.draw<EpochId>();
  EXPECT_EQ(encoder->flush(frames).ok(), true);
  EXPECT_EQ(encoder->change_epoch(next, data_key.clone()).error().code, ErrorCode::kInternal) << "an object has one key";
  ASSERT_TRUE(encoder->end_object(frames).ok());
  const std::size_t before = frames.size();
  ASSERT_TRUE(encoder->change_epoch(next, crypto::SecretBytes::random(32, random)).ok());
  EXPECT_EQ(encoder->epoch_bytes(), 0u);
  ASSERT_TRUE(feed({0x1000000 + 10'000}, wal.position()).ok());
  ASSERT_TRUE(encoder->flush(frames).ok());
  for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(frames[i].header().epoch, i < before ? options.epoch : next);
  EXPECT_EQ(frames[before].header().number, 0u);
}

TEST_F(LogEncoderTest, RefusesAnOverlapThatIsNotAtASegment) {
  EXPECT_EQ(LogEncoder::create(options, data_key, join_key, {0x1000000 + 8}, {0x1000000 + 8}, random).error().code, ErrorCode::kInternal);
  EXPECT_EQ(LogEncoder::create(options, data_key, join_key, {0x1000000}, {0x1000000 - 8}, random).error().code, ErrorCode::kInternal);
}

}  // namespace
}  // namespace stele::agent
