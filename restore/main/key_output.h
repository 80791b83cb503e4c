#pragma once

#include <string>

#include "core/base/bytes.h"

namespace stele::restore {

/// Writes a file that must not exist yet, durably. kExists. `secret` gives mode 0600, else 0644.
Status write_new_file(const std::string& path, ByteView bytes, bool secret);
/// A small file that is not secret; kLimit over `limit`.
Result<Bytes> read_small_file(const std::string& path, std::size_t limit);

}  // namespace stele::restore
