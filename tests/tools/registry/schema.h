#pragma once

#include <string_view>

namespace stele::registry {

/// SQL that makes the empty schema `registry` (refused when it exists): tables without indexes, ready for COPY.
std::string_view schema_sql();
/// SQL that adds keys and indexes after the rows are there.
std::string_view keys_sql();
/// SQL that adds the checks (check characters included); every row is checked, which takes longer than all the rest.
std::string_view checks_sql();

}  // namespace stele::registry
