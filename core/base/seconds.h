#pragma once

#include "core/base/time.h"

namespace stele {

/// A number of seconds as it stands in a message, a document or a calculation. What is too large or too small becomes the range's end, what
/// is no number zero: a foreign number never becomes an undefined one.
constexpr Duration duration_of(double seconds) {
  constexpr double kEnd = 9.2e12;  // seconds; in microseconds it fits 64 bits
  if (!(seconds == seconds)) return Duration(0);
  return Duration(static_cast<std::int64_t>((seconds > kEnd ? kEnd : seconds < -kEnd ? -kEnd : seconds) * 1e6));
}

}  // namespace stele
