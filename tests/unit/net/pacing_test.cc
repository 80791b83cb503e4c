#include "core/net/pacing.h"

#include <gtest/gtest.h>

#include "core/net/socket_options.h"

namespace stele::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(TokenBucket, LetsTheBurstThroughAndThenTheRate) {
  Instant now{};
  TokenBucket bucket(1000, 500, now);
  EXPECT_EQ(bucket.delay(500, now).count(), 0);
  bucket.take(500, now);
  const auto wait = bucket.delay(100, now);
  EXPECT_GE(wait, milliseconds(100));
  EXPECT_LT(wait, milliseconds(101));
  EXPECT_EQ(bucket.delay(100, now + wait).count(), 0) << "waiting as told is enough";
}

TEST(TokenBucket, HoldsItsRateOverAnHour) {
  Instant now{};
  TokenBucket bucket(2'500'000, 64 * 1024, now);
  std::uint64_t sent = 0;
  while (now < Instant{} + seconds(3600)) {
    now += bucket.delay(256 * 1024, now);
    bucket.take(256 * 1024, now);
    sent += 256 * 1024;
  }
  EXPECT_NEAR(static_cast<double>(sent), 2'500'000.0 * 3600, 2.0 * 256 * 1024);
}

TEST(TokenBucket, AMessageLargerThanTheBurstIsNeverStuck) {
  Instant now{};
  TokenBucket bucket(1000, 100, now);
  EXPECT_EQ(bucket.delay(5000, now).count(), 0);
  bucket.take(5000, now);
  EXPECT_GE(bucket.delay(1, now), seconds(4)) << "its debt is paid first";
  EXPECT_EQ(bucket.delay(1, now + seconds(5)).count(), 0);
}

TEST(TokenBucket, ChangesItsRateAndAcceptsAClockThatStands) {
  Instant now = Instant{} + seconds(100);
  TokenBucket bucket(0, 0, now);
  EXPECT_EQ(bucket.delay(1'000'000'000, now).count(), 0) << "0 is unlimited";
  bucket.set_rate(1000, 1000, now);
  bucket.take(1000, now);
  EXPECT_GT(bucket.delay(1000, Instant{}), seconds(0)) << "time that goes back gives nothing";
  EXPECT_GE(bucket.delay(1000, now), milliseconds(1000));
  bucket.set_rate(1, 1000, now);
  EXPECT_LE(bucket.delay(1'000'000'000, now), seconds(86401)) << "no overflow";
}

TEST(HostPort, ReadsAddresses) {
  EXPECT_EQ(parse_host_port("127.0.0.1:0")->port, 0);
  EXPECT_EQ(parse_host_port("receiver.example:7430")->host, "receiver.example");
  EXPECT_EQ(parse_host_port("[::1]:7430")->host, "::1");
  EXPECT_EQ(parse_host_port("[::1]:7430")->to_string(), "[::1]:7430");
  EXPECT_EQ(parse_host_port("*:7430")->host, "*");
  for (const char* wrong : {"", ":", "host", "host:", ":7430", "host:x", "host:65536", "host:-1", "host:1 ", "::1:7430", "[]:1", "a b:1", "http://x:1"}) {
    Result<HostPort> got = parse_host_port(wrong);
    ASSERT_FALSE(got.ok()) << wrong;
    EXPECT_EQ(got.error().code, ErrorCode::kConfig);
  }
}

}  // namespace
}  // namespace stele::net
