#include "receiver/status/window_span.h"

#include <gtest/gtest.h>

namespace stele::receiver {
namespace {

constexpr Timestamp at(int second) { return {1'000'000'000'000'000 + std::int64_t{second} * 1'000'000}; }

StreamId stream(std::uint8_t number) {
  StreamId id;
  id.data[0] = number;
  return id;
}

recovery::Window window(const StreamId& head, Position from, Timestamp begun, Position to, Timestamp ended) {
  recovery::Window w;
  w.head = head;
  w.from = {from, begun};
  w.to = {to, ended};
  return w;
}

DatabaseStatus database(std::vector<recovery::Window> windows, std::vector<PositionRange> held) {
  DatabaseStatus d;
  auto survey = std::make_shared<recovery::Survey>();
  survey->current = stream(1);
  d.survey = survey;
  d.windows = std::move(windows);
  StreamFacts facts;
  facts.stream = stream(1);
  facts.ranges = std::move(held);
  d.streams.push_back(facts);
  return d;
}

TEST(WindowSpan, IsUnknownBeforeTheFirstSurvey) { EXPECT_FALSE(window_span(DatabaseStatus())); }

TEST(WindowSpan, NothingCanBeRestoredWithoutAWindowAndThatIsNoGap) {
  const auto span = window_span(database({}, {{{10}, {90}}, {{100}, {200}}}));
  ASSERT_TRUE(span);
  EXPECT_TRUE(span->earliest.is_none());
  EXPECT_TRUE(span->latest.is_none());
  EXPECT_EQ(span->open_gaps, 0u);
}

TEST(WindowSpan, GoesFromTheFirstWindowToTheLastOne) {
  const auto span = window_span(database({window(stream(1), {10}, at(5), {90}, at(50)), window(stream(1), {120}, at(70), {200}, at(99))}, {{{10}, {90}}, {{100}, {200}}}));
  ASSERT_TRUE(span);
  EXPECT_EQ(span->earliest, at(5));
  EXPECT_EQ(span->latest, at(99));
  EXPECT_EQ(span->open_gaps, 0u) << "the snapshot behind the hole has closed it";
}

TEST(WindowSpan, LogBehindAHoleWithoutANewerSnapshotIsAnOpenGap) {
  const auto span = window_span(database({window(stream(1), {10}, at(5), {90}, at(50))}, {{{10}, {90}}, {{100}, {200}}}));
  ASSERT_TRUE(span);
  EXPECT_EQ(span->open_gaps, 1u);
}

TEST(WindowSpan, AWindowOfAnotherBranchSaysNothingOfTheCurrentOnesGaps) {
  const auto span = window_span(database({window(stream(2), {10}, at(5), {90}, at(50))}, {{{100}, {200}}}));
  ASSERT_TRUE(span);
  EXPECT_EQ(span->latest, at(50));
  EXPECT_EQ(span->open_gaps, 0u);
}

}  // namespace
}  // namespace stele::receiver
