#pragma once

#include <mutex>
#include <random>

#include "core/base/random.h"

namespace stele::test {

/// Repeatable bytes for tests. Print the seed when a test draws its own.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteView out) override {
    std::lock_guard lock(mutex_);
    for (auto& byte : out) byte = static_cast<std::uint8_t>(engine_());
  }
  /// 0 to limit - 1.
  std::uint64_t below(std::uint64_t limit) { return u64() % limit; }
  Bytes bytes(std::size_t size) {
    Bytes out(size);
    fill(out);
    return out;
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace stele::test
