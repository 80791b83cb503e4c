#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/format/manifest.h"

namespace stele::format {

/// A table with everything that inherits from it or is a partition of it, as PostgreSQL's catalog and statistics knew it.
struct TableCount {
  std::string schema, name;
  std::optional<std::uint64_t> rows;  ///< an estimate; nothing: not known
};

/// What one SQL database held when a snapshot began: a text "counts/DATABASE" of the manifest's sealed part (FORMATS.md), since it names tables.
struct DatabaseCounts {
  std::string database;
  std::uint64_t relations = 0;       ///< tables, indexes, sequences, views; without the system's and temporary ones
  std::uint64_t tables = 0;          ///< that could be named here
  std::vector<TableCount> largest;   ///< most rows first, at most kMaxCountedTables
};

inline constexpr std::size_t kMaxCountedTables = 500;
inline constexpr std::size_t kMaxCountsBytes = 128 << 10;  ///< of one text; tables that do not fit are left out

NamedText encode_counts(const DatabaseCounts& counts);
/// kDamaged when the text is not one; lines of a later version are passed over.
Result<DatabaseCounts> decode_counts(const NamedText& text);
/// Those of a whole manifest; empty: the agent sealed none.
Result<std::vector<DatabaseCounts>> sealed_counts(const std::vector<NamedText>& texts);

}  // namespace stele::format
