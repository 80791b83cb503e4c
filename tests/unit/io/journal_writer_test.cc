#include "core/io/journal_writer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <latch>

#include "tests/support/fault_file_system.h"
#include "tests/support/journal_records.h"

namespace stele::io {
namespace {

struct JournalWriterTest : testing::Test {
  test::FaultFileSystem fs{3};
  test::SeededRandom random{4};
  test::Recovered recovered;
  std::unique_ptr<Journal> journal;
  std::vector<std::string> log;

  void SetUp() override {
    auto opened = Journal::open(fs, random, {"/j", 64u << 10, 1u << 20, "test"}, recovered.visitor());
    ASSERT_TRUE(opened.ok());
    journal = std::move(*opened);
  }
  static std::vector<JournalWriter::OwnedRecord> one(const std::string& head, const std::string& body) {
    return {{to_bytes(as_bytes(head)), to_bytes(as_bytes(body))}};
  }
  JournalWriter::Callback note(const std::string& name) {
    return [this, name](Result<std::vector<RecordId>> ids) {
      log.push_back(ids.ok() ? fmt::format("{}:{}", name, as_text(journal->read(ids->at(0)).value()))
                             : name + " failed");
    };
  }
};

TEST_F(JournalWriterTest, SharesOneSyncAmongAllThatWaits) {
  JournalWriter writer(*journal, {.threads = false});
  EXPECT_FALSE(writer.run_once());
  ASSERT_TRUE(journal->prepare_spare().ok());
  ASSERT_TRUE(writer.submit(one("a", "1"), note("first")).ok());
  ASSERT_TRUE(writer.run_once());
  std::uint64_t before = fs.syncs();
  for (const char* name : {"b", "c", "d"}) ASSERT_TRUE(writer.submit(one(name, "2"), note(name)).ok());
  EXPECT_EQ(writer.queued_bytes(), 3 * (kRecordHeaderBytes + 2));
  EXPECT_TRUE(writer.run_once());
  EXPECT_EQ(fs.syncs() - before, 1u);
  EXPECT_EQ(writer.queued_bytes(), 0u);
  EXPECT_EQ(log, (std::vector<std::string>{"first:a1", "b:b2", "c:c2", "d:d2"}));
  EXPECT_FALSE(writer.run_once());
}

TEST_F(JournalWriterTest, TellsEveryoneWhenTheirBatchFailed) {
  JournalWriter writer(*journal, {.threads = false});
  ASSERT_TRUE(writer.submit(one("a", ""), note("a")).ok());
  ASSERT_TRUE(writer.submit(one("b", ""), note("b")).ok());
  fs.fail_operation(1, EIO, true);
  EXPECT_TRUE(writer.run_once());
  fs.fail_operation(0, 0);
  EXPECT_EQ(log, (std::vector<std::string>{"a failed", "b failed"}));
  EXPECT_TRUE(journal->failed());
  ASSERT_TRUE(writer.submit(one("c", ""), note("c")).ok());
  EXPECT_TRUE(writer.run_once());
  EXPECT_EQ(log.back(), "c:c");
  EXPECT_FALSE(journal->failed());
}

TEST_F(JournalWriterTest, BoundsItsQueueAndItsBatches) {
  JournalWriter writer(*journal, {.max_queue_bytes = 30000, .max_batch_bytes = 20000, .threads = false});
  EXPECT_EQ(writer.submit(one("x", std::string(20000, 'x')), note("too large")).error().code, ErrorCode::kLimit);
  ASSERT_TRUE(writer.submit(one("x", std::string(14000, 'x')), note("x")).ok());
  ASSERT_TRUE(writer.submit(one("y", std::string(14000, 'x')), note("y")).ok());
  EXPECT_EQ(writer.submit(one("z", std::string(14000, 'x')), note("full")).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(writer.run_once());
  EXPECT_EQ(log.size(), 1u);
  EXPECT_TRUE(writer.run_once());
  EXPECT_EQ(log.size(), 2u);
  EXPECT_FALSE(writer.run_once());
}

TEST_F(JournalWriterTest, WritesWhatIsQueuedWhenItStops) {
  std::atomic<int> done = 0;
  {
    JournalWriter writer(*journal, {});
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(
          writer.submit(one(std::to_string(i), std::string(300, 'x')), [&](auto ids) { done += ids.ok() ? 1 : 0; })
              .ok());
    }
    writer.stop();
    EXPECT_EQ(writer.submit(one("late", ""), note("late")).error().code, ErrorCode::kCancelled);
  }
  EXPECT_EQ(done.load(), 100);
}

TEST_F(JournalWriterTest, KeepsTheOrderOfEachOfManySubmitters) {
  constexpr int kThreads = 4, kEach = 50;
  std::mutex mutex;
  std::map<int, std::vector<RecordId>> ids;
  std::latch all(kThreads * kEach);
  {
    JournalWriter writer(*journal, {});
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          Status queued =
              writer.submit(one(fmt::format("{}-", t), std::to_string(i)), [&, t](Result<std::vector<RecordId>> got) {
                std::lock_guard lock(mutex);
                if (got.ok()) ids[t].push_back(got->at(0));
                all.count_down();
              });
          ASSERT_TRUE(queued.ok());
        }
      });
    }
    for (auto& thread : threads) thread.join();
    all.wait();
  }
  for (int t = 0; t < kThreads; ++t) {
    ASSERT_EQ(ids[t].size(), static_cast<std::size_t>(kEach));
    EXPECT_TRUE(std::is_sorted(ids[t].begin(), ids[t].end()));
    EXPECT_EQ(as_text(journal->read(ids[t][7]).value()), fmt::format("{}-7", t));
  }
}

}  // namespace
}  // namespace stele::io
