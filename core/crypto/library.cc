#include "core/crypto/library.h"

#include <cstdio>
#include <cstdlib>

#include "core/crypto/init.h"

namespace stele::crypto {

void library_failure(std::string_view call) {
  std::fprintf(stderr, "stele: cryptographic library failed in %.*s; stopping\n", static_cast<int>(call.size()),
               call.data());
  std::abort();
}

void require_library() {
  require(init().ok(), "sodium_init");
}

}  // namespace stele::crypto
