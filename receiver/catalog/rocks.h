#pragma once

#include <memory>
#include <string>

#include "receiver/catalog/key_values.h"

namespace stele::receiver {

/// What opening found.
struct RocksOpened {
  std::unique_ptr<KeyValues> values;
  bool fresh = false;       ///< there was none before
  std::string set_aside;    ///< the path to which an unusable one was renamed; empty: none. Why is in `reason`
  std::string reason;
};

/// Opens RocksDB in a directory, creating it when needed. One that cannot be opened, or during whose last opening the program died
/// (Debian's RocksDB asserts on some damage), is renamed to DIRECTORY.broken-N and a new one is made. kIo when even that fails.
Result<RocksOpened> open_rocks(const std::string& directory);
/// Renames the present one away without looking at it (`reindex`). Nothing there: success.
Result<std::string> set_rocks_aside(const std::string& directory);

}  // namespace stele::receiver
