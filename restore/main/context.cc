#include "restore/main/context.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "core/config/log.h"
#include "core/format/object_names.h"
#include "core/io/durable_file.h"
#include "core/store/local_store.h"
#include "restore/apply/beneath.h"
#include "restore/fetch/parallel.h"
#include "restore/main/private_place.h"

namespace stele::restore {

namespace {

constexpr auto kAskAgain = std::chrono::minutes(1);

net::TlsConfig to_net(const config::TlsConfig& tls) {
  net::TlsConfig out;
  out.ca_file = tls.ca.string();
  out.certificate_file = tls.certificate.string();
  out.key_file = tls.key.string();
  out.crl_file = tls.crl.string();
  out.crl_stale = tls.crl_stale == config::CrlStale::kRefuse ? net::CrlStale::kRefuse : net::CrlStale::kAllow;
  return out;
}

/// A store directory without a receiver: the numbers that restores took stand one a line in ROOT/reserved-timelines/SITE.DATABASE, under a lock.
/// Gives the first number from `next` on that nobody took. Where the directory cannot be written, two restores may choose one number: said.
Result<std::uint32_t> reserve_beside(const std::string& root, const DatabaseName& database, std::uint32_t next, std::uint32_t farthest) {
  const std::string directory = root + "/reserved-timelines", path = fmt::format("{}/{}.{}", directory, database.site, database.database);
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES) return system_error("make directory", directory, errno);
  const FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    if (errno != EROFS && errno != EACCES && errno != ENOENT) return system_error("open", path, errno);
    log::warning("the next timeline number could not be reserved: another restore from this store may choose the same", {{"directory", root}});
    return next;
  }
  if (::flock(fd.get(), LOCK_EX) != 0) return system_error("lock", path, errno);
  std::ifstream in(path);
  for (std::uint32_t taken = 0; in >> taken;) {
    if (taken >= next && taken < farthest) next = taken + 1;
  }
  const std::string line = fmt::format("{}\n", next);
  if (::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) || ::fsync(fd.get()) != 0) return system_error("write", path, errno);
  return next;
}

/// A store belongs to its receiver's user; what root adds must be readable for that one.
Status give_to_owner_of(const std::string& objects, const std::string& name) {
  struct stat owner {};
  if (::geteuid() != 0) return {};
  if (::stat(objects.c_str(), &owner) != 0) return system_error("look at", objects, errno);
  for (std::size_t end = name.find('/');; end = name.find('/', end + 1)) {
    const std::string path = objects + "/" + name.substr(0, end);
    if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) return system_error("give away", path, errno);
    if (end == std::string::npos) return {};
  }
}

/// What was acknowledged last may be at this receiver alone.
Problem hidden(const std::string& receiver, const Error& error, std::string_view how) {
  const ErrorCode code = is_temporary(error.code) ? ErrorCode::kTemporary : ErrorCode::kGap;
  return {fmt::format("receiver {}", receiver), Error{code, fmt::format("{}: {}", how, error.what), error.hint}, true};
}

}  // namespace

void add_store_options(CLI::App& command, StoreOptions& options) {
  command.add_option("--database", options.database, "SITE/DATABASE; needed when the store holds several")->type_name("SITE/DATABASE");
  command.add_option("--passphrase-fd", options.passphrase_fd, "Read the passphrase from this file descriptor instead of the terminal")->type_name("N");
  command.add_flag("--accept-older", options.accept_older, "Go on although this store ends before what was seen here earlier, or a receiver that may hold more did not give it");
}

Result<std::unique_ptr<Context>> Context::open(const cli::Common& common, const StoreOptions& options, const std::atomic<bool>* cancelled) {
  auto out = std::unique_ptr<Context>(new Context());
  STELE_TRY(out->config_, config::load_restore_config(common.config));
  out->options_ = options;
  out->cancelled_ = cancelled;
  out->passphrases_ = PassphraseSource(options.passphrase_fd);
  STELE_TRY(out->authorities_, load_authorities(out->config_));
  if (!out->config_.store_directory.empty()) {
    const std::string root = out->config_.store_directory.string();
    auto local = store::open_local_reader(out->fs_, root);
    if (!local.ok()) return local.error().in(fmt::format("store directory {}", root));
    out->objects_ = std::move(*local);
    out->journal_directory_ = store::journal_directory(root);
    return out;
  }
  STELE_CHECK(config::check_secret_file_mode(out->config_.tls.key));
  STELE_TRY(out->tls_, net::TlsContext::load(to_net(out->config_.tls)));
  auto all = std::make_unique<UnionReader>();
  out->union_ = all.get();
  out->objects_ = std::move(all);
  STELE_CHECK(out->connect());
  return out;
}

