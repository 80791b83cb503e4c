#include "core/compress/stream.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "tests/support/seeded_random.h"

namespace stele::compress {
namespace {

/// Something between text and noise, as log records are.
Bytes sample(test::SeededRandom& random, std::size_t size) {
  Bytes out;
  while (out.size() < size) {
    const std::string row =
        "440106198" + std::to_string(random.below(1000)) + "|member|" + std::to_string(random.below(50)) + "\n";
    out.insert(out.end(), row.begin(), row.end());
    if (random.below(8) == 0) {
      const Bytes noise = random.bytes(random.below(64));
      out.insert(out.end(), noise.begin(), noise.end());
    }
  }
  out.resize(size);
  return out;
}

class StreamTest : public testing::TestWithParam<ContextScope> {
 protected:
  FrameCompressor compressor() const { return FrameCompressor::create({.scope = GetParam()}).value(); }
  FrameDecompressor decompressor() const { return FrameDecompressor(GetParam()); }
};

TEST_P(StreamTest, EveryFrameCanBeReadBeforeTheNextIsWritten) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  test::SeededRandom random(seed);
  auto compress = compressor();
  auto decompress = decompressor();
  for (int object = 0; object < 4; ++object) {
    const Bytes data = sample(random, 500000 + random.below(500000));
    compress.begin_object();
    decompress.begin_object();
    Bytes back;
    std::size_t compressed = 0;
    while (back.size() < data.size()) {
      const std::size_t limit = random.below(3) == 0 ? 300000 : 3000;
      const std::size_t size = std::min<std::size_t>(random.below(limit), data.size() - back.size());
      Bytes frame{9};
      ASSERT_TRUE(compress.compress(ByteView(data).subspan(back.size(), size), frame).ok());
      ASSERT_EQ(frame[0], 9) << "what was there stays";
      ASSERT_TRUE(decompress.decompress(ByteView(frame).subspan(1), size, back).ok());
      compressed += frame.size() - 1;
    }
    EXPECT_EQ(back, data);
    EXPECT_LT(compressed, data.size());
  }
}

TEST_P(StreamTest, IncompressibleFramesComeBack) {
  test::SeededRandom random(5);
  auto compress = compressor();
  auto decompress = decompressor();
  for (std::size_t size : {0u, 1u, 262144u, 2000000u}) {
    const Bytes data = random.bytes(size);
    Bytes frame, back;
    ASSERT_TRUE(compress.compress(data, frame).ok());
    ASSERT_TRUE(decompress.decompress(frame, size, back).ok());
    EXPECT_EQ(back, data);
  }
}

TEST_P(StreamTest, AnotherSizeThanStatedIsDamage) {
  test::SeededRandom random(6);
  const Bytes data = sample(random, 100000);
  Bytes frame;
  ASSERT_TRUE(compressor().compress(data, frame).ok());
  for (std::size_t stated : {std::size_t{0}, std::size_t{1}, data.size() - 1, data.size() + 1, kMaxRawBytes + 1}) {
    auto decompress = decompressor();
    Bytes back{1};
    EXPECT_EQ(decompress.decompress(frame, stated, back).error().code, ErrorCode::kDamaged) << stated;
    EXPECT_EQ(back, Bytes{1});
    EXPECT_EQ(decompress.decompress(frame, data.size(), back).error().code, ErrorCode::kDamaged)
        << "refuses the rest of the object";
    decompress.begin_object();
    EXPECT_TRUE(decompress.decompress(frame, data.size(), back).ok());
  }
}

TEST_P(StreamTest, TruncatedFramesAreDamage) {
  test::SeededRandom random(7);
  const Bytes data = sample(random, 5000);
  Bytes frame;
  ASSERT_TRUE(compressor().compress(data, frame).ok());
  for (std::size_t size = 0; size < frame.size(); ++size) {
    auto decompress = decompressor();
    Bytes back;
    EXPECT_EQ(decompress.decompress(ByteView(frame).first(size), data.size(), back).error().code, ErrorCode::kDamaged)
        << size;
  }
}

TEST_P(StreamTest, GarbageNeverCrashesOrGrows) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  test::SeededRandom random(seed);
  const Bytes data = sample(random, 20000);
  Bytes frame;
  ASSERT_TRUE(compressor().compress(data, frame).ok());
  auto decompress = decompressor();
  for (int round = 0; round < 3000; ++round) {
    Bytes bad = frame;
    for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips)
      bad[random.below(bad.size())] ^= 1 + random.below(255);
    decompress.begin_object();
    Bytes back;
    const Status status = decompress.decompress(bad, data.size(), back);
    if (status.ok()) {
      EXPECT_EQ(back.size(), data.size());
    } else {
      EXPECT_EQ(status.error().code, ErrorCode::kDamaged);
      EXPECT_TRUE(back.empty());
    }
    decompress.begin_object();
    EXPECT_FALSE(decompress.decompress(random.bytes(1 + random.below(500)), 1000, back).ok());
  }
}

