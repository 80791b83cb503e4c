#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "core/base/bytes.h"

namespace stele {

/// A position in a database's change log: opaque to receivers, only grows within a branch. For PostgreSQL it is the LSN.
struct Position {
  std::uint64_t value = 0;
  auto operator<=>(const Position&) const = default;
  /// PostgreSQL's way to write it, "16/B374D848".
  std::string to_string() const;
};

inline Position operator+(Position p, std::uint64_t n) { return {p.value + n}; }
inline std::uint64_t operator-(Position a, Position b) { return a.value - b.value; }

/// "16/B374D848" to a position; kUsage when it is not one.
Result<Position> parse_position(std::string_view text);

/// A half-open range [begin, end) of the log.
struct PositionRange {
  Position begin, end;
  auto operator<=>(const PositionRange&) const = default;
  std::uint64_t size() const { return end - begin; }
  bool empty() const { return begin == end; }
  bool contains(Position p) const { return begin <= p && p < end; }
};

/// Which writer wrote: an agent opens a stream with one more than the highest seen at any receiver.
struct Generation {
  std::uint64_t value = 0;
  auto operator<=>(const Generation&) const = default;
};

using StreamId = FixedBytes<32, struct StreamIdTag>;          ///< hash of the branch record's identity (see core/format)
using BranchNonce = FixedBytes<16, struct BranchNonceTag>;    ///< random, drawn when a branch is first registered
using EpochId = FixedBytes<32, struct EpochIdTag>;            ///< hash of the signed epoch record
using ObjectId = FixedBytes<32, struct ObjectIdTag>;          ///< random, drawn when an object or a pack is opened
using ChunkName = FixedBytes<32, struct ChunkNameTag>;        ///< keyed hash of a chunk's plaintext
using SnapshotId = FixedBytes<16, struct SnapshotIdTag>;      ///< random
using Digest = FixedBytes<32, struct DigestTag>;              ///< the suite's hash of stored bytes
using JoinTag = FixedBytes<32, struct JoinTagTag>;            ///< keyed hash that tells two histories apart (TRUST section 2)

/// Site and database as an operator writes them: "440000/registry".
struct DatabaseName {
  std::string site;
  std::string database;
  auto operator<=>(const DatabaseName&) const = default;
  std::string to_string() const { return site + "/" + database; }
};

/// Site: 1 to 32 of [a-z0-9-]; database: 1 to 63 of [a-z0-9_-]; neither starts with '-'. kConfig otherwise.
/// The rule keeps names safe in paths, labels and certificates.
Status check_database_name(const DatabaseName& name);
Result<DatabaseName> parse_database_name(std::string_view text);

/// The protected engine. The number is part of the formats.
enum class Engine : std::uint16_t { kPostgres = 1 };

}  // namespace stele
