#include <gtest/gtest.h>

#include "agent/snapshot/bandwidth.h"
#include "agent/snapshot/extra_files.h"
#include "agent/snapshot/file_table.h"
#include "agent/snapshot/names.h"
#include "agent/snapshot/snapshot_state.h"
#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

using test::SeededRandom;

ChunkName name_of(std::uint64_t n) {
  ChunkName name;
  for (int i = 0; i < 8; ++i) name.data[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(n >> (8 * i));
  return name;
}

TEST(NameOrder, PutsNamesBackIntoOrderAndCutsLists) {
  const std::uint64_t count = format::kMaxListNames * 2 + 77;
  SeededRandom random(3);
  NameOrder order;
  std::vector<format::ChunkList> lists;
  std::vector<std::uint64_t> window;
  std::uint64_t next = 0;
  while (next < count || !window.empty()) {
    while (window.size() < 50 && next < count) window.push_back(next++);
    const std::size_t pick = random.below(window.size());
    order.add(window[pick], name_of(window[pick]), lists);
    window.erase(window.begin() + static_cast<std::ptrdiff_t>(pick));
  }
  EXPECT_EQ(lists.size(), 2u);
  EXPECT_EQ(order.count(), count);
  ASSERT_TRUE(order.finish({name_of(count), name_of(count + 1)}, lists).ok());
  ASSERT_EQ(lists.size(), 3u);
  std::uint64_t expected = 0;
  for (const format::ChunkList& list : lists) {
    EXPECT_LE(list.names.size(), format::kMaxListNames);
    for (const ChunkName& name : list.names) EXPECT_EQ(name, name_of(expected++));
  }
  EXPECT_EQ(expected, count + 2);
}

TEST(NameOrder, RefusesToFinishWithAHole) {
  NameOrder order;
  std::vector<format::ChunkList> lists;
  order.add(1, name_of(1), lists);
  EXPECT_FALSE(order.finish({}, lists).ok());
}

TEST(RecentNames, RemembersAtLeastHalfOfItsCapacityAndNoMoreThanAll) {
  RecentNames names(100);
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_TRUE(names.insert(name_of(i)));
  for (std::uint64_t i = 960; i < 1000; ++i) EXPECT_FALSE(names.insert(name_of(i))) << i;
  EXPECT_TRUE(names.insert(name_of(1))) << "forgotten long ago";
}

TEST(FileTable, PiecesHoldWholeEntries) {
  FileTable table(1000);
  std::vector<Bytes> pieces;
  for (int i = 0; i < 100; ++i) {
    format::FileEntry entry;
    entry.path = "base/5/" + std::to_string(10'000 + i);
    entry.size = static_cast<std::uint64_t>(i);
    entry.chunks = i > 0 ? 1 : 0;
    if (auto piece = table.add(entry)) pieces.push_back(std::move(*piece));
  }
  if (auto piece = table.finish()) pieces.push_back(std::move(*piece));
  EXPECT_GT(pieces.size(), 3u);
  std::uint64_t bytes = 0, entries = 0;
  for (const Bytes& piece : pieces) {
    EXPECT_LE(piece.size(), 1000u);
    bytes += piece.size();
    ByteReader reader(piece);
    while (reader.remaining() > 0) {
      auto entry = format::read_file_entry(reader);
      ASSERT_TRUE(entry.ok());
      EXPECT_EQ(entry->size, entries++);
    }
  }
  EXPECT_EQ(entries, table.entries());
  EXPECT_EQ(bytes, table.bytes());
  EXPECT_FALSE(table.finish());
}

struct HandClock final : Clock {
  Timestamp wall{1'700'000'000'000'000};
  Instant steady{std::chrono::hours(1)};
  Timestamp now() override { return wall; }
  Instant steady_now() override { return steady; }
};

TEST(SharedBandwidth, GivesTheSnapshotWhatTheLogLeaves) {
  HandClock clock;
  SharedBandwidth line(config::BandwidthPlan({}, 1'000'000, {}), clock);
  std::uint64_t sent = 0;
  auto run = [&](std::uint64_t log_per_second) {
    sent = 0;
    for (int ms = 0; ms < 10'000; ++ms) {
      if (ms % 10 == 0 && log_per_second > 0) line.log_sent(log_per_second / 100);
      std::chrono::nanoseconds wait{};
      while (const std::size_t n = line.take(1 << 20, wait)) {
        EXPECT_LE(n, SharedBandwidth::kSlice);
        sent += n;
      }
      EXPECT_GT(wait.count(), 0);
      clock.steady += std::chrono::milliseconds(1);
    }
  };
  run(0);
  EXPECT_NEAR(static_cast<double>(sent), 10e6, 0.3e6);
  run(600'000);
  EXPECT_NEAR(static_cast<double>(sent), 4e6, 0.3e6);
}

TEST(SharedBandwidth, HasNoSlicesWithoutALimit) {
  HandClock clock;
  SharedBandwidth line(config::BandwidthPlan(), clock);
  std::chrono::nanoseconds wait{};
  EXPECT_EQ(line.take(8 << 20, wait), std::size_t{8 << 20});
  EXPECT_EQ(line.limit(), 0u);
}

TEST(SharedBandwidth, FollowsTheHoursOfThePlan) {
  HandClock clock;
  auto window = config::parse_hours("08:00-20:00");
  ASSERT_TRUE(window.ok());
  window->bytes_per_second = 1000;
  SharedBandwidth line(config::BandwidthPlan({}, 0, {*window}), clock);
  clock.wall = parse_timestamp("2026-11-23T12:00:00Z").value();
  EXPECT_EQ(line.limit(), 1000u);
  clock.wall = parse_timestamp("2026-11-23T21:00:00Z").value();
  EXPECT_EQ(line.limit(), 0u);
}

TEST(SnapshotState, KeepsItsBytes) {
  SeededRandom random(5);
  SnapshotState state{random.draw<StreamId>(), random.draw<SnapshotId>(), {77}, {88}};
  const Bytes bytes = state.encode();
  EXPECT_EQ(bytes.size(), 72u);
  auto back = SnapshotState::decode(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, state);
  for (std::size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(SnapshotState::decode(ByteView(bytes).first(n)).ok());
}

TEST(ExtraFiles, NamesThoseTheServerUsesAndNobodyConfigured) {
  const std::vector<std::filesystem::path> configured{"/etc/postgresql/15/main"};
  EXPECT_TRUE(not_covered({"/etc/postgresql/15/main/pg_hba.conf"}, configured).empty());
  EXPECT_EQ(not_covered({"/etc/postgresql/15/main2/pg_hba.conf"}, configured).size(), 1u);
  EXPECT_EQ(not_covered({"/etc/postgresql/15/main/../other/pg_hba.conf"}, configured).size(), 1u);
}

TEST(ExtraFiles, AFileThatIsNotThereIsAWarning) {
  const ExtraFiles found = find_extra_files({"/nowhere/at/all.conf"});
  EXPECT_TRUE(found.files.empty());
  EXPECT_EQ(found.warnings.size(), 1u);
}

}  // namespace
}  // namespace stele::agent
