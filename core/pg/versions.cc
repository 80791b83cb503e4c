#include "core/pg/versions.h"

#include <array>
#include <limits>

namespace stele::pg {
namespace {

/// XLOG_PAGE_MAGIC of the released branches 13, 14, 15, 16, 17.
constexpr std::array<std::uint16_t, kNewestMajor - kOldestMajor + 1> kMagics = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116};

}  // namespace

std::optional<int> major_of_wal_magic(std::uint16_t magic) {
  for (std::size_t i = 0; i < kMagics.size(); ++i) {
    if (kMagics[i] == magic) return kOldestMajor + static_cast<int>(i);
  }
  return std::nullopt;
}

std::optional<std::uint16_t> wal_magic_of_major(int major) {
  if (major < kOldestMajor || major > kNewestMajor) return std::nullopt;
  return kMagics[static_cast<std::size_t>(major - kOldestMajor)];
}

Timestamp from_timestamptz(std::int64_t value) {
  std::int64_t out;
  if (__builtin_add_overflow(value, kPostgresEpochMicros, &out)) out = std::numeric_limits<std::int64_t>::max();
  return {out};
}

std::int64_t to_timestamptz(Timestamp t) {
  std::int64_t out;
  if (__builtin_sub_overflow(t.micros, kPostgresEpochMicros, &out)) out = std::numeric_limits<std::int64_t>::min();
  return out;
}

bool xid_precedes(TransactionId a, TransactionId b) {
  // Ids below FirstNormalTransactionId (3) are permanent and older than all others.
  if (a < 3 || b < 3) return a < b;
  return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace stele::pg
