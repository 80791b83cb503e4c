#include "core/format/table_counts.h"

#include <gtest/gtest.h>

namespace stele::format {
namespace {

DatabaseCounts sample() {
  DatabaseCounts out;
  out.database = "registry";
  out.relations = 152;
  out.tables = 40;
  out.largest = {{"registry", "member", 2'000'000}, {"odd schema", "a%b\nc", 7}, {"registry", "新表", {}}};
  return out;
}

TEST(TableCounts, AreReadAsTheyWereWritten) {
  const NamedText text = encode_counts(sample());
  EXPECT_EQ(text.name, "counts/registry");
  EXPECT_EQ(text.text, "relations 152\ntables 40\ntable 2000000 registry member\ntable 7 odd%20schema a%25b%0ac\ntable - registry 新表\n");
  auto read = decode_counts(text);
  ASSERT_TRUE(read.ok()) << read.error().what;
  EXPECT_EQ(read->database, "registry");
  EXPECT_EQ(read->relations, 152u);
  EXPECT_EQ(read->tables, 40u);
  ASSERT_EQ(read->largest.size(), 3u);
  EXPECT_EQ(read->largest[1].name, "a%b\nc");
  EXPECT_EQ(read->largest[1].schema, "odd schema");
  EXPECT_FALSE(read->largest[2].rows);
}

TEST(TableCounts, ALaterVersionsLinesArePassedOver) {
  auto read = decode_counts({"counts/x", "relations 1\nbytes 5 6 7\ntables 1\ntable 3 s t more\n"});
  ASSERT_TRUE(read.ok()) << read.error().what;
  EXPECT_EQ(read->largest.at(0).rows, 3u);
}

TEST(TableCounts, StayBoundedAndSayHowManyThereWere) {
  DatabaseCounts many;
  many.database = "x";
  many.tables = 10'000;
  for (int i = 0; i < 10'000; ++i) many.largest.push_back({std::string(63, ' '), std::string(63, '%'), i});
  const NamedText text = encode_counts(many);
  EXPECT_LE(text.text.size(), kMaxCountsBytes);
  auto read = decode_counts(text);
  ASSERT_TRUE(read.ok()) << read.error().what;
  EXPECT_GT(read->largest.size(), 200u);
  EXPECT_LE(read->largest.size(), kMaxCountedTables);
  EXPECT_EQ(read->tables, 10'000u);
}

TEST(TableCounts, TextsThatAreNoneAreRefused) {
  for (const char* bad : {"", "relations 1\n", "relations 1\ntables 1", "relations -1\ntables 0\n", "relations 1\ntables 0\ntable 1 s t\n", "relations 1\ntables 1\ntable x s t\n",
                          "relations 1\ntables 1\ntable 1 s\n", "relations 1\ntables 1\ntable 1 s %\n", "relations 1\ntables 1\ntable 1 s %00\n", "relations 1\ntables 1\ntable 1 s %4\n",
                          "relations 1\ntables 1\ntable 1  t\n", "relations 99999999999999999999\ntables 0\n"}) {
    EXPECT_EQ(decode_counts({"counts/x", bad}).ok() ? "read" : "refused", std::string("refused")) << bad;
  }
  EXPECT_FALSE(decode_counts({"counts/x", std::string("relations 1\ntables 1\ntable 1 s a\0b\n", 35)}).ok()) << "no name has a zero";
  EXPECT_FALSE(decode_counts({"counts/", "relations 1\ntables 0\n"}).ok());
  EXPECT_FALSE(decode_counts({"counts/x", "relations 1\ntables 0\n" + std::string(kMaxCountsBytes, '\n')}).ok());
}

TEST(TableCounts, OfAManifestWithoutThemAreNone) {
  auto none = sealed_counts({{"setting/work_mem", "4MB"}, {"collation/x/", "c 1 1"}});
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
  auto two = sealed_counts({{"setting/work_mem", "4MB"}, encode_counts(sample()), encode_counts({"b", 1, 0, {}})});
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->size(), 2u);
  EXPECT_FALSE(sealed_counts({{"counts/x", "nonsense"}}).ok());
}

}  // namespace
}  // namespace stele::format
