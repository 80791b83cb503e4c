#pragma once

#include "core/base/random.h"

namespace stele::crypto {

/// The real random source: libsodium's, which is the kernel's. Thread-safe.
class SodiumRandom final : public RandomSource {
 public:
  SodiumRandom();
  void fill(MutableByteView out) override;
};

}  // namespace stele::crypto
