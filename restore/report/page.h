#pragma once

#include <string>

#include "restore/report/history.h"

namespace stele::restore {

/// What the page says about its signed twin.
struct SignedTwin {
  std::string file;         ///< name of the JSON file beside the page
  std::string sha256;       ///< of its bytes
  std::string host_key;     ///< the restore host's public key line; empty: it was not signed
};

/// The report as one HTML file: style and charts are inside, nothing is loaded, no script runs. It opens in Chinese; PAGE#en opens in English.
/// Every text is escaped. Pure.
std::string report_page(const DrillResult& result, const History& earlier, const SignedTwin& twin);

}  // namespace stele::restore
