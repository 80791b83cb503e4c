#include "core/config/values.h"

#include <gtest/gtest.h>

using namespace stele;
using namespace stele::config;

TEST(Values, ReadsSizesOfBothKinds) {
  EXPECT_EQ(parse_bytes("512").value(), 512u);
  EXPECT_EQ(parse_bytes("64KiB").value(), 65536u);
  EXPECT_EQ(parse_bytes("16MiB").value(), 16u << 20);
  EXPECT_EQ(parse_bytes("2GB").value(), 2'000'000'000u);
  EXPECT_EQ(parse_bytes("1TiB").value(), 1ull << 40);
}

TEST(Values, RefusesWhatIsNotASize) {
  for (const char* text :
       {"", "MiB", "16 MiB", "16mib", "1.5GiB", "-1", "16MiBx", "99999999999TiB", "18446744073709551616"}) {
    auto result = parse_bytes(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kConfig);
    EXPECT_NE(result.error().what.find("expected a size"), std::string::npos);
  }
}

TEST(Values, ReadsDurationsLargestUnitFirst) {
  EXPECT_EQ(parse_duration("10s").value(), std::chrono::seconds(10));
  EXPECT_EQ(parse_duration("5ms").value(), std::chrono::milliseconds(5));
  EXPECT_EQ(parse_duration("1h30m").value(), std::chrono::minutes(90));
  EXPECT_EQ(parse_duration("2d").value(), std::chrono::hours(48));
  EXPECT_EQ(parse_duration("0s").value(), Duration(0));
  for (const char* text :
       {"", "10", "s", "30m1h", "1h1h", "10 s", "-1s", "1.5s", "200000000d", "18446744073709551615d1s", "1y"}) {
    EXPECT_FALSE(parse_duration(text).ok()) << text;
  }
}

TEST(Values, ReadsRatesInBitsAndBytes) {
  EXPECT_EQ(parse_rate("20Mbit/s").value(), 2'500'000u);
  EXPECT_EQ(parse_rate("5MB/s").value(), 5'000'000u);
  EXPECT_EQ(parse_rate("4MiB/s").value(), 4u << 20);
  EXPECT_EQ(parse_rate("unlimited").value(), 0u);
  for (const char* text : {"", "0", "0MB/s", "20Mbit", "20", "5/s", "1bit/s", "fast", "20Mb/s"})
    EXPECT_FALSE(parse_rate(text).ok()) << text;
}

TEST(Values, ReadsAddresses) {
  EXPECT_EQ(parse_endpoint("host.example:9550").value(), (Endpoint{"host.example", 9550}));
  EXPECT_EQ(parse_endpoint("[::1]:80").value(), (Endpoint{"::1", 80}));
  EXPECT_EQ((Endpoint{"::1", 80}).to_string(), "[::1]:80");
  for (const char* text :
       {"", "host", "host:", ":80", "host:0", "host:65536", "host:80x", "a b:80", "::1:80", "http://h:80", "host:-1"}) {
    EXPECT_FALSE(parse_endpoint(text).ok()) << text;
  }
}

TEST(Values, PrintsForPeople) {
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(16u << 20), "16.0 MiB");
  EXPECT_EQ(format_bytes((1u << 20) - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(~0ull), "16.0 EiB");
  EXPECT_EQ(format_rate(0), "0 B/s");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(12)), "12 ms");
  EXPECT_EQ(format_duration(std::chrono::milliseconds(4200)), "4.2 s");
  EXPECT_EQ(format_duration(std::chrono::minutes(90)), "1h 30m");
  EXPECT_EQ(format_duration(std::chrono::hours(49)), "2d 1h");
  EXPECT_EQ(format_duration(Duration::max()), "106751991d 4h");  // from a hostile time
  EXPECT_EQ(format_duration(Duration::min()), "-106751991d 4h");
  EXPECT_EQ(format_duration_zh(std::chrono::milliseconds(4200)), "4 秒");
  EXPECT_EQ(format_duration_zh(std::chrono::minutes(90)), "1 小时 30 分");
  EXPECT_EQ(format_duration_zh(std::chrono::hours(48)), "2 天");
  EXPECT_EQ(format_duration_zh(std::chrono::hours(49)), "2 天 1 小时");
  EXPECT_EQ(format_duration_zh(Duration::max()), "106751991 天 4 小时");
}
