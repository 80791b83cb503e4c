#include "tests/tools/workload/ledger.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace stele::workload {
namespace {

Entry entry(Outcome outcome, int client, std::int64_t sequence, std::string position = "0/5000028") {
  Entry e;
  e.outcome = outcome;
  e.run = "r1";
  e.client = client;
  e.sequence = sequence;
  e.xid = 4'000'000'000U;
  e.position = std::move(position);
  e.committed_at = "2026-11-23 15:33:45.1+08";
  e.received_at = "2026-11-23T07:33:45.2Z";
  return e;
}

TEST(Ledger, ReadsBackWhatItWrites) {
  for (Outcome outcome : {Outcome::kAcknowledged, Outcome::kWarned, Outcome::kUnknown}) {
    const Entry in = entry(outcome, 3, 12'345'678'901);
    std::string line = to_line(in);
    ASSERT_EQ(line.back(), '\n');
    line.pop_back();
    auto out = parse_line(line);
    ASSERT_TRUE(out.ok());
    EXPECT_EQ(to_line(*out), line + "\n");
    EXPECT_EQ(out->outcome, outcome);
    EXPECT_EQ(out->xid, 4'000'000'000U);
  }
}

TEST(Ledger, RefusesLinesThatAreNotEntries) {
  const std::string good = "acknowledged\tr\t1\t2\t3\t0/1\tt\tu";
  ASSERT_TRUE(parse_line(good).ok());
  for (std::string bad : {"", "x", "maybe\tr\t1\t2\t3\t0/1\tt\tu", "acknowledged\tr\t1\t2\t3\t0/1\tt",
                          "acknowledged\tr\tx\t2\t3\t0/1\tt\tu", "acknowledged\tr\t1\t2\t3\tzz\tt\tu"}) {
    EXPECT_FALSE(parse_line(bad).ok()) << bad;
  }
}

TEST(Ledger, DropsALastLineWithoutItsEnd) {
  std::string directory = testing::TempDir() + "/ledger-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string path = directory + "/l";
  {
    auto file = LedgerFile::open(path, true);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->append(entry(Outcome::kAcknowledged, 0, 1)).ok());
    ASSERT_TRUE(file->append(entry(Outcome::kUnknown, 0, 2)).ok());
  }
  std::ofstream(path, std::ios::app) << "acknow";
  auto read = read_ledger(path);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->size(), 2u);
  std::filesystem::remove_all(directory);
  EXPECT_FALSE(read_ledger(path).ok());
}

TEST(Ledger, FindsTheOneThatIsMissing) {
  const std::vector<Entry> recorded = {entry(Outcome::kAcknowledged, 0, 1), entry(Outcome::kAcknowledged, 0, 2),
                                       entry(Outcome::kUnknown, 1, 1), entry(Outcome::kUnknown, 1, 2),
                                       entry(Outcome::kWarned, 2, 1)};
  const Comparison c = compare(recorded, {{"r1", 0, 1}, {"r1", 1, 2}, {"r0", 0, 2}}, std::nullopt);
  EXPECT_EQ(c.acknowledged, 2);
  EXPECT_EQ(c.found, 1);
  ASSERT_EQ(c.missing.size(), 1u);
  EXPECT_EQ(c.missing[0], (CommitName{"r1", 0, 2}));
  EXPECT_EQ(c.unknown, 2);
  EXPECT_EQ(c.unknown_and_present, 1);
  EXPECT_EQ(c.warned, 1);
  EXPECT_EQ(c.not_recorded, 1);
  EXPECT_FALSE(c.complete());
}

TEST(Ledger, AnEmptyLedgerProvesNothing) {
  EXPECT_FALSE(compare({}, {{"r1", 0, 1}}, std::nullopt).complete());
}

TEST(Ledger, ExpectsOnlyWhatIsNotPastTheTarget) {
  const std::vector<Entry> recorded = {
      entry(Outcome::kAcknowledged, 0, 1, "0/100"), entry(Outcome::kAcknowledged, 0, 2, "0/200"),
      entry(Outcome::kAcknowledged, 0, 3, "1/0"), entry(Outcome::kAcknowledged, 0, 4, "")};
  const Comparison c = compare(recorded, {{"r1", 0, 1}, {"r1", 0, 2}}, 0x200);
  EXPECT_EQ(c.acknowledged, 2);
  EXPECT_EQ(c.after, 2);
  EXPECT_TRUE(c.complete());
}

}  // namespace
}  // namespace stele::workload
