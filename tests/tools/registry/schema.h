#pragma once

#include <string_view>

namespace stele::registry {

/// SQL that makes the empty schema `registry` (refused when it exists): tables without indexes, ready for COPY.
std::string_view schema_sql();
/// SQL that adds keys, checks (check characters included) and indexes after the rows are there; every row is checked.
std::string_view constraints_sql();

}  // namespace stele::registry
