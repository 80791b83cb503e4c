#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/crypto/sign.h"
#include "restore/drill/result.h"

namespace stele::restore {

/// What an earlier report says, for comparison.
struct EarlierDrill {
  Timestamp finished;
  bool passed = false;
  std::string target;
  std::optional<double> rto, rpo;  ///< seconds
  std::map<std::string, Timestamp> keys;  ///< name of a key that opened the store -> the newest epoch it opened
};

struct History {
  std::vector<EarlierDrill> drills;  ///< oldest first
  std::size_t refused = 0;           ///< report files whose signature is missing or not this host's
  Timestamp last_success() const;
};

/// Reads the signed JSON reports of a database in the report directory; only those that `host` signed count. A missing directory is an
/// empty history.
History read_history(const std::string& directory, const DatabaseName& database, const crypto::VerifyKey& host);

}  // namespace stele::restore