TEST_P(StreamTest, BombsAreRefusedAtTheStatedSize) {
  const Bytes zeros(32 << 20, 0);
  Bytes frame;
  ASSERT_TRUE(compressor().compress(zeros, frame).ok());
  ASSERT_LT(frame.size(), 8192u) << "it is a bomb";
  Bytes back;
  auto decompress = decompressor();
  EXPECT_EQ(decompress.decompress(frame, 262144, back).error().code, ErrorCode::kDamaged);
  EXPECT_LE(back.capacity(), 262145u);
}

TEST_P(StreamTest, LargeWindowsAreRefused) {
  test::SeededRandom random(8);
  const Bytes data = random.bytes(1000);
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Bytes frame(ZSTD_compressBound(data.size()));
  ZSTD_inBuffer input{data.data(), data.size(), 0};
  ZSTD_outBuffer output{frame.data(), frame.size(), 0};
  ZSTD_compressStream2(context, &output, &input, ZSTD_e_flush);
  if (GetParam() == ContextScope::kFrame) ZSTD_compressStream2(context, &output, &input, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  frame.resize(output.pos);
  Bytes back;
  auto decompress = decompressor();
  const Status status = decompress.decompress(frame, data.size(), back);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kDamaged);
  EXPECT_NE(status.error().what.find("memory"), std::string::npos) << status.error().what;
}

INSTANTIATE_TEST_SUITE_P(Scopes, StreamTest, testing::Values(ContextScope::kObject, ContextScope::kFrame),
                         [](const auto& info) { return info.param == ContextScope::kObject ? "Object" : "Frame"; });

TEST(Stream, TheContextOfAnObjectHelpsItsNextFrame) {
  test::SeededRandom random(9);
  const Bytes noise = random.bytes(50000);
  auto object = FrameCompressor::create({}).value();
  auto frames = FrameCompressor::create({.scope = ContextScope::kFrame}).value();
  Bytes first, again, alone;
  ASSERT_TRUE(object.compress(noise, first).ok());
  ASSERT_TRUE(object.compress(noise, again).ok());
  EXPECT_LT(again.size(), 1000u);
  ASSERT_TRUE(frames.compress(noise, first).ok());
  ASSERT_TRUE(frames.compress(noise, alone).ok());
  EXPECT_GT(alone.size(), noise.size()) << "scope frame reveals nothing of earlier frames";
  object.begin_object();
  again.clear();
  ASSERT_TRUE(object.compress(noise, again).ok());
  EXPECT_GT(again.size(), noise.size()) << "a new object forgets";
}

TEST(Stream, AFrameOfALaterObjectNeedsItsOwnBeginning) {
  test::SeededRandom random(10);
  const Bytes data = sample(random, 10000);
  auto compress = FrameCompressor::create({}).value();
  Bytes first, second, back;
  ASSERT_TRUE(compress.compress(data, first).ok());
  ASSERT_TRUE(compress.compress(data, second).ok());
  FrameDecompressor decompress;
  EXPECT_FALSE(decompress.decompress(second, data.size(), back).ok());
}

TEST(Stream, OptionsOutsideTheLimitsAreRefused) {
  for (int level : {-5, 0, 20}) EXPECT_EQ(FrameCompressor::create({.level = level}).error().code, ErrorCode::kConfig);
  for (int window : {9, 22})
    EXPECT_EQ(FrameCompressor::create({.window_log = window}).error().code, ErrorCode::kConfig);
  test::SeededRandom random(11);
  const Bytes data = sample(random, 300000);
  for (int level : {1, 19}) {
    auto compress = FrameCompressor::create({.level = level}).value();
    FrameDecompressor decompress;
    Bytes frame, back;
    ASSERT_TRUE(compress.compress(data, frame).ok());
    ASSERT_TRUE(decompress.decompress(frame, data.size(), back).ok());
    EXPECT_EQ(back, data);
  }
}

}  // namespace
}  // namespace stele::compress
