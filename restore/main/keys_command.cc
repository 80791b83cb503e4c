#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "core/config/values.h"
#include "core/crypto/random.h"
#include "core/format/object_names.h"
#include "core/format/resealed.h"
#include "core/io/durable_file.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/key_output.h"
#include "restore/main/output.h"
#include "restore/main/recipients.h"

namespace stele::restore {

namespace {

using nlohmann::json;

struct Options {
  StoreOptions store;
  std::string authority_key, directory;
  std::vector<std::string> recipients;
};

using EpochEntry = std::pair<const EpochId, format::EpochRecord>;

/// The epoch of the current writer: highest generation, then the latest made.
bool is_newer(const EpochEntry& a, const EpochEntry& b) { return std::tuple(a.second.generation, a.second.created) > std::tuple(b.second.generation, b.second.created); }
const EpochEntry* newest_epoch(const StoreCatalog& catalog) {
  const EpochEntry* newest = nullptr;
  for (const EpochEntry& epoch : catalog.trust().epochs()) {
    if (newest == nullptr || is_newer(epoch, *newest)) newest = &epoch;
  }
  return newest;
}

std::string kind_word(format::RecipientKind kind) { return kind == format::RecipientKind::kDrill ? "drill" : "recovery"; }

struct Opened {
  std::unique_ptr<Context> context;
  std::unique_ptr<StoreCatalog> catalog;
  const EpochEntry* newest = nullptr;
};

Result<Opened> open(const cli::Common& common, const Options& options, bool with_keys) {
  Opened out;
  STELE_TRY(out.context, Context::open(common, options.store));
  STELE_TRY(const DatabaseName database, out.context->database());
  if (with_keys) STELE_CHECK(out.context->load_keys(true));
  STELE_TRY(out.catalog, out.context->load(database));
  out.newest = newest_epoch(*out.catalog);
  if (out.newest == nullptr) return Error{ErrorCode::kNotFound, fmt::format("no epoch of {} is here", database.to_string()), ""};
  return out;
}

/// `keys`: to whom the newest epoch is sealed. Needs no key.
Result<int> show(const cli::Common& common, const Options& options) {
  STELE_TRY(const Opened opened, open(common, options, false));
  const auto& [id, epoch] = *opened.newest;
  json recipients = json::array();
  std::string text = fmt::format("{}: epoch {} of {}, generation {}, is sealed to\n", epoch.database.to_string(), id.short_hex(), to_iso8601(epoch.created), epoch.generation.value);
  for (const auto& sealed : epoch.keys) {
    recipients.push_back({{"kind", kind_word(sealed.recipient.kind)}, {"label", sealed.recipient.label}, {"public_key", to_hex(sealed.recipient.public_key)}});
    text += fmt::format("  {:8} {} \"{}\"\n", kind_word(sealed.recipient.kind), to_hex(sealed.recipient.public_key).substr(0, 16), sealed.recipient.label);
  }
  const std::vector<Problem>& problems = opened.catalog->problems();
  if (common.json) {
    print(json{{"database", epoch.database.to_string()}, {"epoch", id.hex()}, {"generation", epoch.generation.value}, {"created", to_iso8601(epoch.created)},
               {"epochs", opened.catalog->trust().epochs().size()}, {"recipients", recipients}, {"problems", to_json(problems)}}.dump() + "\n");
  } else {
    print(text + describe(problems));
  }
  return exit_code_of(problems);
}

/// `keys check`: each key at hand is tried on every epoch.
Result<int> check(const cli::Common& common, const Options& options) {
  STELE_TRY(const Opened opened, open(common, options, true));
  const auto& epochs = opened.catalog->trust().epochs();
  const Timestamp now = opened.context->clock().now();
  auto age = [&](const EpochEntry& epoch) { return std::max(now - epoch.second.created, Duration(0)); };
  json keys = json::array();
  std::string text = fmt::format("{}: {} epochs, the newest {} of {}\n", opened.catalog->database().to_string(), epochs.size(), opened.newest->first.short_hex(), to_iso8601(opened.newest->second.created));
  const EpochEntry* newest_opened = nullptr;
  std::set<EpochId> by_any;
  for (const crypto::RecoveryKey& key : opened.context->keys().keys()) {
    const EpochEntry* newest = nullptr;
    std::size_t count = 0;
    for (const EpochEntry& epoch : epochs) {
      // Opened for real: unsealed, and compared with the epoch's commitment.
      if (!format::open_epoch(epoch.second, key.pair).ok()) continue;
      ++count;
      by_any.insert(epoch.first);
      if (newest == nullptr || is_newer(epoch, *newest)) newest = &epoch;
    }
    if (newest != nullptr && (newest_opened == nullptr || is_newer(*newest, *newest_opened))) newest_opened = newest;
    json one = {{"label", key.label}, {"kind", crypto::key_kind_name(key.kind)}, {"public_key", to_hex(key.pair.public_key().bytes())}, {"opens", count}};
    if (newest != nullptr) one["newest_opened"] = {{"epoch", newest->first.hex()}, {"created", to_iso8601(newest->second.created)}, {"age_seconds", age(*newest).count() / 1'000'000}};
    keys.push_back(std::move(one));
    text += fmt::format("  {} key \"{}\" opens {} of {}{}\n", crypto::key_kind_name(key.kind), key.label, count, epochs.size(),
                        newest == nullptr ? "" : fmt::format(", the newest of them {} old", config::format_duration(age(*newest))));
  }
  json closed = json::array();
  for (const EpochEntry& epoch : epochs) {
    if (by_any.contains(epoch.first)) continue;
    closed.push_back(epoch.first.hex());
    text += fmt::format("  epoch {} of {} is opened by none of them\n", epoch.first.short_hex(), to_iso8601(epoch.second.created));
  }
  const bool opens_newest = newest_opened == opened.newest;
  const std::vector<Problem>& problems = opened.catalog->problems();
  if (common.json) {
    json out = {{"database", opened.catalog->database().to_string()}, {"epochs", epochs.size()}, {"newest_epoch", opened.newest->first.hex()}, {"opens_newest", opens_newest}, {"keys", keys},
                {"not_opened", closed}, {"problems", to_json(problems)}};
    out["newest_opened_age_seconds"] = newest_opened == nullptr ? json(nullptr) : json(age(*newest_opened).count() / 1'000'000);
    print(out.dump() + "\n");
  } else {
    print(text + (opens_newest ? "the newest epoch opens: what is written now can be restored with these keys\n" : "NONE OF THESE KEYS OPENS THE NEWEST EPOCH: what is written now cannot be restored with them\n") +
          describe(problems));
  }
  if (!opens_newest) return exit_code(ErrorCode::kKeyWrong);
  return exit_code_of(problems);
}

struct StoredList {
  Digest id;
  format::RecipientList list;
  Bytes bytes;
};
/// The authority's newest recipient list in the store; nothing when there is none.
Result<std::optional<StoredList>> newest_list(Context& context, const DatabaseName& database) {
  std::optional<StoredList> out;
  STELE_TRY(const auto names, context.objects().list(format::database_prefix(database) + "recipients/"));
  for (const store::ObjectInfo& info : names) {
    STELE_TRY(Bytes bytes, context.objects().read_all(info.name, format::kMaxRecordBytes));
    auto record = format::parse_record(bytes, format::RecordKind::kRecipientList);
    // What is not the authority's was reported when the store was loaded.
    if (!record.ok() || !format::verify_by_any(*record, context.authorities()).ok()) continue;
    STELE_TRY(format::RecipientList list, format::RecipientList::read(*record));
    if (list.database == database && (!out || list.serial > out->list.serial)) out = StoredList{record->id(), std::move(list), std::move(bytes)};
  }
  return out;
}

/// Resealed keys of the authority that are in the store, for nobody but those on the list: receivers take no others.
Result<std::vector<std::pair<std::string, Bytes>>> resealed_for(Context& context, const DatabaseName& database, const format::RecipientList& list) {
  std::vector<std::pair<std::string, Bytes>> out;
  STELE_TRY(const auto names, context.objects().list(format::database_prefix(database) + "resealed/"));
  for (const store::ObjectInfo& info : names) {
    STELE_TRY(Bytes bytes, context.objects().read_all(info.name, format::kMaxRecordBytes));
    auto record = format::parse_record(bytes, format::RecordKind::kResealedKeys);
    if (!record.ok() || !format::verify_by_any(*record, context.authorities()).ok()) continue;
    STELE_TRY(const format::ResealedKeys keys, format::ResealedKeys::read(*record));
    const bool listed = std::all_of(keys.keys.begin(), keys.keys.end(), [&](const auto& sealed) { return std::find(list.recipients.begin(), list.recipients.end(), sealed.recipient) != list.recipients.end(); });
    if (keys.database == database && listed) out.emplace_back(info.name, std::move(bytes));
  }
  return out;
}

/// A file that is there already must be the one that will be written.
Status check_list_file(const std::string& file, ByteView list) {
  auto there = read_small_file(file, format::kMaxRecordBytes);
  if (!there.ok()) return there.error().code == ErrorCode::kNotFound ? Status() : Status(there.error());
  if (equal(*there, list)) return {};
  return Error{ErrorCode::kExists, fmt::format("{} is another recipient list", file), "remove it or give another --directory; nothing was stored"};
}

/// `keys reseal`: a new recipient list, and every epoch's keys sealed to those who have none of them yet.
Result<int> reseal(const cli::Common& common, const Options& options) {
  std::vector<format::Recipient> recipients;
  if (!options.recipients.empty()) {
    STELE_TRY(recipients, read_recipients(options.recipients));
  }
  STELE_TRY(const Opened opened, open(common, options, true));
  STELE_CHECK(opened.context->check_all_answer());
  STELE_TRY(const crypto::AuthorityKey authority, open_authority_key(options.authority_key, opened.context->passphrases()));
  const auto& authorities = opened.context->authorities();
  if (std::find(authorities.begin(), authorities.end(), authority.key.verify_key()) == authorities.end()) {
    return Error{ErrorCode::kUnauthorised, fmt::format("{}: not an authority that this host believes", options.authority_key), "check [[authority]]"};
  }
  const DatabaseName database = opened.catalog->database();
  const Timestamp now = opened.context->clock().now();
  std::vector<std::pair<std::string, Bytes>> records;
  STELE_TRY(const auto newest, newest_list(*opened.context, database));
  Digest list_id;
  format::RecipientList list;
  Bytes list_bytes;
  if (newest && (recipients.empty() || newest->list.recipients == recipients)) {
    // Again after an interruption, or for epochs that came later: the list stands.
    list = newest->list;
    list_id = newest->id;
    list_bytes = newest->bytes;
  } else if (recipients.empty()) {
    return Error{ErrorCode::kUsage, "the store has no recipient list", "give every key that shall open it with --recipient"};
  } else {
    const std::uint64_t after = newest ? newest->list.serial + 1 : 0;
    list = {database, std::max(static_cast<std::uint64_t>(now.micros), after), now, recipients};
    STELE_TRY(const format::SignedRecord record, list.sign(authority.key));
    list_id = record.id();
    list_bytes = record.bytes;
  }
  std::string file;
  if (!options.directory.empty()) {
    file = options.directory + "/recipients.rec";
    STELE_CHECK(check_list_file(file, list_bytes));
  }
  // What one receiver has another may lack, after an interruption or because it was away.
  records.emplace_back(format::recipients_name(database, list_id), list_bytes);
  STELE_TRY(auto earlier, resealed_for(*opened.context, database, list));
  std::move(earlier.begin(), earlier.end(), std::back_inserter(records));
  crypto::SodiumRandom random;
  std::size_t resealed = 0, complete = 0;
  std::vector<Problem> problems = opened.catalog->problems();
  std::optional<Error> closed;
  for (const EpochEntry& epoch : opened.catalog->trust().epochs()) {
    auto secrets = opened.context->keys().open(epoch.first, epoch.second);
    if (!secrets.ok()) {
      closed = secrets.error();
      problems.push_back({format::epoch_name(database, epoch.first), secrets.error()});
      continue;
    }
    STELE_TRY(format::ResealedKeys keys, format::reseal_epoch(epoch.first, epoch.second, list_id, list, **secrets, random));
    if (keys.keys.empty()) {
      ++complete;
      continue;
    }
    keys.created = now;
    STELE_TRY(const format::SignedRecord record, keys.sign(authority.key));
    records.emplace_back(format::resealed_name(database, record.id()), record.bytes);
    ++resealed;
  }
  if (closed && resealed + complete == 0) return *closed;
  STELE_CHECK(opened.context->append(records));
  if (!file.empty()) {
    io::PosixFileSystem fs;
    STELE_CHECK(io::make_directories_durably(fs, options.directory));
    STELE_CHECK(io::write_file_durably(fs, file, list_bytes, io::WriteMode::kReplace));
  }
  if (common.json) {
    json out = {{"database", database.to_string()}, {"recipient_list", list_id.hex()}, {"serial", list.serial}, {"recipients", json::array()}, {"resealed", resealed}, {"complete", complete},
                {"not_opened", opened.catalog->trust().epochs().size() - resealed - complete}, {"problems", to_json(problems)}};
    for (const format::Recipient& r : list.recipients) out["recipients"].push_back({{"kind", kind_word(r.kind)}, {"label", r.label}, {"public_key", to_hex(r.public_key)}});
    if (!file.empty()) out["file"] = file;
    print(out.dump() + "\n");
  } else {
    std::string text = fmt::format("{}: {} epochs sealed again, {} were complete\n", database.to_string(), resealed, complete);
    for (const format::Recipient& r : list.recipients) text += fmt::format("  {} key \"{}\"\n", kind_word(r.kind), r.label);
    if (count_recovery(list.recipients) < 2) text += "warning: only one recovery key; if it is lost, everything is lost\n";
    text += file.empty() ? "the agent seals to the old list until it gets this one: --directory writes it\n" : fmt::format("copy {} to the agent's host ([keys] recipients) and restart the agent: it seals new epochs to this list\n", file);
    print(text + describe(problems));
  }
  return closed ? exit_code(ErrorCode::kKeyWrong) : exit_code_of(problems);
}

}  // namespace

Command add_keys(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("keys", "To whom a database is sealed; whether keys open it; sealing it to others");
  add_store_options(*command, options->store);
  CLI::App* checking = command->add_subcommand("check", "Open every epoch with the configured keys, without restoring. Exit code 5: none opens the newest");
  CLI::App* resealing = command->add_subcommand("reseal", "Add or replace recipients: signs a new list and seals every epoch's keys to it. No data is touched; keys that were dropped still open "
                                                          "what is stored already");
  resealing->add_option("--recipient", options->recipients, "The public key file of everyone who shall open it from now on; none: those of the newest list")->type_name("FILE");
  resealing->add_option("--authority-key", options->authority_key, "authority.key of keygen; its passphrase is asked after those of the recovery keys")->required()->type_name("FILE");
  resealing->add_option("--directory", options->directory, "Where recipients.rec goes, for the agent's host")->type_name("DIR");
  command->require_subcommand(0, 1);
  cli::add_examples(*command, {"stele-restore keys --database 440000/registry", "stele-restore keys check",
                               "stele-restore keys reseal --authority-key authority.key --recipient safe1.pub --recipient safe2.pub --recipient drill.pub --directory ."});
  cli::add_examples(*checking, {"stele-restore keys check --json"});
  cli::add_examples(*resealing, {"stele-restore keys reseal --authority-key authority.key --recipient safe1.pub --recipient safe3.pub --directory ."});
  return [options, &common, checking, resealing]() -> Result<int> {
    if (checking->parsed()) return check(common, *options);
    if (resealing->parsed()) return reseal(common, *options);
    return show(common, *options);
  };
}

}  // namespace stele::restore
