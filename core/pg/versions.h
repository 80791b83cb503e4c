#pragma once

#include <cstdint>
#include <optional>

#include "core/base/time.h"

namespace stele::pg {

using TimelineId = std::uint32_t;
using TransactionId = std::uint32_t;
using Oid = std::uint32_t;

/// The major versions whose bytes this library knows.
inline constexpr int kOldestMajor = 13;
inline constexpr int kNewestMajor = 17;

/// The major version whose WAL pages carry this xlp_magic (access/xlog_internal.h, XLOG_PAGE_MAGIC); nothing for an unknown one.
std::optional<int> major_of_wal_magic(std::uint16_t magic);
/// XLOG_PAGE_MAGIC of a known major version, otherwise nothing.
std::optional<std::uint16_t> wal_magic_of_major(int major);

/// PostgreSQL counts microseconds from 2000-01-01 (datatype/timestamp.h), Stele from 1970-01-01.
inline constexpr std::int64_t kPostgresEpochMicros = 946'684'800'000'000;
/// A TimestampTz as written in WAL. Saturates; TimestampTz 0 (2000-01-01) is an ordinary moment.
Timestamp from_timestamptz(std::int64_t value);
std::int64_t to_timestamptz(Timestamp t);

/// True when a is before b in PostgreSQL's circular order (access/transam/transam.c, TransactionIdPrecedes).
bool xid_precedes(TransactionId a, TransactionId b);

}  // namespace stele::pg
