#include "core/pg/wal_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/wal_builder.h"

namespace stele::pg {
namespace {

constexpr Timestamp kTime{1'700'000'000'123'456};

struct Log {
  Status status;
  std::vector<WalRecord> records;
  std::optional<Position> valid_from;
  Position boundary;
};

WalDecoderOptions options() { return {.segment_size = kMinWalSegmentSize}; }

Log decode(ByteView bytes, Position start, WalDecoderOptions o = options(), std::size_t cut = SIZE_MAX) {
  Log log;
  WalDecoder decoder(o, start, [&](const WalRecord& r) { log.records.push_back(r); });
  for (std::size_t at = 0; at < bytes.size() && log.status.ok(); at += std::min(cut, bytes.size() - at)) {
    log.status = decoder.feed(bytes.subspan(at, std::min(cut, bytes.size() - at)));
  }
  log.valid_from = decoder.valid_from();
  log.boundary = decoder.boundary();
  return log;
}

/// A little of everything: a record over several pages, a switch, a torn record, page ends hit exactly.
WalBuilder varied(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  WalBuilder w;
  for (int i = 0; i < 60; ++i) {
    w.filler(random() % 700, 100 + static_cast<TransactionId>(i));
    if (i % 7 == 0) w.commit(100 + static_cast<TransactionId>(i), kTime + Duration(i), i % 2 == 0);
  }
  w.filler(30000);
  w.restore_point(kTime, "here");
  w.wal_switch();
  w.filler(10);
  Position torn = w.torn_record(2);
  Bytes overwrite;
  ByteWriter o(overwrite);
  o.u64(torn.value);
  o.i64(to_timestamptz(kTime));
  w.main_record(Rmgr::kXlog, 0xD0, 0, overwrite);
  w.commit(500, kTime);
  return w;
}

TEST(WalDecoder, ReadsTheSameWhereverTheBytesAreCut) {
  std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  WalBuilder w = varied(seed);
  Log whole = decode(w.bytes(), {0x1000000});
  ASSERT_TRUE(whole.status.ok()) << whole.status.error().to_string();
  EXPECT_EQ(whole.boundary, w.position());
  EXPECT_EQ(whole.records.back().start, w.last());
  for (std::size_t cut : {1, 2, 3, 5, 7, 8, 23, 24, 25, 39, 41, 1000, 8191, 8192, 8193}) {
    Log log = decode(w.bytes(), {0x1000000}, options(), cut);
    ASSERT_TRUE(log.status.ok()) << cut << ": " << log.status.error().to_string();
    ASSERT_EQ(log.records.size(), whole.records.size());
    for (std::size_t i = 0; i < log.records.size(); ++i) {
      EXPECT_EQ(log.records[i].start, whole.records[i].start);
      EXPECT_EQ(log.records[i].end, whole.records[i].end);
      EXPECT_EQ(log.records[i].notable.index(), whole.records[i].notable.index());
    }
  }
}

TEST(WalDecoder, BoundaryIsTheEndOfTheLastRecordThatIsComplete) {
  WalBuilder w;
  w.filler(100);
  Position second = w.filler(20000);
  Position end = w.position();
  WalDecoder decoder(options(), {0x1000000});
  Position reached{0x1000000};
  for (std::uint8_t byte : w.bytes()) {
    ASSERT_TRUE(decoder.feed({&byte, 1}).ok());
    if (decoder.boundary() != reached) {
      reached = decoder.boundary();
      EXPECT_EQ(decoder.position(), reached) << "a record counts when its padding is there";
      EXPECT_TRUE(reached == second || reached == end) << reached.to_string();
    }
  }
  EXPECT_EQ(reached, end);
}

TEST(WalDecoder, StartsInTheMiddleOfALongRecord) {
  WalBuilder w;
  w.filler(30000);
  Position after = w.filler(10);
  for (std::size_t page = 1; page <= 3; ++page) {
    Position from{0x1000000 + page * kWalPageSize};
    Log log = decode(ByteView(w.bytes()).subspan(page * kWalPageSize), from);
    ASSERT_TRUE(log.status.ok()) << log.status.error().to_string();
    ASSERT_EQ(log.records.size(), 1u);
    EXPECT_EQ(log.records[0].start, after);
    EXPECT_EQ(log.valid_from, after);
  }
}

TEST(WalDecoder, StartsAtARecordWhenTheVersionIsGiven) {
  WalBuilder w;
  w.filler(100);
  Position second = w.commit(7, kTime);
  ByteView rest = ByteView(w.bytes()).subspan(second - Position{0x1000000});
  WalDecoderOptions o = options();
  EXPECT_EQ(decode(rest, second, o).status.error().code, ErrorCode::kUsage);
  o.major = 15;
  Log log = decode(rest, second, o);
  ASSERT_TRUE(log.status.ok());
  ASSERT_EQ(log.records.size(), 1u);
  EXPECT_EQ(log.records[0].xid, 7u);
  EXPECT_EQ(log.valid_from, second);
  EXPECT_EQ(decode(rest, second + 1, o).status.error().code, ErrorCode::kUsage);
  o.major = 99;
  EXPECT_EQ(decode(rest, second, o).status.error().code, ErrorCode::kUnsupported);
}

TEST(WalDecoder, SkipsTheRestOfTheSegmentAfterASwitch) {
  WalBuilder w;
  w.filler(50);
  w.wal_switch();
  Position next = w.position();
  w.commit(9, kTime);
  Log log = decode(w.bytes(), {0x1000000}, options(), 777);
  ASSERT_TRUE(log.status.ok()) << log.status.error().to_string();
  ASSERT_EQ(log.records.size(), 3u);
  EXPECT_TRUE(std::holds_alternative<WalSwitch>(log.records[1].notable));
  EXPECT_EQ(log.records[1].end, next);
  EXPECT_EQ(log.records[2].start, next + kLongPageHeaderSize);
}

TEST(WalDecoder, StartsAmongTheZerosBehindASwitch) {
  WalBuilder w;
  w.filler(50);
  w.wal_switch();
  const Position next = w.position();
  w.commit(9, kTime);
  for (std::size_t page : {1, 2, 100, 127}) {
    const Position from{0x1000000 + page * kWalPageSize};
    Bytes rest = to_bytes(ByteView(w.bytes()).subspan(page * kWalPageSize));
    Log log = decode(rest, from, options(), 777);
    ASSERT_TRUE(log.status.ok()) << log.status.error().to_string();
    ASSERT_EQ(log.records.size(), 1u);
    EXPECT_EQ(log.records[0].start, next + kLongPageHeaderSize);
    EXPECT_EQ(log.valid_from, next + kLongPageHeaderSize);
    rest[3] = 1;  // not a page of zeros
    EXPECT_FALSE(decode(rest, from).status.ok());
  }
}

TEST(WalDecoder, FindsEveryFlippedBitThatMatters) {
  std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  WalBuilder w;
  for (int i = 0; i < 40; ++i) w.filler(320 + 8 * (i % 9), 3 + static_cast<TransactionId>(i));
  // What is not covered: padding (none of a record's own, since sizes are chosen so) and two unused fields.
  for (int round = 0; round < 3000; ++round) {
    Bytes bytes = w.bytes();
    std::size_t at = 40 + random() % (bytes.size() - 40);
    bytes[at] ^= static_cast<std::uint8_t>(1 << random() % 8);
    Log log = decode(bytes, {0x1000000});
    if (log.status.ok()) {
      bool in_page_header = at % kWalPageSize < kShortPageHeaderSize;
      Position position{0x1000000 + at};
      bool in_record = false;
      for (const auto& r : log.records) {
        in_record |= position >= r.start && position.value < r.start.value + r.total_length && r.end.value / kWalPageSize == r.start.value / kWalPageSize;
      }
      EXPECT_TRUE(in_page_header || !in_record) << "byte " << at;
    } else {
      EXPECT_TRUE(log.status.error().code == ErrorCode::kDamaged || log.status.error().code == ErrorCode::kUnsupported);
    }
  }
}

TEST(WalDecoder, StaysDamaged) {
  WalBuilder w;
  w.filler(10);
  w.bytes()[60] ^= 1;
  w.filler(10);
  WalDecoder decoder(options(), {0x1000000});
  Status first = decoder.feed(w.bytes());
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().code, ErrorCode::kDamaged);
  EXPECT_NE(first.error().what.find("0/1000028"), std::string::npos) << first.error().what;
  EXPECT_FALSE(decoder.feed(w.bytes()).ok());
}

TEST(WalDecoder, RefusesARecordThatFollowsAnother) {
  WalBuilder w;
  w.filler(10);
  w.set_last({0x1000});
  Position bad = w.filler(10);
  Log log = decode(w.bytes(), {0x1000000});
  ASSERT_FALSE(log.status.ok());
  EXPECT_EQ(log.records.size(), 1u);
  EXPECT_NE(log.status.error().what.find(bad.to_string()), std::string::npos);
}

TEST(WalDecoder, RefusesForeignPages) {
  WalBuilder w;
  w.filler(9000);
  WalDecoderOptions o = options();
  o.system_identifier = 5;
  EXPECT_EQ(decode(w.bytes(), {0x1000000}, o).status.error().code, ErrorCode::kDamaged);
  o.system_identifier = w.system_identifier;
  EXPECT_TRUE(decode(w.bytes(), {0x1000000}, o).status.ok());
  EXPECT_FALSE(decode(w.bytes(), {0x2000000}, o).status.ok()) << "page address";
  o.segment_size = 2 << 20;
  EXPECT_FALSE(decode(w.bytes(), {0x1000000}, o).status.ok()) << "segment size";
  o = options();
  o.major = 16;
  EXPECT_FALSE(decode(w.bytes(), {0x1000000}, o).status.ok()) << "version";
  o.segment_size = 12345;
  EXPECT_EQ(decode(w.bytes(), {0x1000000}, o).status.error().code, ErrorCode::kUnsupported);
}

TEST(WalDecoder, RefusesATornRecordThatNothingAccountsFor) {
  WalBuilder w;
  w.filler(10);
  w.torn_record(1);
  w.filler(10);
  EXPECT_FALSE(decode(w.bytes(), {0x1000000}).status.ok());
}

TEST(WalDecoder, RefusesATimelineThatGoesBack) {
  WalBuilder w;
  w.timeline = 3;
  w.filler(10000);
  w.timeline = 2;
  w.filler(10000);
  EXPECT_FALSE(decode(w.bytes(), {0x1000000}).status.ok());
}

TEST(WalDecoder, ReadsBlockReferencesOfEveryVersion) {
  for (int major = kOldestMajor; major <= kNewestMajor; ++major) {
    WalBuilder w({0x1000000}, kMinWalSegmentSize, major);
    const bool old = major < 15;
    Bytes headers, data;
    ByteWriter h(headers), d(data);
    h.u8(0), h.u8(0x10 | 0x20), h.u16(3);                                      // image and data
    h.u16(8000), h.u16(100), h.u8(old ? 0x01 | 0x04 : 0x01 | 0x02);            // hole, applies
    h.u32(1663), h.u32(5), h.u32(16384), h.u32(77);
    d.raw(Bytes(8003, 1));
    h.u8(2), h.u8(0x10 | 0x80 | 1), h.u16(0);                                  // same relation, free space map
    h.u16(500), h.u16(60), h.u8(old ? 0x01 | 0x02 : 0x01 | 0x08), h.u16(7000);  // hole, compressed
    h.u32(2);
    d.raw(Bytes(500, 2));
    h.u8(3), h.u8(0x40), h.u16(0), h.u32(16400), h.u32(6), h.u32(9), h.u32(0xFFFFFFFE);
    h.u8(253), h.u16(4);
    h.u8(252), h.u32(99);
    w.main_record(Rmgr::kHeap, 0, 5, Bytes(20, 3), headers, data);
    for (std::size_t cut : {SIZE_MAX, std::size_t{1}}) {
      Log log = decode(w.bytes(), {0x1000000}, options(), cut);
      ASSERT_TRUE(log.status.ok()) << log.status.error().to_string();
      const auto& b = log.records.at(0).blocks;
      ASSERT_EQ(b.size(), 3u);
      EXPECT_TRUE(b[0].has_image && b[0].applies_image && !b[0].compressed);
      EXPECT_EQ(b[0].hole_length, 192);
      EXPECT_EQ(b[0].image_offset, 24u + headers.size() + 2);
      EXPECT_EQ(b[0].block, 77u);
      EXPECT_TRUE(b[1].has_image && !b[1].applies_image && b[1].compressed);
      EXPECT_EQ(b[1].hole_length, 7000);
      EXPECT_EQ(b[1].relation, 16384u);
      EXPECT_EQ(b[1].fork, 1);
      EXPECT_EQ(b[1].image_offset, b[0].image_offset + 8003);
      EXPECT_TRUE(b[2].will_init && !b[2].has_image);
      EXPECT_EQ(b[2].tablespace, 16400u);
      EXPECT_EQ(b[2].block, 0xFFFFFFFEu);
    }
  }
}

TEST(WalDecoder, RefusesLengthsThatContradictEachOther) {
  auto fails = [](const Bytes& body) {
    WalBuilder w;
    w.record(Rmgr::kHeap, 0, 5, body);
    Log log = decode(w.bytes(), {0x1000000});
    return !log.status.ok() && log.records.empty();
  };
  EXPECT_TRUE(fails({255, 9, 0}));               // main data shorter than said
  EXPECT_TRUE(fails({255, 0, 7}));               // longer
  EXPECT_TRUE(fails({254, 0xFF, 0xFF, 0xFF, 0xFF}));
  EXPECT_TRUE(fails({100, 1, 2, 3}));            // no such block id
  EXPECT_TRUE(fails({0, 0x80, 0, 0, 0, 0, 0, 0}));  // same relation as none
  EXPECT_TRUE(fails({0}));
  EXPECT_TRUE(fails(Bytes(5000, 0)));            // the same block id again
}

Bytes commit_with_everything(std::uint32_t subxids, std::uint32_t files, std::uint32_t stats, std::uint32_t invalidations, TransactionId prepared) {
  Bytes main;
  ByteWriter w(main);
  w.i64(to_timestamptz(kTime));
  w.u32(0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x80 | 0x100);
  w.u32(5), w.u32(1663);
  w.u32(subxids), w.raw(Bytes(subxids * 4, 1));
  w.u32(files), w.raw(Bytes(files * 12, 2));
  w.u32(stats), w.raw(Bytes(stats * 12, 3));
  w.u32(invalidations), w.raw(Bytes(invalidations * 16, 4));
  w.u32(prepared);
  w.raw("a name\0");
  return main;
}

TEST(WalDecoder, ReadsThePreparedTransactionBehindLongLists) {
  WalBuilder w;
  w.main_record(Rmgr::kTransaction, 0x30 | 0x80, 0, commit_with_everything(20000, 500, 300, 4000, 4711));
  w.main_record(Rmgr::kTransaction, 0x30 | 0x80, 0, commit_with_everything(1, 0, 0, 0, 4712));
  for (std::size_t cut : {SIZE_MAX, std::size_t{1}, std::size_t{4099}}) {
    Log log = decode(w.bytes(), {0x1000000}, options(), cut);
    ASSERT_TRUE(log.status.ok()) << log.status.error().to_string();
    auto end = std::get<TransactionEnd>(log.records.at(0).notable);
    EXPECT_TRUE(end.commit && end.prepared);
    EXPECT_EQ(end.xid, 4711u);
    EXPECT_EQ(end.subxids, 20000u);
    EXPECT_EQ(end.time, kTime);
    EXPECT_EQ(std::get<TransactionEnd>(log.records.at(1).notable).xid, 4712u);
  }
  Bytes cut_short = commit_with_everything(3, 1, 1, 1, 4711);
  cut_short.resize(60);
  WalBuilder bad;
  bad.main_record(Rmgr::kTransaction, 0x30 | 0x80, 0, cut_short);
  EXPECT_FALSE(decode(bad.bytes(), {0x1000000}).status.ok());
}

TEST(LogFacts, AreTakenForEachFrame) {
  WalBuilder w;
  w.commit(10, kTime + Duration(5));
  w.commit(8, kTime + Duration(3), false);
  Position cut = w.commit(12, kTime + Duration(9));
  w.restore_point(kTime, "first");
  WalDecoder decoder(options(), {0x1000000});
  std::size_t n = cut - Position{0x1000000} + 10;  // the third record ends in the second frame
  ASSERT_TRUE(decoder.feed(ByteView(w.bytes()).first(n)).ok());
  LogFacts one = decoder.take_facts();
  EXPECT_EQ(one.commits, 1u);
  EXPECT_EQ(one.aborts, 1u);
  EXPECT_EQ(one.min_commit, kTime + Duration(3));
  EXPECT_EQ(one.max_commit, kTime + Duration(5));
  EXPECT_EQ(one.min_xid, 8u);
  EXPECT_EQ(one.max_xid, 10u);
  ASSERT_TRUE(decoder.feed(ByteView(w.bytes()).subspan(n)).ok());
  LogFacts two = decoder.take_facts();
  EXPECT_EQ(two.records, 2u);
  EXPECT_EQ(two.commits, 1u);
  EXPECT_EQ(two.min_xid, 12u);
  ASSERT_EQ(two.restore_points.size(), 1u);
  EXPECT_EQ(two.restore_points[0].name, "first");
  EXPECT_EQ(two.restore_points[0].end, w.position());
  EXPECT_EQ(decoder.take_facts().records, 0u);
}

TEST(LogFacts, KeepTheRangeOfTransactionsAcrossTheWraparound) {
  WalBuilder w;
  w.filler(8, 0xFFFFFFF0);
  w.filler(8, 5);
  w.filler(8, 0xFFFFFFFF);
  WalDecoder decoder(options(), {0x1000000});
  ASSERT_TRUE(decoder.feed(w.bytes()).ok());
  EXPECT_EQ(decoder.facts().min_xid, 0xFFFFFFF0u);
  EXPECT_EQ(decoder.facts().max_xid, 5u);
}

TEST(TargetTimeSearch, StopsBeforeTheFirstLaterCommitInLogOrder) {
  auto search = [](Timestamp target, bool inclusive) {
    WalBuilder w;
    std::vector<Position> at;
    // Commit times are not monotonic in the log.
    for (int micros : {10, 30, 20, 40}) at.push_back(w.commit(static_cast<TransactionId>(micros), kTime + Duration(micros), micros != 30));
    TargetTimeSearch found(target, inclusive);
    WalDecoder decoder(options(), {0x1000000}, [&](const WalRecord& r) { found.add(r); });
    EXPECT_TRUE(decoder.feed(w.bytes()).ok());
    if (!found.stop_before()) return 4;
    return static_cast<int>(std::find(at.begin(), at.end(), *found.stop_before()) - at.begin());
  };
  EXPECT_EQ(search(kTime + Duration(5), true), 0);
  EXPECT_EQ(search(kTime + Duration(10), true), 1);
  EXPECT_EQ(search(kTime + Duration(10), false), 0);
  EXPECT_EQ(search(kTime + Duration(25), true), 1);
  EXPECT_EQ(search(kTime + Duration(30), true), 3);
  EXPECT_EQ(search(kTime + Duration(40), true), 4);
  EXPECT_EQ(search(kTime + Duration(40), false), 3);
}

TEST(WalDecoder, SurvivesRandomBytes) {
  std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  WalBuilder base = varied(seed);
  for (int round = 0; round < 300; ++round) {
    Bytes bytes = base.bytes();
    for (int i = 0; i < 5; ++i) bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    std::size_t page = random() % (bytes.size() / kWalPageSize) * kWalPageSize;
    WalDecoderOptions o = options();
    o.major = 13 + static_cast<int>(random() % 5);
    (void)decode(ByteView(bytes).subspan(page), Position{0x1000000 + page}, o, 1 + random() % 10000);
  }
}

}  // namespace
}  // namespace stele::pg
