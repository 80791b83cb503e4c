#include "agent/uplink/sent_log.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

struct SentLogTest : testing::Test {
  test::SeededRandom random{11};
  StreamId stream = random.draw<StreamId>(), other = random.draw<StreamId>();
  ObjectId object = random.draw<ObjectId>(), stranger = random.draw<ObjectId>();
  SentLog log;

  void send(std::uint32_t number, Position end) { log.sent({number + 1, object, number, stream, end, {}}); }
};

TEST_F(SentLogTest, AnAcknowledgementCoversEverythingSentBeforeIt) {
  send(0, {100});
  send(1, {200});
  send(2, {300});
  EXPECT_FALSE(log.acknowledged(stranger, 1)) << "not sent by us";
  ASSERT_TRUE(log.acknowledged(object, 1));
  EXPECT_TRUE(log.waiting());
  EXPECT_FALSE(log.acknowledged(object, 0)) << "covered already";
  EXPECT_EQ(log.acknowledged(object, 2)->end, Position{300});
  EXPECT_FALSE(log.waiting());
}

TEST_F(SentLogTest, ExplainsWhatWasAcknowledgedAndLess) {
  send(0, {100});
  ASSERT_TRUE(log.acknowledged(object, 0));
  log.begin_session();
  EXPECT_TRUE(log.explains(stream, {100}, object, 0));
  EXPECT_TRUE(log.explains(stream, {60}, stranger, 3)) << "it lost some: still what we sent";
  EXPECT_FALSE(log.explains(stream, {101}, stranger, 3));
  EXPECT_FALSE(log.explains(other, {100}, stranger, 3));
}

TEST_F(SentLogTest, ExplainsWhatWasSentWhileTheAnswerWasLostWithTheLine) {
  send(0, {100});
  send(1, {200});
  EXPECT_TRUE(log.explains(stream, {200}, object, 1));
  log.begin_session();
  EXPECT_FALSE(log.waiting());
  EXPECT_TRUE(log.explains(stream, {200}, object, 1)) << "at every later session too";
  EXPECT_FALSE(log.explains(stream, {300}, object, 2)) << "never sent";
}

}  // namespace
}  // namespace stele::agent
