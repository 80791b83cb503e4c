#pragma once

#include <string>
#include <string_view>

namespace stele::net {

/// The text as a gzip file (RFC 1952), at zlib's fastest level: an answer is compressed while somebody waits for it.
std::string gzip(std::string_view text);

/// Whether a client that sent this Accept-Encoding takes gzip (RFC 9110, section 12.5.3).
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace stele::net
