#include "core/config/receiver_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
#include <set>

namespace stele::config {
namespace {

constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
constexpr std::uint64_t kAnySize = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMany = 1'000'000'000;

constexpr std::size_t kPublicKeyBytes = 32;  // Ed25519, suite 1

bool is_key_in_hex(std::string_view text) {
  return text.size() == 2 * kPublicKeyBytes &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

SiteLimits read_limits(TableReader table) {
  SiteLimits out;
  out.bytes_per_second = table.rate("bytes_per_second", "unlimited", "How fast the site may send.");
  out.stored_bytes = table.bytes("stored_bytes", "1TiB", kMiB, kAnySize, "Most that the site may keep here.");
  out.objects_per_day =
      static_cast<std::uint64_t>(table.integer("objects_per_day", 1'000'000, 1, kMany, "New objects in 24 hours."));
  out.epochs_per_day =
      static_cast<std::uint64_t>(table.integer("epochs_per_day", 100, 1, kMany, "New data keys in 24 hours."));
  out.records_per_day = static_cast<std::uint64_t>(
      table.integer("records_per_day", 10'000, 1, kMany, "New facts and branches in 24 hours, and as many records of operators."));
  out.open_objects =
      static_cast<int>(table.integer("open_objects", 64, 1, 100'000, "Objects being written at one time."));
  out.connections = static_cast<int>(table.integer("connections", 8, 1, 10'000, "Connections at one time."));
  out.chunk_queries_per_second = static_cast<std::uint64_t>(
      table.integer("chunk_queries_per_second", 100'000, 1, kMany,
                    "Chunk names asked for in a second: an agent may not try out guesses at will."));
  return out;
}

std::vector<SiteConfig> read_sites(TableReader& root, const std::vector<AuthorityConfig>& authorities) {
  std::vector<SiteConfig> out;
  std::set<std::string> seen;
  for (TableReader& table : root.tables("site", 0, "A site that may write here; others are refused.")) {
    SiteConfig site;
    site.name = table.string("name", kRequired, "The site, as in its certificates (URI SAN stele:agent:SITE).");
    site.title = table.string("title", "", "What people call the site, for page and report.");
    site.databases = table.strings("databases", true, "The databases it may write.");
    site.authorities = table.strings("authorities", true, "Labels of the authorities whose enrolments count for it.");
    site.limits = read_limits(table.table("limits", "What one site can take, so that it cannot hurt the others."));
    if (!table.describing()) {
      for (const std::string& database : site.databases) {
        if (auto good = check_database_name({site.name, database}); !site.name.empty() && !good.ok())
          table.fail("databases", good.error().what);
      }
      if (!site.name.empty() && !seen.insert(site.name).second)
        table.fail("name", fmt::format("the site \"{}\" is listed twice", site.name));
      for (const std::string& label : site.authorities) {
        if (std::none_of(authorities.begin(), authorities.end(),
                         [&](const AuthorityConfig& a) { return a.label == label; })) {
          table.fail("authorities", fmt::format("there is no [[authority]] with the label \"{}\"", label));
        }
      }
    }
    out.push_back(std::move(site));
  }
  return out;
}

std::vector<AuthorityConfig> read_keys(TableReader& root, const std::string& table_name, std::size_t at_least, const std::string& help) {
  std::vector<AuthorityConfig> out;
  std::set<std::string> labels;
  for (TableReader& table : root.tables(table_name, at_least, help)) {
    AuthorityConfig key;
    key.label = table.string("label", kRequired, "A name for it in this file and in messages.");
    const std::string text = table.string(
        "public_key", kRequired, "Its public key: 64 hexadecimal digits, or the path of a file that holds them.");
    if (is_key_in_hex(text)) {
      key.public_key = from_hex(text).value();
    } else if (!text.empty()) {
      key.path = table.path_of(text);
    }
    if (!table.describing() && !key.label.empty()) {
      if (auto good = check_label(key.label); !good.ok()) table.fail("label", good.error().what);
      if (!labels.insert(key.label).second)
        table.fail("label", fmt::format("the {} \"{}\" is listed twice", table_name, key.label));
    }
    out.push_back(std::move(key));
  }
  return out;
}

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

ReceiverConfig::Page read_page(TableReader table) {
  ReceiverConfig::Page out;
  out.listen = table.endpoint("listen", "", "Address of the page, \"host:port\"; \"\" for none.");
  out.tls = table.boolean("tls", false, "HTTPS with the receiver's certificate, for browsers that hold an operator's certificate.");
  if (!table.describing() && out.listen.port != 0 && !out.tls && !is_loopback(out.listen.host))
    table.fail("listen", "expected a loopback address (127.0.0.1, ::1), or tls = true");
  return out;
}

ReceiverConfig read_receiver(TableReader root) {
  ReceiverConfig out;
  out.name =
      root.string("name", kRequired, "The receiver's name, as in its certificate (URI SAN stele:receiver:NAME).");
  out.listen = root.endpoint("listen", "0.0.0.0:9550", "Where agents and restore hosts connect, \"host:port\".");
  if (!root.describing()) {
    if (auto good = check_label(out.name); !out.name.empty() && !good.ok()) root.fail("name", good.error().what);
    if (root.has("listen") && out.listen.port == 0) root.fail("listen", "expected an address \"host:port\"");
  }
  out.tls = read_tls(root.table("tls", "TLS 1.3, both sides authenticated."));
  TableReader keys = root.table("keys", "Key files: paths only, never secrets.");
  out.signing_key =
      keys.path("signing_key", kRequired,
                "The receiver's signing key; mode 0600. It signs heads and recorded facts, opens nothing.");
  TableReader store = root.table("store",
                                 "Where the objects are. The journal is always in its sub-directory journal: the store "
                                 "alone is enough to restore.");
  out.store.directory = store.path("directory", "/var/lib/stele/store", "The store directory, on a disk of its own.");
  out.store.disk_reserve =
      store.bytes("disk_reserve", "1GiB", 0, kAnySize, "Free space of that disk that no site can take.");
  TableReader journal = root.table("journal", "Where frames land and are made durable.");
  out.journal.max_bytes = journal.bytes("max_bytes", "4GiB", 64 * kMiB, kAnySize,
                                        "Most disk space of the journal; half full, open runs are sealed early.");
  out.journal.file_bytes = journal.bytes("file_bytes", "64MiB", kMiB, 4 * kGiB,
                                         "Size of one journal file; files are preallocated and recycled.");
  if (!journal.describing() && out.journal.max_bytes < 4 * out.journal.file_bytes)
    journal.fail("max_bytes", "expected at least four journal files (file_bytes)");
  TableReader seal = root.table("seal", "When frames of the journal become a file of the store.");
  out.seal.after = seal.duration("after", "60s", std::chrono::seconds(1), std::chrono::hours(24),
                                 "At the latest this long after a run's first frame.");
  out.seal.max_run_bytes = seal.bytes("max_run_bytes", "16MiB", 64 * kKiB, 64 * kMiB, "Or when a run is this large.");
  TableReader catalog = root.table("catalog", "The index (RocksDB); a copy that `reindex` rebuilds from the store.");
  out.catalog_directory =
      catalog.path("directory", "", "Where it is; \"\": the directory \"catalog\" beside the store directory.");
  if (out.catalog_directory.empty()) out.catalog_directory = out.store.directory.parent_path() / "catalog";
  out.authorities = read_authorities(root, 1);
  out.restore_hosts = read_keys(root, "restore_host", 0, "A restore host whose drills count. None listed: every host that an operator's certificate lets append them.");
  out.sites = read_sites(root, out.authorities);
  out.metrics = read_metrics(root.table("metrics", "The page for Prometheus."), "127.0.0.1:9552");
  out.page = read_page(root.table("page", "The page for people: every site at a glance, read-only."));
  out.log = read_log(root.table("log", "The program's log."), "stele-receiver");
  return out;
}

}  // namespace

std::vector<AuthorityConfig> read_authorities(TableReader& root, std::size_t at_least) {
  return read_keys(root, "authority", at_least, "An authority whose signatures count; its secret half is kept offline.");
}

Result<std::string> load_authority_text(const AuthorityConfig& authority) {
  if (authority.path.empty()) return to_hex(authority.public_key);
  errno = 0;
  std::ifstream in(authority.path);
  if (!in) return system_error("read public key", authority.path.string(), errno != 0 ? errno : EIO);
  // Bounded: the path may name anything.
  std::string text(4096, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
  return text;
}

const SiteConfig* ReceiverConfig::find_site(std::string_view site) const {
  for (const SiteConfig& s : sites) {
    if (s.name == site) return &s;
  }
  return nullptr;
}

bool ReceiverConfig::serves(const DatabaseName& database) const {
  const SiteConfig* site = find_site(database.site);
  return site != nullptr &&
         std::find(site->databases.begin(), site->databases.end(), database.database) != site->databases.end();
}

const AuthorityConfig* ReceiverConfig::find_authority(std::string_view label) const {
  for (const AuthorityConfig& a : authorities) {
    if (a.label == label) return &a;
  }
  return nullptr;
}

std::vector<std::filesystem::path> ReceiverConfig::secret_files() const {
  return {signing_key, tls.key};
}

Result<ReceiverConfig> load_receiver_config(const std::filesystem::path& file) {
  STELE_TRY(ConfigReader reader, ConfigReader::open(file));
  ReceiverConfig out = read_receiver(reader.root());
  STELE_CHECK(reader.finish());
  return out;
}

Result<ReceiverConfig> parse_receiver_config(std::string_view text, const std::filesystem::path& file) {
  STELE_TRY(ConfigReader reader, ConfigReader::parse(text, file));
  ReceiverConfig out = read_receiver(reader.root());
  STELE_CHECK(reader.finish());
  return out;
}

std::vector<KeyDescription> describe_receiver_config() {
  ConfigReader reader = ConfigReader::describe();
  read_receiver(reader.root());
  return reader.descriptions();
}

}  // namespace stele::config
