#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/identity.h"
#include "core/config/sections.h"

namespace stele::config {

/// A public key that counts, made by `stele-restore keygen`: an authority's, or (in receiver.toml) a restore host's.
struct AuthorityConfig {
  std::string label;
  Bytes public_key;            ///< when the key is in the configuration itself
  std::filesystem::path path;  ///< else the file that holds it; see load_authority_text
};

/// The limits of one site.
struct SiteLimits {
  std::uint64_t bytes_per_second = 0;  ///< 0: unlimited
  std::uint64_t stored_bytes = 0;
  std::uint64_t objects_per_day = 0;
  std::uint64_t epochs_per_day = 0;
  std::uint64_t records_per_day = 0;  ///< of the agents, and as many of operators: they stay in memory
  int open_objects = 0;
  int connections = 0;
  std::uint64_t chunk_queries_per_second = 0;
};

struct SiteConfig {
  std::string name;
  std::string title;  ///< what people call it, for page and report; may be empty
  std::vector<std::string> databases;
  std::vector<std::string> authorities;  ///< labels
  SiteLimits limits;
};

/// receiver.toml
struct ReceiverConfig {
  std::string name;  ///< as in the URI SAN of its certificate
  Endpoint listen;
  TlsConfig tls;

  struct Store {
    std::filesystem::path directory;  ///< the journal is always `directory`/journal (the store is enough, P6)
    std::uint64_t disk_reserve = 0;   ///< bytes of the file system that no site can take
  } store;
  std::filesystem::path journal_directory() const { return store.directory / "journal"; }

  struct Journal {
    std::uint64_t max_bytes = 0;
    std::uint64_t file_bytes = 0;
  } journal;

  struct Seal {
    Duration after{};
    std::uint64_t max_run_bytes = 0;
  } seal;

  std::vector<AuthorityConfig> authorities;
  std::vector<AuthorityConfig> restore_hosts;  ///< whose drills count; none: every operator's host
  std::vector<SiteConfig> sites;
  std::filesystem::path catalog_directory;  ///< default: "catalog" beside the store directory
  /// What status and page remember (receiver/status/HISTORY.md); statistics only, nothing depends on it.
  std::filesystem::path history_directory() const { return catalog_directory.string() + ".history"; }
  std::filesystem::path signing_key;        ///< [keys] signing_key, 0600
  MetricsConfig metrics;
  struct Page {
    Endpoint listen;   ///< port 0: no page
    bool tls = false;  ///< operators' certificates are asked for; without it only a loopback address is allowed
  } page;
  log::Options log;

  /// nullptr when the site is not listed.
  const SiteConfig* find_site(std::string_view site) const;
  /// True when the site is listed with this database.
  bool serves(const DatabaseName& name) const;
  /// nullptr when there is no authority of this label.
  const AuthorityConfig* find_authority(std::string_view label) const;
  std::vector<std::filesystem::path> secret_files() const;
};

Result<ReceiverConfig> load_receiver_config(const std::filesystem::path& file);
Result<ReceiverConfig> parse_receiver_config(std::string_view text, const std::filesystem::path& file);
std::vector<KeyDescription> describe_receiver_config();

/// [[authority]] tables, shared with restore.toml.
std::vector<AuthorityConfig> read_authorities(TableReader& root, std::size_t at_least);
/// The public key as text without white space: hexadecimal where it stands in the configuration, else what its file holds. For
/// crypto::read_authority_key and crypto::read_restore_host_key.
Result<std::string> load_authority_text(const AuthorityConfig& authority);

}  // namespace stele::config
