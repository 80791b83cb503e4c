#include <fmt/format.h>
#include <unistd.h>

#include "core/config/log.h"
#include "core/net/tls.h"
#include "receiver/main/run.h"
#include "receiver/main/store_parts.h"

namespace stele::receiver {

namespace {

using Verdict = CheckLine::Verdict;
constexpr Duration kSoon = std::chrono::hours(24 * 30);

CheckLine failed(std::string name, const Error& error) { return {Verdict::kFailed, std::move(name), error.what, error.hint}; }

void check_tls(const config::ReceiverConfig& config, std::vector<CheckLine>& out) {
  auto tls = net::TlsContext::load(tls_of(config.tls));
  if (!tls.ok()) {
    out.push_back(failed("certificate", tls.error()));
    return;
  }
  const Timestamp now = SystemClock().now();
  const net::TlsFacts facts = (*tls)->facts(now);
  if (facts.own.role != net::Role::kReceiver || facts.own.name != config.name) {
    out.push_back({Verdict::kFailed, "certificate", fmt::format("it is for {}, expected stele:receiver:{}", facts.own.to_string(), config.name),
                   "name in receiver.toml and the certificate's URI must agree"});
  } else {
    const bool soon = facts.certificate_not_after - now < kSoon;
    out.push_back({soon ? Verdict::kWarning : Verdict::kOk, "certificate", fmt::format("{}, until {}", facts.own.to_string(), to_iso8601(facts.certificate_not_after)),
                   soon ? "renew it: it is replaced without a restart" : ""});
  }
  if (!facts.has_crl) {
    out.push_back({Verdict::kWarning, "revocation list", "none is configured", "set [tls] crl, or a stolen certificate cannot be refused"});
  } else {
    out.push_back({facts.crl_outdated ? Verdict::kWarning : Verdict::kOk, "revocation list", facts.crl_outdated ? "outdated" : "next due " + to_iso8601(facts.crl_next_update),
                   facts.crl_outdated ? "publish a new one" : ""});
  }
}

void check_store(const config::ReceiverConfig& config, std::vector<CheckLine>& out) {
  io::PosixFileSystem fs;
  const std::string root = config.store.directory.string();
  auto info = fs.info(root);
  if (!info.ok()) {
    const bool missing = info.error().code == ErrorCode::kNotFound;
    const bool writable = ::access(config.store.directory.parent_path().c_str(), W_OK | X_OK) == 0;
    if (missing && writable) out.push_back({Verdict::kOk, "store", root + ": will be made at the first run", ""});
    else out.push_back(failed("store", missing ? Error{ErrorCode::kIo, root + ": is not there and cannot be made", "make it for the receiver's user"} : info.error()));
    return;
  }
  if (::access(root.c_str(), W_OK | X_OK) != 0) {
    out.push_back({Verdict::kFailed, "store", root + ": cannot be written by this user", "give it to the receiver's user"});
    return;
  }
  auto free = fs.free_bytes(root);
  if (!free.ok()) {
    out.push_back(failed("store", free.error()));
  } else {
    const std::uint64_t wanted = config.store.disk_reserve + config.journal.max_bytes;
    const bool tight = *free < wanted;
    out.push_back({tight ? Verdict::kWarning : Verdict::kOk, "store", fmt::format("{}: writable, {} bytes free", root, *free),
                   tight ? fmt::format("less than store.disk_reserve and journal.max_bytes together ({})", wanted) : ""});
  }
  const std::string journal = config.journal_directory().string();
  if (auto there = fs.exists(journal); there.ok() && *there) {
    io::JournalVisitor visitor;
    std::uint64_t damages = 0;
    visitor.on_record = [](io::RecordId, ByteView) -> Status { return {}; };
    visitor.on_damage = [&](const io::JournalDamage&) -> Status {
      ++damages;
      return {};
    };
    auto summary = io::read_journal(fs, journal, visitor);
    if (!summary.ok()) out.push_back(failed("journal", summary.error()));
    else out.push_back({damages != 0 ? Verdict::kFailed : Verdict::kOk, "journal", fmt::format("{} records, {} damaged ranges", summary->records, damages),
                        damages != 0 ? "the next run records it in the ledger; repair from another receiver or take a new snapshot" : ""});
  }
}

}  // namespace

std::vector<CheckLine> check_receiver(const config::ReceiverConfig& config) {
  std::vector<CheckLine> out;
  out.push_back({Verdict::kOk, "configuration", fmt::format("receiver {}, {} sites", config.name, config.sites.size()), ""});
  if (config.sites.empty()) out.push_back({Verdict::kWarning, "sites", "none is listed: nobody may write", "add a [[site]]"});
  check_tls(config, out);
  if (auto sites = load_sites(config); !sites.ok()) out.push_back(failed("authorities", sites.error()));
  else out.push_back({Verdict::kOk, "authorities", fmt::format("{} keys read", config.authorities.size()), ""});
  if (auto hosts = load_restore_hosts(config); !hosts.ok()) out.push_back(failed("restore hosts", hosts.error()));
  else out.push_back({Verdict::kOk, "restore hosts", hosts->empty() ? "none is listed: drills of every operator's host count" : fmt::format("{} keys read", hosts->size()), ""});
  io::PosixFileSystem fs;
  crypto::SodiumRandom random;
  auto key = load_signing_key(fs, random, config, false);
  if (key.ok()) out.push_back({Verdict::kOk, "signing key", config.signing_key.string(), ""});
  else if (key.error().code == ErrorCode::kKeyMissing) out.push_back({Verdict::kOk, "signing key", "will be made at the first run", ""});
  else out.push_back(failed("signing key", key.error()));
  check_store(config, out);
  return out;
}

namespace {

Result<std::vector<std::string>> object_names(Catalog& catalog) {
  std::vector<std::string> out;
  for (bool more = true; more;) {
    STELE_TRY(auto page, catalog.objects("", out.empty() ? "" : out.back(), 4096, more));
    for (ObjectEntry& entry : page) out.push_back(std::move(entry.name));
  }
  return out;
}

/// What the catalog knew that is set aside now; empty where it cannot be read.
Result<std::vector<std::string>> set_catalog_aside(const std::string& directory) {
  std::vector<std::string> known;
  {
    STELE_TRY(RocksOpened old, open_rocks(directory));
    Catalog catalog(std::move(old.values));
    auto names = object_names(catalog);
    if (names.ok()) known = std::move(*names);
    if (!old.set_aside.empty() || !names.ok()) {
      log::warning("the catalog cannot be read: nobody knows what should be in the store", {{"why", names.ok() ? old.reason : names.error().what}});
    }
  }
  STELE_TRY([[maybe_unused]] std::string set_aside, set_rocks_aside(directory));
  return known;
}

}  // namespace

Result<std::uint64_t> reindex(const config::ReceiverConfig& config) {
  io::PosixFileSystem fs;
  std::vector<std::string> expected;
  // The store's lock: while the receiver runs its catalog is in use.
  {
    STELE_TRY(auto store, store::LocalStore::open(fs, config.store.directory.string(), "stele-receiver reindex"));
    STELE_TRY(expected, set_catalog_aside(config.catalog_directory.string()));
  }
  ReceiverMetrics metrics;
  STELE_TRY(auto parts, open_store_parts(config, metrics, std::move(expected)));
  STELE_TRY(const auto names, object_names(*parts->catalog));
  const std::uint64_t objects = names.size();
  if (parts->keeper->damages() != 0) {
    return Error{ErrorCode::kDamaged, fmt::format("reindex: {} objects, {} damaged or missing ones (see the log and `status`)", objects, parts->keeper->damages()), ""};
  }
  return objects;
}

}  // namespace stele::receiver
