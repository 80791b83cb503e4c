#include "core/base/allocator.h"

#include <malloc.h>

namespace stele {

void keep_freed_memory() {
  constexpr int kBufferBytes = 32 << 20, kKeptBytes = 128 << 20, kStepBytes = 4 << 20;
  mallopt(M_MMAP_THRESHOLD, kBufferBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  mallopt(M_TOP_PAD, kStepBytes);
}

}  // namespace stele
