#include "receiver/main/store_parts.h"

#include <fmt/format.h>
#include <unistd.h>

#include "core/config/log.h"
#include "core/crypto/key_file.h"
#include "core/io/durable_file.h"

namespace stele::receiver {

Result<crypto::SigningKey> load_signing_key(io::FileSystem& fs, RandomSource& random, const config::ReceiverConfig& config, bool create) {
  const std::string path = config.signing_key.string();
  auto bytes = crypto::read_key_file(path);
  if (bytes.ok()) {
    auto key = crypto::decode_receiver_key(bytes->view());
    if (!key.ok()) return key.error().in(path);
    return std::move(key->key);
  }
  if (bytes.error().code != ErrorCode::kNotFound) return std::move(bytes).error();
  if (!create) return Error{ErrorCode::kKeyMissing, path + ": the receiver's signing key is not there", "it is made at the first `run`"};
  crypto::ReceiverKey key{config.name, crypto::SigningKey::generate(crypto::default_suite(), random)};
  STELE_TRY(crypto::SecretBytes text, crypto::encode_receiver_key(key));
  STELE_CHECK(io::make_directories_durably(fs, io::parent_directory(path)));
  // The file system seam makes files with mode 0600.
  STELE_CHECK(io::write_file_durably(fs, path, text.view(), io::WriteMode::kOnce));
  log::info("made the receiver's signing key", {{"file", path}});
  return std::move(key.key);
}

Result<std::vector<KeeperOptions::Site>> load_sites(const config::ReceiverConfig& config) {
  std::vector<KeeperOptions::Site> out;
  for (const config::SiteConfig& site : config.sites) {
    KeeperOptions::Site s;
    s.config = site;
    for (const std::string& label : site.authorities) {
      const config::AuthorityConfig* authority = config.find_authority(label);
      if (authority == nullptr) return Error{ErrorCode::kConfig, fmt::format("site {}: there is no authority \"{}\"", site.name, label), ""};
      STELE_TRY(const std::string text, config::load_authority_text(*authority));
      auto key = crypto::read_authority_key(text);
      if (!key.ok()) return key.error().in("authority " + label);
      s.authorities.push_back(std::move(*key));
    }
    out.push_back(std::move(s));
  }
  return out;
}

Result<RestoreHosts> load_restore_hosts(const config::ReceiverConfig& config) {
  RestoreHosts out;
  for (const config::AuthorityConfig& host : config.restore_hosts) {
    STELE_TRY(const std::string text, config::load_authority_text(host));
    auto key = crypto::read_restore_host_key(text);
    if (!key.ok()) return key.error().in("restore host " + host.label);
    out.emplace(to_bytes(key->bytes()), host.label);
  }
  return out;
}

Result<std::unique_ptr<StoreParts>> open_store_parts(const config::ReceiverConfig& config, ReceiverMetrics& metrics,
                                                     std::optional<std::vector<std::string>> expected) {
  auto parts = std::make_unique<StoreParts>();
  parts->metrics = &metrics;
  const std::string holder = fmt::format("stele-receiver {} (pid {})", config.name, ::getpid());
  const std::string root = config.store.directory.string();
  STELE_CHECK(io::make_directories_durably(parts->fs, root));
  STELE_TRY(parts->store, store::LocalStore::open(parts->fs, root, holder));
  const std::string catalog = config.catalog_directory.string();
  STELE_TRY(RocksOpened opened, open_rocks(catalog));
  if (!opened.set_aside.empty()) {
    metrics.catalog_rebuilds.inc();
    log::warning("the catalog could not be opened: it was set aside and is made anew from the store",
                 {{"set_aside", opened.set_aside}, {"why", opened.reason}});
  }
  parts->catalog = std::make_unique<Catalog>(std::move(opened.values));
  STELE_TRY(crypto::SigningKey signer, load_signing_key(parts->fs, parts->random, config, true));
  parts->signer = std::make_unique<crypto::SigningKey>(std::move(signer));
  KeeperOptions options;
  options.receiver = config.name;
  options.store_root = root;
  options.journal.directory = config.journal_directory().string();
  options.journal.file_bytes = config.journal.file_bytes;
  options.journal.max_bytes = config.journal.max_bytes;
  options.journal.holder = holder;
  options.seal = {config.seal.after, config.seal.max_run_bytes};
  options.disk_reserve = config.store.disk_reserve;
  options.expected = std::move(expected);
  STELE_TRY(options.sites, load_sites(config));
  auto open = [&] {
    return Keeper::open({parts->fs, *parts->store, *parts->catalog, parts->random, parts->clock, *parts->signer, metrics}, options);
  };
  auto keeper = open();
  if (!keeper.ok() && !opened.fresh) {
    // Some damage shows only when it is read. The catalog is a copy: it has no say in whether the receiver starts.
    if (Status whole = parts->catalog->check(); !whole.ok()) {
      parts->catalog.reset();
      STELE_TRY(const std::string set_aside, set_rocks_aside(catalog));
      metrics.catalog_rebuilds.inc();
      log::warning("the catalog is damaged: it was set aside and is made anew from the store", {{"set_aside", set_aside}, {"why", whole.error().what}});
      STELE_TRY(RocksOpened anew, open_rocks(catalog));
      parts->catalog = std::make_unique<Catalog>(std::move(anew.values));
      keeper = open();
    }
  }
  STELE_TRY(parts->keeper, std::move(keeper));
  return parts;
}

}  // namespace stele::receiver
