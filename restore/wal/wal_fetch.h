#pragma once

#include <string>

#include "core/base/result.h"

namespace stele::restore {

/// The restore_command: puts file `name` (%f) at `target` (%p, relative to the data directory, where PostgreSQL runs it). Gives the exit
/// code 0, 1 or 255 (wal/README.md) and the reason for everything but 0.
struct WalFetchResult {
  int exit_code = 255;
  std::string reason;
};
WalFetchResult fetch_wal_file(const std::string& staging, const std::string& name, const std::string& target);

}  // namespace stele::restore
