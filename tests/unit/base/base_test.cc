#include <gtest/gtest.h>

#include "core/base/bytes.h"
#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele {
namespace {

TEST(HashOf, EveryByteAndTheLengthCount) {
  Bytes bytes(32, 7);
  const std::size_t hash = hash_of(bytes);
  EXPECT_EQ(hash_of(bytes), hash);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    bytes[at] ^= 1;
    EXPECT_NE(hash_of(bytes), hash) << at;
    bytes[at] ^= 1;
  }
  EXPECT_NE(hash_of(ByteView(bytes).first(31)), hash);
}

TEST(ByteReader, ReportsAnEarlyEndOnce) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u32(7);
  writer.str16("abc");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u32(), 7u);
  EXPECT_EQ(reader.str16(), "abc");
  EXPECT_TRUE(reader.finish("test").ok());
  reader.u64();
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.finish("test").error().code, ErrorCode::kDamaged);
}

TEST(ByteReader, RefusesTrailingBytes) {
  Bytes bytes{1, 2, 3};
  ByteReader reader(bytes);
  reader.u16();
  EXPECT_EQ(reader.finish("test").error().what, "test: 1 bytes too many");
}

TEST(Position, IsWrittenAsPostgresWritesIt) {
  Position p{0x16B374D848};
  EXPECT_EQ(p.to_string(), "16/B374D848");
  EXPECT_EQ(parse_position("16/B374D848").value(), p);
  for (const char* bad : {"", "16", "16/", "/1", "1/2/3", "G/1", "123456789/0", "-1/0"}) {
    EXPECT_FALSE(parse_position(bad).ok()) << bad;
  }
}

TEST(Timestamp, ReadsZonesAndFractions) {
  EXPECT_EQ(to_iso8601(parse_timestamp("2026-11-23T15:30:00.25+08:00").value()), "2026-11-23T07:30:00.250000Z");
  EXPECT_EQ(to_iso8601(parse_timestamp("2026-11-23 15:30:00Z").value()), "2026-11-23T15:30:00Z");
  EXPECT_EQ(to_iso8601(parse_timestamp("2026-11-23 15:30:00+08").value()), "2026-11-23T07:30:00Z");
  EXPECT_EQ(to_iso8601(parse_timestamp("2026-11-23 15:30 +0800").value()), "2026-11-23T07:30:00Z");
  for (const char* bad : {"", "now", "2026-13-01T00:00:00Z", "2026-02-31T10:00:00Z", "2026-11-23T15:30:00+8", "2026-11-23T15:30:00.Z"}) {
    EXPECT_FALSE(parse_timestamp(bad).ok()) << bad;
  }
}

TEST(Timestamp, RefusesDaysThatNoMonthHas) {
  // Midnight too: a target that is silently three days later restores another database.
  for (const char* bad : {"2026-02-31T00:00:00Z", "2026-02-29T00:00:00+08", "2026-04-31 00:00:00Z", "2100-02-29T00:00:00Z", "2026-11-23T24:30:00Z"}) {
    EXPECT_FALSE(parse_timestamp(bad).ok()) << bad;
  }
  EXPECT_EQ(to_iso8601(parse_timestamp("2028-02-29T00:00:00Z").value()), "2028-02-29T00:00:00Z");
  EXPECT_EQ(to_iso8601(parse_timestamp("2026-11-30T24:00:00Z").value()), "2026-12-01T00:00:00Z");
  EXPECT_EQ(to_iso8601(parse_timestamp("2016-12-31T23:59:60Z").value()), "2017-01-01T00:00:00Z");
}

TEST(DatabaseName, RefusesWhatCouldLeaveAPath) {
  EXPECT_TRUE(parse_database_name("440000/registry").ok());
  for (const char* bad : {"", "440000", "../registry", "440000/..", "440000/a/b", "4400 00/x", "A/x", "-a/x"}) {
    EXPECT_FALSE(parse_database_name(bad).ok()) << bad;
  }
}

TEST(Error, KeepsTheExitCodeContract) {
  EXPECT_EQ(exit_code(ErrorCode::kIo), 1);
  EXPECT_EQ(exit_code(ErrorCode::kConfig), 2);
  EXPECT_EQ(exit_code(ErrorCode::kUnreachable), 3);
  EXPECT_EQ(exit_code(ErrorCode::kForged), 4);
  EXPECT_EQ(exit_code(ErrorCode::kKeyWrong), 5);
  EXPECT_EQ(exit_code(ErrorCode::kTimeout), 75);
  EXPECT_EQ(system_error("write", "f", ENOSPC).code, ErrorCode::kDiskFull);
}

TEST(Timestamp, StaysAtTheEndOfItsRange) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(), kLeast = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ((Timestamp{kMost - 1} + Duration(5)).micros, kMost);
  EXPECT_EQ((Timestamp{kLeast + 1} + Duration(-5)).micros, kLeast);
  EXPECT_EQ(Timestamp{kMost} - Timestamp{-1}, Duration::max());
  EXPECT_EQ(Timestamp{kLeast} - Timestamp{1}, Duration::min());
  EXPECT_EQ(Timestamp{7} - Timestamp{5}, Duration(2));
}

}  // namespace
}  // namespace stele
