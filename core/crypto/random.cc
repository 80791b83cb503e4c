#include "core/crypto/random.h"

#include <sodium.h>

#include "core/crypto/library.h"

namespace stele::crypto {

SodiumRandom::SodiumRandom() {
  require_library();
}

void SodiumRandom::fill(MutableByteView out) {
  randombytes_buf(out.data(), out.size());
}

}  // namespace stele::crypto
