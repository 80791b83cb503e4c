#pragma once

#include "core/base/bytes.h"

namespace stele {

/// The seam for randomness. The real one (core/crypto) is libsodium's; tests give a seeded one and print the seed. Thread-safe.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void fill(MutableByteView out) = 0;

  template <typename Id>
  Id draw() {
    Id id;
    fill(id.view());
    return id;
  }
  std::uint64_t u64() {
    std::uint8_t raw[8];
    fill(raw);
    std::uint64_t v = 0;
    for (int i = 0; i < 8; ++i) v |= static_cast<std::uint64_t>(raw[i]) << (8 * i);
    return v;
  }
};

}  // namespace stele
