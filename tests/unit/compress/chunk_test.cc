#include "core/compress/chunk.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include "tests/support/seeded_random.h"

namespace stele::compress {
namespace {

Bytes text(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::uint8_t>("member|organisation|"[i % 20] + (i / 997) % 3);
  return out;
}

TEST(Chunk, ComesBackOrIsLeftAsItIs) {
  test::SeededRandom random(1);
  auto compressor = ChunkCompressor::create().value();
  ChunkDecompressor decompressor;
  for (std::size_t size : {64u, 8192u, 65536u, 1048576u, 100u}) {
    const Bytes data = text(size);
    Bytes out{5};
    ASSERT_TRUE(compressor.compress(data, out).value());
    EXPECT_LT(out.size() - 1, size);
    EXPECT_EQ(out[0], 5);
    EXPECT_EQ(decompressor.decompress(ByteView(out).subspan(1), size).value(), data);
    Bytes same{5};
    EXPECT_FALSE(compressor.compress(random.bytes(size), same).value()) << "noise does not shrink";
    EXPECT_EQ(same, Bytes{5});
  }
  Bytes out;
  EXPECT_FALSE(compressor.compress({}, out).value());
}

TEST(Chunk, AnotherSizeThanStatedIsDamage) {
  auto compressor = ChunkCompressor::create().value();
  ChunkDecompressor decompressor;
  const Bytes data = text(50000);
  Bytes out;
  ASSERT_TRUE(compressor.compress(data, out).value());
  for (std::size_t stated : {std::size_t{0}, std::size_t{49999}, std::size_t{50001}, kMaxRawBytes + 1}) {
    EXPECT_EQ(decompressor.decompress(out, stated).error().code, ErrorCode::kDamaged) << stated;
  }
  for (std::size_t size = 0; size < out.size(); ++size) {
    EXPECT_EQ(decompressor.decompress(ByteView(out).first(size), data.size()).error().code, ErrorCode::kDamaged);
  }
  EXPECT_EQ(decompressor.decompress(out, data.size()).value(), data) << "a failure does not spoil the context";
  Bytes twice = out;
  twice.insert(twice.end(), out.begin(), out.end());
  EXPECT_EQ(decompressor.decompress(twice, 2 * data.size()).error().code, ErrorCode::kDamaged) << "one frame, not two";
}

TEST(Chunk, BombsAreRefusedAtTheStatedSize) {
  auto compressor = ChunkCompressor::create(19).value();
  Bytes bomb;
  ASSERT_TRUE(compressor.compress(Bytes(64 << 20, 0), bomb).value());
  ASSERT_LT(bomb.size(), 16384u);
  ChunkDecompressor decompressor;
  EXPECT_EQ(decompressor.decompress(bomb, 65536).error().code, ErrorCode::kDamaged);
}

TEST(Chunk, GarbageNeverCrashes) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  test::SeededRandom random(seed);
  auto compressor = ChunkCompressor::create().value();
  ChunkDecompressor decompressor;
  const Bytes data = text(30000);
  Bytes out;
  ASSERT_TRUE(compressor.compress(data, out).value());
  for (int round = 0; round < 3000; ++round) {
    Bytes bad = out;
    for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips)
      bad[random.below(bad.size())] ^= 1 + random.below(255);
    const auto result = decompressor.decompress(bad, data.size());
    if (!result.ok()) {
      EXPECT_EQ(result.error().code, ErrorCode::kDamaged);
    }
    EXPECT_FALSE(decompressor.decompress(random.bytes(random.below(300)), 1000).ok());
  }
}

TEST(Chunk, LevelsOutsideTheLimitsAreRefused) {
  for (int level : {0, 20}) EXPECT_EQ(ChunkCompressor::create(level).error().code, ErrorCode::kConfig);
}

}  // namespace
}  // namespace stele::compress
