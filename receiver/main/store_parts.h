#pragma once

#include <memory>
#include <string>

#include "core/config/receiver_config.h"
#include "core/crypto/random.h"
#include "core/store/local_store.h"
#include "receiver/catalog/rocks.h"
#include "receiver/ingest/keeper.h"
#include "receiver/status/drills.h"

namespace stele::receiver {

/// Everything a receiver keeps, opened from its configuration: store, catalog, keys, keeper. Destroyed in the right order.
struct StoreParts {
  io::PosixFileSystem fs;
  SystemClock clock;
  crypto::SodiumRandom random;
  ReceiverMetrics* metrics = nullptr;
  std::unique_ptr<store::LocalStore> store;
  std::unique_ptr<Catalog> catalog;
  std::unique_ptr<crypto::SigningKey> signer;
  std::unique_ptr<Keeper> keeper;
};

/// Opens all of it. kTemporary when another receiver owns the store. The signing key is made when its file is not there. `expected`: for
/// `reindex` (KeeperOptions).
Result<std::unique_ptr<StoreParts>> open_store_parts(const config::ReceiverConfig& config, ReceiverMetrics& metrics,
                                                     std::optional<std::vector<std::string>> expected = std::nullopt);
/// Without keeper and journal: `reindex` and `check`.
Result<crypto::SigningKey> load_signing_key(io::FileSystem& fs, RandomSource& random, const config::ReceiverConfig& config, bool create);
Result<std::vector<KeeperOptions::Site>> load_sites(const config::ReceiverConfig& config);
/// The restore hosts whose drills count; empty: every one's.
Result<RestoreHosts> load_restore_hosts(const config::ReceiverConfig& config);

}  // namespace stele::receiver
