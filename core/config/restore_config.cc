#include "core/config/restore_config.h"

namespace stele::config {
namespace {

RestoreConfig read_restore(TableReader root) {
  RestoreConfig out;
  out.work_directory = root.path("work_directory", "/var/lib/stele/restore",
                                 "The restore host's own state: newest heads seen, log waiting for replay.");
  out.parallelism = static_cast<int>(
      root.integer("parallelism", 0, 0, 256, "Threads that fetch, verify, decrypt and write; 0: one for each core."));
  out.receiver_patience =
      root.duration("receiver_patience", "1m", std::chrono::seconds(1), std::chrono::hours(24),
                    "How long a receiver that goes away in the middle is waited for; then the command ends with 75.");
  TableReader store =
      root.table("store", "Read a store directory, also one of a dead receiver. Either this or [[receiver]].");
  out.store_directory = store.path("directory", "", "The store directory; \"\": read from receivers.");
  out.receivers = read_receivers(root, 0);
  // Certificates are needed only on the line.
  if (!out.receivers.empty() || root.has("tls"))
    out.tls = read_tls(
        root.table("tls", "An operator's certificate (URI SAN stele:operator:SITE); needed with [[receiver]]."));
  if (!root.describing()) {
    if (out.store_directory.empty() && out.receivers.empty()) {
      root.fail("store", "expected a [store] directory or at least one [[receiver]], found neither");
    } else if (!out.store_directory.empty() && !out.receivers.empty()) {
      root.fail("store", "expected either a [store] directory or [[receiver]], found both",
                "use two configuration files");
    }
  }
  TableReader keys = root.table("keys", "Key files: paths only, never secrets.");
  out.recovery_keys =
      keys.paths("recovery_keys", false,
                 "Recovery (or drill) key files of `stele-restore keygen`, mode 0600; the passphrase is asked for.");
  out.authorities = read_authorities(root, 0);
  TableReader postgres = root.table("postgres", "The PostgreSQL programs that run the restored server.");
  out.postgres.bin_directory =
      postgres.path("bin_directory", "/usr/lib/postgresql/15/bin", "Where postgres and pg_ctl are.");
  out.postgres.user = postgres.string(
      "user", "postgres", "Operating system user that owns the restored files and runs the server; \"\": the caller.");
  out.drill = read_drill(root.table("drill", "Restores that are tried, checked and thrown away (`stele-restore drill`)."));
  out.log = read_log(root.table("log", "The program's log."), "stele-restore");
  return out;
}

}  // namespace

std::vector<std::filesystem::path> RestoreConfig::secret_files() const {
  std::vector<std::filesystem::path> out = recovery_keys;
  if (!tls.key.empty()) out.push_back(tls.key);
  return out;
}

Result<RestoreConfig> load_restore_config(const std::filesystem::path& file) {
  STELE_TRY(ConfigReader reader, ConfigReader::open(file));
  RestoreConfig out = read_restore(reader.root());
  STELE_CHECK(reader.finish());
  return out;
}

Result<RestoreConfig> parse_restore_config(std::string_view text, const std::filesystem::path& file) {
  STELE_TRY(ConfigReader reader, ConfigReader::parse(text, file));
  RestoreConfig out = read_restore(reader.root());
  STELE_CHECK(reader.finish());
  return out;
}

std::vector<KeyDescription> describe_restore_config() {
  ConfigReader reader = ConfigReader::describe();
  read_restore(reader.root());
  return reader.descriptions();
}

}  // namespace stele::config