Status Context::connect() {
  std::optional<Error> failed;
  away_.clear();
  connected_ = clock_.steady_now();
  for (const config::ReceiverEndpoint& receiver : config_.receivers) {
    if (std::any_of(receivers_.begin(), receivers_.end(), [&](const auto& r) { return r->receiver() == receiver.name; })) continue;
    client::RemoteReader::Options remote;
    remote.address = receiver.address.to_string();
    remote.receiver = receiver.name;
    remote.tls = tls_;
    remote.patience = std::chrono::duration_cast<std::chrono::milliseconds>(config_.receiver_patience);
    remote.cancelled = cancelled_;
    remote.software = fmt::format("{} {}", kProgram, STELE_VERSION);
    auto reader = client::RemoteReader::open(std::move(remote));
    if (reader.ok()) {
      union_->add(**reader);
      receivers_.push_back(std::move(*reader));
      continue;
    }
    Error away = reader.error();
    // A line that is down is no target that cannot be reached: trying again may help.
    if (away.code == ErrorCode::kUnreachable) away.code = ErrorCode::kTemporary;
    away_.push_back(hidden(receiver.name, away, "does not answer"));
    failed = away.in(fmt::format("receiver {}", receiver.name));
    log::warning("a receiver does not answer", {{"receiver", receiver.name}, {"error", reader.error().to_string()}});
  }
  if (receivers_.empty()) return *failed;
  return {};
}

std::size_t Context::workers() const {
  // Reads over a line mostly wait.
  const std::size_t cores = worker_count(config_.parallelism);
  return receivers_.empty() || config_.parallelism > 0 ? cores : std::max<std::size_t>(cores, 4);
}

Status Context::load_keys(bool ask) { return restore::load_keys(config_, passphrases_, ask || passphrases_.from_descriptor(), keys_); }

Result<std::vector<DatabaseName>> Context::databases() { return find_databases(*objects_, &fs_, journal_directory_); }

Result<DatabaseName> Context::database() {
  if (!options_.database.empty()) return parse_database_name(options_.database);
  STELE_TRY(auto names, databases());
  if (names.empty()) return Error{ErrorCode::kNotFound, "the store holds no database", "check [store] directory or [[receiver]]"};
  if (names.size() == 1) return names.front();
  std::string all;
  for (const DatabaseName& name : names) all += (all.empty() ? "" : ", ") + name.to_string();
  return Error{ErrorCode::kUsage, "the store holds several databases", "--database with one of: " + all};
}

Result<std::unique_ptr<StoreCatalog>> Context::load(const DatabaseName& database) {
  // Who works for days meets receivers that come back.
  if (!away_.empty() && clock_.steady_now() - connected_ > kAskAgain) STELE_CHECK(connect());
  std::vector<Problem> hiding = away_;
  for (const auto& receiver : receivers_) {
    auto sealed = receiver->seal_runs(database);
    if (sealed.ok()) continue;
    if (sealed.error().code == ErrorCode::kCancelled) return sealed.error();
    if (sealed.error().code == ErrorCode::kNotFound) {
      // It knows nothing of this database; unless its store does.
      auto listed = receiver->list(format::database_prefix(database));
      if (listed.ok() && listed->empty()) continue;
    }
    hiding.push_back(hidden(receiver->receiver(), sealed.error(), "did not seal what it acknowledged last"));
    log::warning("a receiver did not seal its journal", {{"receiver", receiver->receiver()}, {"error", sealed.error().to_string()}});
  }
  if (union_ != nullptr) union_->take_skipped();
  StoreCatalog::Options options;
  options.authorities = authorities_;
  options.workers = workers();
  options.fs = &fs_;
  options.journal_directory = journal_directory_;
  STELE_TRY(auto catalog, StoreCatalog::load(*objects_, database, std::move(options)));
  if (union_ != nullptr) {
    for (const auto& [number, error] : union_->take_skipped()) hiding.push_back(hidden(receivers_[number]->receiver(), error, "did not say what it holds"));
  }
  catalog->add_problems(hiding);
  return catalog;
}

Status Context::check_all_answer() const {
  if (away_.empty()) return {};
  return Error{away_.front().error.code, fmt::format("{} {}", away_.front().object, away_.front().error.what), "every receiver must get it: try again when it is back"};
}

