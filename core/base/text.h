#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stele {

/// True for text that may be shown on a terminal, put in a log line and written as JSON: UTF-8 (RFC 3629) without control characters
/// (C0, delete and C1, which terminals obey in UTF-8 too).
bool is_one_line(std::string_view text);

/// Makes it so: control characters become spaces, bytes that are not UTF-8 '?', and what is over `most` bytes is cut between characters.
std::string one_line(std::string_view text, std::size_t most);

}  // namespace stele
