#pragma once

#include "core/crypto/key_file.h"
#include "core/format/drill_record.h"
#include "restore/drill/drill_job.h"

namespace stele::restore {

/// Where a drill's outcome went.
struct Published {
  std::string json_file, html_file;    ///< empty: not written
  std::vector<std::string> receivers;  ///< that keep the drill record
  std::vector<Error> problems;         ///< what could not be published: the drill keeps its result, the command fails
};

/// The key that signs; kKeyMissing with the command that makes one.
Result<crypto::RestoreHostKey> load_host_key(const std::string& path);

/// The drill as a record for the receivers. Pure.
format::DrillRecord drill_record(const DrillResult& result, const Digest& report);

/// Writes the signed JSON and the page, the metrics (textfile, Pushgateway), and appends the record at the receivers. Without a key (null)
/// nothing is signed: then there is neither report nor record, only metrics. Blocks.
Published publish(const cli::Common& common, const config::RestoreConfig& config, const StoreOptions& store, const DrillOutcome& outcome,
                  const crypto::RestoreHostKey* host);

}  // namespace stele::restore
