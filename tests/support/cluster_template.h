#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace stele::test {

/// Makes what `initdb INITDB_ARGS -D DATA_DIRECTORY` would make, owned by user postgres and with a system identifier of its own, for a
/// fraction of the processor time: initdb runs once for each list of arguments and version of PostgreSQL, and its result is copied.
/// `data_directory` must not exist. `templates` keeps the results; it may be removed at any time when no test runs. Programs that make a
/// template at the same time do not disturb each other, and a killed one leaves no half template behind.
Status make_cluster(const std::vector<std::string>& initdb_args, const std::string& data_directory, const std::string& templates);
/// The same with templates below the build directory.
Status make_cluster(const std::vector<std::string>& initdb_args, const std::string& data_directory);

}  // namespace stele::test
