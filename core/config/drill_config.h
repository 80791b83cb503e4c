#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/identity.h"
#include "core/config/toml_reader.h"

namespace stele::config {

/// [drill] of restore.toml: restores that are tried, checked and thrown away.
struct DrillConfig {
  std::string database;             ///< SITE/DATABASE; empty: the store's only one
  std::filesystem::path directory;  ///< the copies lie below it, each in a directory of its own, only while it is drilled
  std::uint64_t max_bytes = 0;      ///< what one copy may take; 0: what is free

  std::filesystem::path assertions;    ///< folder of .sql files; empty: none
  std::string assertion_database;      ///< where those run that do not name one
  int count_tolerance_percent = 0;        ///< that a table may be smaller than the snapshot's sealed estimate; 100: only its existence counts
  std::vector<std::string> count_ignore;  ///< "schema.table" or "schema.*" whose counts do not matter
  std::string superuser;               ///< role in the restored server that owns everything
  std::vector<std::string> libraries;  ///< preload libraries that may be loaded
  std::vector<std::pair<std::string, std::string>> settings;  ///< of the restored server, such as shared_buffers
  Duration recovery_timeout{}, check_timeout{};

  std::filesystem::path reports;      ///< HTML and signed JSON of every drill
  std::filesystem::path signing_key;  ///< of this restore host
  Duration rto_target{}, rpo_target{}, interval{};
  std::filesystem::path textfile_directory;  ///< of node_exporter; empty: none
  Endpoint pushgateway;                      ///< port 0: none
};

DrillConfig read_drill(TableReader table);

}  // namespace stele::config
