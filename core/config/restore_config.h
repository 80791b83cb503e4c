#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/drill_config.h"
#include "core/config/receiver_config.h"
#include "core/config/sections.h"

namespace stele::config {

/// restore.toml. Either a store directory or at least one receiver.
struct RestoreConfig {
  std::filesystem::path store_directory;    ///< empty: read from receivers
  std::vector<ReceiverEndpoint> receivers;  ///< asked in this order; `plan` asks all for their newest heads
  Duration receiver_patience{};             ///< how long one that went away is waited for
  TlsConfig tls;                            ///< an operator's certificate; only with receivers

  std::vector<std::filesystem::path> recovery_keys;  ///< [keys] recovery_keys: files protected by a passphrase, 0600
  std::vector<AuthorityConfig> authorities;

  struct Postgres {
    std::filesystem::path bin_directory;  ///< where postgres and pg_ctl are
    std::string user;  ///< operating system user that owns and runs the restored server; empty: the caller
  } postgres;

  std::filesystem::path work_directory;  ///< restore state: newest heads seen, staged WAL
  int parallelism = 0;                   ///< 0: one worker for each core
  DrillConfig drill;
  log::Options log;

  std::vector<std::filesystem::path> secret_files() const;
};

Result<RestoreConfig> load_restore_config(const std::filesystem::path& file);
Result<RestoreConfig> parse_restore_config(std::string_view text, const std::filesystem::path& file);
std::vector<KeyDescription> describe_restore_config();

}  // namespace stele::config
