#pragma once

#include <bit>
#include <cstdint>

namespace stele::crypto {

/// The size to which `size` bytes are padded inside the AEAD: the next multiple of 256 up to 4 KiB (0 becomes 256),
/// then Padmé (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019),
/// which adds at most 12 % and leaves only O(log log size) bits of the size visible. `size` is at most 2^62.
constexpr std::uint64_t padded_size(std::uint64_t size) {
  if (size <= 4096) return size == 0 ? 256 : (size + 255) / 256 * 256;
  const unsigned exponent = static_cast<unsigned>(std::bit_width(size)) - 1;
  const unsigned kept = static_cast<unsigned>(std::bit_width(exponent));  // floor(log2(exponent)) + 1
  const std::uint64_t mask = (std::uint64_t{1} << (exponent - kept)) - 1;
  return (size + mask) & ~mask;
}

}  // namespace stele::crypto
