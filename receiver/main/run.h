#pragma once

#include <string>
#include <vector>

#include "core/config/receiver_config.h"
#include "core/net/tls.h"

namespace stele::receiver {

/// `run`: serves until SIGTERM or SIGINT, then seals what the journal holds.
Status run_receiver(const config::ReceiverConfig& config);
net::TlsConfig tls_of(const config::TlsConfig& config);

/// One line of `check`.
struct CheckLine {
  enum class Verdict { kOk, kWarning, kFailed } verdict = Verdict::kOk;
  std::string name, found, what_to_do;
};
/// `check`: configuration, certificate, authorities, keys, store, free space, journal. Changes nothing.
std::vector<CheckLine> check_receiver(const config::ReceiverConfig& config);

/// `reindex`: sets the catalog aside and makes it anew from the store. Gives the number of objects. kTemporary while the receiver runs.
Result<std::uint64_t> reindex(const config::ReceiverConfig& config);

}  // namespace stele::receiver
