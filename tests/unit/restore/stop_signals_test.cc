#include "restore/main/stop_signals.h"

#include <gtest/gtest.h>

namespace stele::restore {
namespace {

void (*handler_of(int number))(int) {
  struct sigaction now {};
  sigaction(number, nullptr, &now);
  return now.sa_handler;
}

TEST(StopSignals, TheFirstRaisesAFlagAndTheSecondHasItsUsualEffect) {
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    StopSignals signals;
    EXPECT_FALSE(signals.raised());
    ASSERT_EQ(raise(number), 0);
    EXPECT_TRUE(signals.raised());
    EXPECT_EQ(handler_of(number), SIG_DFL);
  }
}

TEST(StopSignals, WhatWasIgnoredAtTheStartStaysIgnored) {
  for (int number : {SIGHUP, SIGINT}) {
    ASSERT_NE(signal(number, SIG_IGN), SIG_ERR);
    {
      StopSignals signals;
      ASSERT_EQ(raise(number), 0);
      EXPECT_FALSE(signals.raised());
      ASSERT_EQ(raise(SIGTERM), 0);
      EXPECT_TRUE(signals.raised()) << "the others still count";
    }
    EXPECT_EQ(handler_of(number), SIG_IGN);
    ASSERT_NE(signal(number, SIG_DFL), SIG_ERR);
  }
}

}  // namespace
}  // namespace stele::restore
