#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace stele::restore {

/// One query over the copy and what it must say. A .sql file: lines that begin with "--!" are "key: value" (title, title.en, database,
/// expect), everything else is one query. "expect: no rows" (the default), or "expect: TEXT" for a query of one value.
struct Assertion {
  std::string file;      ///< name of the file
  std::string title_zh, title_en;
  std::string database;  ///< empty: the configured one
  std::optional<std::string> expected;  ///< nothing: no row may come
  std::string query;

  /// The statement to send: counts the rows, or gives the single value, so that no row leaves the server. Lines keep their numbers.
  std::string statement() const;
};

inline constexpr std::size_t kMaxAssertionBytes = 1 << 20;

/// kConfig with file and line when the header is wrong or there is no query. Whether the query is SQL, PostgreSQL says.
Result<Assertion> parse_assertion(std::string file, std::string_view text);

/// A short number may be shown in a report; anything else could be personal data.
bool may_show(std::string_view value);

}  // namespace stele::restore
