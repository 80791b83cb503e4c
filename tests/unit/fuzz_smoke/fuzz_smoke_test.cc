// The fuzz targets over their seeds and a few thousand repeatable mutations of them. The search itself: tests/fuzz/run.sh.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "tests/fuzz/targets.h"
#include "tests/support/seeded_random.h"

namespace stele::test {
namespace {

Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return to_bytes(as_bytes(text));
}

Bytes mutate(const Bytes& seed, SeededRandom& random) {
  Bytes out = seed;
  for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
    const std::size_t at = out.empty() ? 0 : random.below(out.size());
    switch (random.below(6)) {
      case 0: if (!out.empty()) out[at] ^= static_cast<std::uint8_t>(1u << random.below(8)); break;
      case 1: if (!out.empty()) out[at] = random.below(2) == 0 ? 0xFF : 0; break;
      case 2: out.resize(at); break;
      case 3: out.insert(out.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random.below(256))); break;
      case 4: for (std::size_t i = at; i < std::min(at + 4, out.size()); ++i) out[i] = 0xFF; break;
      default: {  // a piece of it again, elsewhere
        const Bytes piece(out.begin() + static_cast<std::ptrdiff_t>(at), out.begin() + static_cast<std::ptrdiff_t>(std::min(out.size(), at + random.below(64))));
        out.insert(out.end(), piece.begin(), piece.end());
      }
    }
  }
  return out;
}

class FuzzSmoke : public testing::TestWithParam<FuzzTarget> {};

TEST_P(FuzzSmoke, ComesBackFromAnyBytes) {
  const FuzzTarget& target = GetParam();
  std::vector<Bytes> seeds = more_seeds(target.name);
  for (std::string_view sample : target.samples) seeds.push_back(read_file(STELE_SOURCE_DIR "/tests/compat/v1/" + std::string(sample) + ".bin"));
  ASSERT_FALSE(seeds.empty());
  SeededRandom random(20261123);
  target.run({});
  for (const Bytes& seed : seeds) target.run(seed);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 1500; ++i) {
    const Bytes input = mutate(seeds[random.below(seeds.size())], random);
    target.run(input);
    // A slow machine does fewer; a slow reader is a finding of its own.
    if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(2)) {
      EXPECT_GT(i, 20) << "this reader is very slow";
      break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzSmoke, testing::ValuesIn(fuzz_targets().begin(), fuzz_targets().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace stele::test
