#include "core/base/seconds.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace stele {
namespace {

TEST(Seconds, BecomeMicroseconds) {
  EXPECT_EQ(duration_of(1.5), std::chrono::milliseconds(1500));
  EXPECT_EQ(duration_of(-2), std::chrono::seconds(-2));
  EXPECT_EQ(duration_of(0), Duration(0));
}

TEST(Seconds, OfAForeignNumberStayInTheRange) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity(), kMax = std::numeric_limits<double>::max();
  for (double huge : {kInfinity, kMax, 9.3e12, 1e18}) {
    EXPECT_EQ(duration_of(huge), duration_of(9.2e12)) << huge;
    EXPECT_EQ(duration_of(-huge), -duration_of(huge)) << huge;
  }
  EXPECT_GT(duration_of(9.2e12), std::chrono::hours(24 * 365 * 200'000));
  EXPECT_EQ(duration_of(std::nan("")), Duration(0));
  EXPECT_EQ(duration_of(std::numeric_limits<double>::denorm_min()), Duration(0));
}

}  // namespace
}  // namespace stele
