#pragma once

#include <gtest/gtest.h>

#include "tests/support/receiver/keeper_rig.h"

namespace stele::receiver {

/// A keeper that trusts one agent, whose stream is open.
struct OpenKeeper : testing::Test {
  test::ScriptedAgent agent;
  test::KeeperRig rig{agent};
  void SetUp() override {
    test::must(rig.start());
    test::must(rig.put_trust(agent));
    test::must(rig.open(agent));
  }
};

}  // namespace stele::receiver
