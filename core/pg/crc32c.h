#pragma once

#include "core/base/bytes.h"

namespace stele::pg {

/// CRC-32C (Castagnoli, reflected, as port/pg_crc32c.h): start with kCrc32cInit, continue with crc32c(), end with crc32c_finish().
/// Uses the SSE4.2 instruction where the processor has it.
inline constexpr std::uint32_t kCrc32cInit = 0xFFFFFFFFu;
std::uint32_t crc32c(std::uint32_t crc, ByteView bytes);
inline std::uint32_t crc32c_finish(std::uint32_t crc) { return crc ^ 0xFFFFFFFFu; }
/// The same by table, for processors without the instruction; public so that a test can compare both.
std::uint32_t crc32c_by_table(std::uint32_t crc, ByteView bytes);

}  // namespace stele::pg