Status Context::append(const std::vector<std::pair<std::string, Bytes>>& records) {
  STELE_CHECK(check_all_answer());
  for (const auto& receiver : receivers_) {
    for (const auto& [name, bytes] : records) {
      auto put = receiver->put_record(bytes);
      if (!put.ok() && put.error().code != ErrorCode::kNotFound) return put.error().in(fmt::format("{} at receiver {}", name, receiver->receiver()));
    }
  }
  if (!receivers_.empty()) return {};
  const std::string root = config_.store_directory.string();
  auto store = store::LocalStore::open(fs_, root, fmt::format("{} {}", kProgram, STELE_VERSION));
  if (!store.ok()) return store.error().in(fmt::format("write to the store directory {}", root)).with_hint("a receiver uses it: configure [[receiver]] instead of [store], or stop it");
  for (const auto& [name, bytes] : records) {
    if (Status put = (*store)->put(name, bytes); !put.ok()) {
      if (put.error().code == ErrorCode::kExists) continue;
      return put;
    }
    STELE_CHECK(give_to_owner_of(root + "/objects", name));
  }
  return {};
}

Result<std::vector<std::uint32_t>> Context::reserve_timeline(const StoreCatalog& catalog, const recovery::Plan& plan) {
  std::uint32_t highest = plan.timeline;
  const recovery::BranchFact* head = catalog.facts().branch(plan.path.head());
  for (const recovery::BranchFact& b : catalog.facts().branches) {
    if (head != nullptr && b.lineage == head->lineage) highest = std::max(highest, b.timeline);
  }
  // Whoever reserved, a number only costs a number; but an absurd one would use them up.
  constexpr std::uint32_t kFarthest = 10'000;
  std::uint32_t next = highest + 1;
  for (const recovery::LedgerFact& fact : catalog.facts().ledger) {
    if (fact.kind == recovery::kLedgerBranchReserved && fact.value > highest && fact.value < highest + kFarthest) {
      next = std::max(next, static_cast<std::uint32_t>(fact.value) + 1);
    }
  }
  for (const auto& receiver : receivers_) {
    STELE_TRY(const std::uint32_t number, receiver->reserve_timeline(catalog.database(), next - 1));
    if (number > highest && number < highest + kFarthest) next = std::max(next, number);
  }
  if (receivers_.empty()) {
    STELE_TRY(next, reserve_beside(config_.store_directory.string(), catalog.database(), next, highest + kFarthest));
  }
  std::vector<std::uint32_t> taken;
  for (std::uint32_t n = plan.timeline + 1; n < next; ++n) taken.push_back(n);
  return taken;
}

Result<std::vector<std::string>> Context::append_record(ByteView record) {
  std::vector<std::string> kept;
  Error failed{ErrorCode::kUsage, "a store directory is only read: drill records go to receivers", ""};
  for (const auto& receiver : receivers_) {
    auto id = receiver->put_record(record);
    if (id.ok()) {
      kept.push_back(receiver->receiver());
      continue;
    }
    failed = id.error().in(fmt::format("receiver {}", receiver->receiver()));
    log::warning("a receiver did not take the drill record", {{"receiver", receiver->receiver()}, {"error", id.error().to_string()}});
  }
  if (kept.empty()) return failed;
  return kept;
}

Status Context::check_known_heads(const StoreCatalog& catalog) {
  if (config_.work_directory.empty()) return {};
  const std::string path = fmt::format("{}/heads-{}-{}", config_.work_directory.string(), catalog.database().site, catalog.database().database);
  std::map<StreamId, Position> known, before;
  if (std::ifstream in(path); in) {
    std::string stream, position;
    while (in >> stream >> position) {
      auto id = StreamId::parse_hex(stream);
      auto end = parse_position(position);
      if (id.ok() && end.ok()) known[*id] = *end;
    }
  }
  const recovery::LogMap log(catalog.facts());
  std::string missing;
  for (const auto& [stream, end] : known) {
    const Position here = log.end_of(stream);
    if (here < end) missing += fmt::format("{}stream {} from {} to {}", missing.empty() ? "" : ", ", stream.short_hex(), here.to_string(), end.to_string());
  }
  if (!missing.empty() && !options_.accept_older) {
    return Error{ErrorCode::kGap, fmt::format("this store lost log that was seen here before: {}", missing), "ask another receiver, or --accept-older"};
  }
  before = known;
  std::string text;
  for (const recovery::BranchFact& b : catalog.facts().branches) {
    known[b.stream] = std::max(known[b.stream], log.end_of(b.stream));
  }
  if (known == before) return {};
  for (const auto& [stream, end] : known) text += fmt::format("{} {}\n", stream.hex(), end.to_string());
  std::error_code ec;
  Status written = std::filesystem::exists(config_.work_directory, ec) ? Status() : make_passable_directory(fs_, config_.work_directory.string());
  if (written.ok()) written = io::write_file_durably(fs_, path, as_bytes(text), io::WriteMode::kReplace);
  if (!written.ok()) log::warning("the newest heads could not be remembered", {{"error", written.error().to_string()}});
  return {};
}

}  // namespace stele::restore
