#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace stele::test {

/// A reader of bytes that come from others. It must come back from any bytes: no crash, no hang, no large allocation. What it reads to the
/// end it must also be able to write to the same bytes, where the format has a writer.
struct FuzzTarget {
  std::string_view name;
  void (*run)(ByteView bytes);
  std::vector<std::string_view> samples;  ///< those of tests/compat that make good seeds; "*": all
};

std::span<const FuzzTarget> fuzz_targets();
/// Seeds that are no sample of a released format.
std::vector<Bytes> more_seeds(std::string_view target);

}  // namespace stele::test
