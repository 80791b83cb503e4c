#include "core/net/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "core/net/http_server.h"

namespace stele::net {
namespace {

std::string unpacked(const std::string& bytes, std::size_t size) {
  std::string out(size, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_out, 0u);
  EXPECT_EQ(stream.avail_in, 0u);
  inflateEnd(&stream);
  return out;
}

TEST(Gzip, GivesTheTextBack) {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "stele_lag_bytes{site=\"440000\"} " + std::to_string(i * 7919 % 1'000'003) + "\n";
  for (std::size_t size : {std::size_t(0), std::size_t(1), std::size_t(4096), text.size()}) {
    const std::string part = text.substr(0, size), packed = gzip(part);
    EXPECT_TRUE(unpacked(packed, size) == part) << size;
  }
  EXPECT_LT(gzip(text).size(), text.size() / 4);
}

TEST(Gzip, IsForClientsThatSayTheyTakeIt) {
  for (const char* yes : {"gzip", "GZIP", "gzip, deflate, br", "deflate,gzip;q=0.5", " identity ; q=0.1 , gzip ; q=1.0"}) EXPECT_TRUE(accepts_gzip(yes)) << yes;
  for (const char* no : {"", "identity", "gzip;q=0", "gzip; q=0.000", "xgzip", "gzipx", "deflate, br", ",,;,", "gz ip", "*"}) EXPECT_FALSE(accepts_gzip(no)) << no;
}

TEST(SharedBody, IsMadeAgainWhenItIsTenTimesOlderThanItTook) {
  Instant now{std::chrono::hours(1)};
  int made = 0;
  SharedBody body([&] { now += std::chrono::milliseconds(20); return "text " + std::to_string(++made); }, [&] { return now; });
  const HttpRequest plain;
  EXPECT_EQ(*body.answer(plain).shared, "text 1");
  now += std::chrono::milliseconds(179);
  EXPECT_EQ(*body.answer(plain).shared, "text 1");
  now += std::chrono::milliseconds(1);
  EXPECT_EQ(*body.answer(plain).shared, "text 2");
}

TEST(SharedBody, IsASecondOldAtMost) {
  Instant now{std::chrono::hours(1)};
  int made = 0;
  SharedBody body([&] { now += std::chrono::seconds(20); return "text " + std::to_string(++made); }, [&] { return now; });
  const HttpRequest plain;
  EXPECT_EQ(*body.answer(plain).shared, "text 1");
  now += std::chrono::seconds(1);
  EXPECT_EQ(*body.answer(plain).shared, "text 2");
}

TEST(SharedBody, IsCompressedOnceForAllWhoTakeItSo) {
  Instant now{std::chrono::hours(1)};
  int made = 0;
  SharedBody body([&] { now += std::chrono::milliseconds(20); return std::string(10'000, static_cast<char>('a' + made++)); }, [&] { return now; });
  HttpRequest plain, packing;
  packing.accepts_gzip = true;
  const HttpResponse first = body.answer(plain), packed = body.answer(packing), again = body.answer(packing), last = body.answer(plain);
  EXPECT_EQ(made, 1);
  EXPECT_FALSE(first.gzip);
  EXPECT_EQ(first.shared, last.shared);
  EXPECT_TRUE(packed.gzip);
  EXPECT_EQ(packed.shared, again.shared);
  EXPECT_EQ(unpacked(*packed.shared, first.shared->size()), *first.shared);
  now += std::chrono::seconds(1);
  const HttpResponse newer = body.answer(packing);
  EXPECT_EQ(made, 2);
  EXPECT_EQ(unpacked(*newer.shared, 10'000), std::string(10'000, 'b'));
}

}  // namespace
}  // namespace stele::net
