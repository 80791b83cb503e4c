#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/log.h"
#include "core/config/toml_reader.h"

namespace stele::config {

/// What to do when the revocation list is older than its nextUpdate.
enum class CrlStale { kAllow, kRefuse };

/// [tls]: certificate files. All paths; the contents are read, checked and re-read by core/net.
struct TlsConfig {
  std::filesystem::path ca;           ///< PEM, the authorities whose certificates are believed
  std::filesystem::path certificate;  ///< PEM, own certificate and chain; role and site are in its URI SAN
  std::filesystem::path key;          ///< PEM, 0600
  std::filesystem::path crl;          ///< PEM; empty: no revocation list
  CrlStale crl_stale = CrlStale::kAllow;
};

/// [[receiver]]: where a receiver listens, and the name its certificate must carry.
struct ReceiverEndpoint {
  std::string name;
  Endpoint address;
};

/// [metrics]
struct MetricsConfig {
  Endpoint listen;  ///< port 0: no metrics server
};

TlsConfig read_tls(TableReader table);
std::vector<ReceiverEndpoint> read_receivers(TableReader& root, std::size_t at_least);
MetricsConfig read_metrics(TableReader table, std::string_view fallback);
/// [log]; `program` is the name in every line.
log::Options read_log(TableReader table, std::string_view program);

/// The name of a receiver or a label: 1 to 63 of [a-z0-9_.-], not starting with '-' or '.'. kConfig otherwise.
Status check_label(std::string_view name);

}  // namespace stele::config
