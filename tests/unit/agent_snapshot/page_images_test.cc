#include "agent/snapshot/page_images.h"

#include <gtest/gtest.h>

#include <thread>

namespace stele::agent {
namespace {

using Answer = PageImages::Answer;

/// Makes records that follow each other.
struct Log {
  Position next{0x1000}, last{0};
  pg::WalRecord record(std::uint32_t block, bool image = true, bool applies = true, bool init = false) {
    pg::WalRecord r;
    r.start = next;
    r.end = next + 0x40;
    r.previous = last;
    pg::BlockReference b;
    b.tablespace = 1663, b.database = 5, b.relation = 16384, b.block = block;
    b.has_image = image, b.applies_image = applies, b.will_init = init;
    r.blocks.push_back(b);
    last = r.start;
    next = r.end;
    return r;
  }
};
PageId page(std::uint32_t block) {
  return {1663, 5, 16384, 0, block};
}

TEST(PageImages, TellsImagesBetweenStartAndStop) {
  PageImages images;
  Log log;
  images.add(log.record(1));  // nobody asked yet
  images.begin();
  images.add(log.record(2));
  const Position start = log.next;
  images.add(log.record(3));
  images.add(log.record(4, false));
  images.add(log.record(5, true, false));         // for consistency checks only
  images.add(log.record(6, false, false, true));  // built anew by redo
  const Position stop = log.next;
  images.add(log.record(7));
  images.set_start(start);
  EXPECT_TRUE(images.wait_until(stop, Instant{}));
  EXPECT_EQ(images.has_full_page_image(page(2), start, stop), Answer::kNone) << "before the start";
  EXPECT_EQ(images.has_full_page_image(page(3), start, stop), Answer::kImage);
  EXPECT_EQ(images.has_full_page_image(page(4), start, stop), Answer::kNone);
  EXPECT_EQ(images.has_full_page_image(page(5), start, stop), Answer::kNone);
  EXPECT_EQ(images.has_full_page_image(page(6), start, stop), Answer::kImage);
  EXPECT_EQ(images.has_full_page_image(page(7), start, stop), Answer::kNone) << "after the stop";
  EXPECT_EQ(images.has_full_page_image({1663, 5, 16384, 3, 3}, start, stop), Answer::kNone) << "another fork";
}

TEST(PageImages, FindsTheImageBehindTheStartWhenThereIsOneOnEachSide) {
  PageImages images;
  Log log;
  images.begin();
  images.add(log.record(1));
  const Position start = log.next;
  images.add(log.record(1));
  images.set_start(start);
  const Position stop = log.next;
  images.add(log.record(1));  // and one behind the stop
  EXPECT_EQ(images.has_full_page_image(page(1), start, stop), Answer::kImage);
}

TEST(PageImages, DoesNotKnowWhatItHasNotSeen) {
  PageImages images;
  Log log;
  images.begin();
  const Position start = log.next;
  log.record(1);
  images.set_start(start);
  images.add(log.record(2));
  EXPECT_EQ(images.has_full_page_image(page(1), start, log.next), Answer::kUnknown)
      << "recording began behind the start";
  EXPECT_EQ(images.has_full_page_image(page(2), start, log.next), Answer::kImage);
  EXPECT_FALSE(images.wait_until(log.next + 1, Instant{}));
}

TEST(PageImages, NoticesAHoleAndForgivesRecordsThatComeAgain) {
  PageImages images;
  Log log;
  images.begin();
  const Position start = log.next;
  images.set_start(start);
  std::vector<pg::WalRecord> records;
  for (std::uint32_t i = 0; i < 6; ++i) records.push_back(log.record(i));
  for (int i : {0, 1, 2, 0, 1, 2, 3}) images.add(records[static_cast<std::size_t>(i)]);  // a reconnect
  EXPECT_EQ(images.has_full_page_image(page(99), start, records[3].end), Answer::kNone);
  images.add(records[5]);  // 4 is missing
  EXPECT_EQ(images.has_full_page_image(page(99), start, records[5].end), Answer::kUnknown);
}

TEST(PageImages, AcceptsPageHeadersBetweenRecords) {
  PageImages images;
  Log log;
  images.begin();
  const Position start = log.next;
  images.set_start(start);
  images.add(log.record(1));
  log.next = log.next + 24;
  images.add(log.record(2));
  EXPECT_EQ(images.has_full_page_image(page(99), start, log.next), Answer::kNone);
}

TEST(PageImages, SaysThatItDoesNotKnowWhenItIsFull) {
  PageImages images(4);
  Log log;
  images.begin();
  const Position start = log.next;
  images.set_start(start);
  for (std::uint32_t i = 0; i < 10; ++i) images.add(log.record(i));
  EXPECT_EQ(images.has_full_page_image(page(1), start, log.next), Answer::kImage);
  EXPECT_EQ(images.has_full_page_image(page(9), start, log.next), Answer::kUnknown);
}

TEST(PageImages, AnotherBranchEndsTheWaitAndEveryAnswer) {
  PageImages images;
  Log log;
  images.begin();
  const Position start = log.next;
  images.set_start(start);
  images.add(log.record(1));
  std::thread branch([&] { images.new_branch(); });
  EXPECT_FALSE(images.wait_until(log.next + 1000, Instant::max()));
  branch.join();
  EXPECT_TRUE(images.lost());
  EXPECT_EQ(images.has_full_page_image(page(1), start, log.next), Answer::kUnknown);
}

}  // namespace
}  // namespace stele::agent
