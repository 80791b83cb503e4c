#pragma once

#include <vector>

#include "agent/postgres/connection.h"
#include "core/format/manifest.h"

namespace stele::agent {

/// What a snapshot tells of the server besides its files: README.md lists the names.
struct ServerTexts {
  std::vector<format::NamedText> texts;  ///< "setting/NAME", "collation/DATABASE/NAME", "counts/DATABASE"
  std::uint32_t block_size = 0;          ///< bytes of a page
  std::uint32_t segment_blocks = 0;      ///< pages in one file of a large relation
  Duration checkpoint_timeout{};
  std::vector<std::string> files_outside_data_directory;
  std::vector<std::string> warnings;
};

/// Asks on an SQL connection, and for the counts on one to each database. What the role may not see is left out and named
/// in the warnings.
Result<ServerTexts> read_server_texts(PgConnection& sql, Clock& clock, Instant deadline);

}  // namespace stele::agent
