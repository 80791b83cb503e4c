#include "receiver/ingest/keeper.h"

#include <fmt/format.h>

#include "core/base/text.h"
#include "core/config/log.h"
#include "core/format/object_names.h"

namespace stele::receiver {

Keeper::~Keeper() {
  if (writer_) writer_->stop();
}

Database* Keeper::find(const DatabaseName& name) {
  auto listed = configured_.find(name);
  if (listed == configured_.end()) return nullptr;
  return &database_of(name);
}

std::vector<Database*> Keeper::databases() {
  std::lock_guard lock(databases_mutex_);
  std::vector<Database*> out;
  for (auto& [name, database] : databases_) out.push_back(database.get());
  return out;
}

SiteState* Keeper::site(const std::string& name) {
  auto it = sites_.find(name);
  return it == sites_.end() ? nullptr : it->second.get();
}

Database& Keeper::database_of(const DatabaseName& name) {
  std::lock_guard lock(databases_mutex_);
  auto it = databases_.find(name);
  if (it != databases_.end()) return *it->second;
  std::vector<crypto::VerifyKey> authorities;
  for (const KeeperOptions::Site& site : options_.sites) {
    if (site.config.name == name.site) authorities = site.authorities;
  }
  auto& site = sites_[name.site];
  if (!site) site = std::make_unique<SiteState>(name.site, config::SiteLimits{}, parts_.clock.steady_now());
  auto made = std::make_unique<Database>(name, std::move(authorities), *site, parts_.metrics.of(name));
  made->status_row = parts_.metrics.status().of(name);
  return *databases_.emplace(name, std::move(made)).first->second;
}

Status Keeper::may_store(Database& database, std::uint64_t bytes) const {
  if (free_bytes_.load() < options_.disk_reserve + bytes) {
    return Error{ErrorCode::kDiskFull, fmt::format("the receiver's disk has {} bytes left, {} are reserved", free_bytes_.load(), options_.disk_reserve),
                 "make room on the receiver; nothing was acknowledged, the agent tries again"};
  }
  std::lock_guard lock(database.site.mutex);
  return database.site.quota.may_store(bytes, database.site.stored.load());
}

Status Keeper::index(Database& database, const std::string& name, ByteView bytes) {
  STELE_TRY(const bool known, parts_.catalog.has_object(name));
  STELE_CHECK(parts_.catalog.add_object(name, bytes, parts_.clock.now()));
  if (!known) database.site.stored += bytes.size();
  return {};
}

Status Keeper::store_object(Database& database, const std::string& name, ByteView bytes) {
  STELE_CHECK(may_store(database, bytes.size()));
  STELE_CHECK(parts_.store.put(name, bytes));
  return index(database, name, bytes);
}

Status Keeper::may_add_object(Database& database) {
  std::lock_guard lock(database.site.mutex);
  return database.site.quota.may_add_objects(1, parts_.clock.now());
}

Result<Digest> Keeper::put_record(Database& database, ByteView bytes) {
  std::lock_guard change(database.change);
  STELE_TRY(format::SignedRecord record, format::parse_record(bytes));
  RecordVerdict verdict;
  {
    std::lock_guard lock(database.mutex);
    STELE_TRY(verdict, database.trust.judge(record));
  }
  const Digest id = record.id();
  // A branch is named by its stream: another record under that name must be refused by the store.
  if (verdict.known && record.kind != format::RecordKind::kBranch) return id;
  if (verdict.known) {
    STELE_CHECK(parts_.store.put(verdict.object_name, bytes));
    return id;
  }
  {
    using format::RecordKind;
    const bool by_agent = record.kind == RecordKind::kFact || record.kind == RecordKind::kBranch || record.kind == RecordKind::kEpoch;
    std::lock_guard lock(database.site.mutex);
    STELE_CHECK(database.site.quota.may_add_record(!by_agent, parts_.clock.now()));
    if (record.kind == RecordKind::kEpoch) STELE_CHECK(database.site.quota.may_add_epoch(parts_.clock.now()));
  }
  STELE_CHECK(store_object(database, verdict.object_name, bytes));
  std::lock_guard lock(database.mutex);
  STELE_CHECK(database.trust.add(record));
  if (record.kind == format::RecordKind::kEpoch) {
    database.epoch_records.emplace(EpochId{id.data}, to_bytes(bytes));
    if (!verdict.alarm.empty()) {
      database.note(parts_.clock.now(), "epoch " + id.short_hex() + ": " + verdict.alarm);
      log::warning("an epoch is not sealed to the authority's recipients", {{"database", database.name}, {"epoch", id.short_hex()}, {"why", verdict.alarm}});
    }
  }
  return id;
}

protocol::DatabaseState Keeper::state(Database& database) {
  std::lock_guard lock(database.mutex);
  protocol::DatabaseState out;
  out.highest_generation = database.fence.highest;
  std::vector<const StreamLedger*> streams;
  for (const auto& [id, ledger] : database.streams) {
    if (!ledger.empty()) streams.push_back(&ledger);
    out.highest_generation = std::max(out.highest_generation, ledger.highest_generation());
  }
  std::sort(streams.begin(), streams.end(), [](const StreamLedger* a, const StreamLedger* b) { return a->last_server_time() > b->last_server_time(); });
  for (const StreamLedger* ledger : streams) {
    if (out.streams.size() == 64) break;
    out.streams.push_back(ledger->state());
  }
  if (database.latest) out.latest_manifest = database.latest->digest;
  out.reserved_timelines = database.fence.reserved_timelines;
  return out;
}

Result<protocol::StreamState> Keeper::open_stream(Database& database, const StreamId& stream, Generation generation,
                                                  const protocol::InstanceId& instance, std::uint64_t session) {
  std::lock_guard change(database.change);
  Fence fence;
  {
    std::lock_guard lock(database.mutex);
    STELE_CHECK(database.trust.may_open(stream, generation));
    if (Status current = database.fence.check(generation, instance); !current.ok()) {
      database.metrics.superseded.inc();
      return current.error();
    }
    fence = database.fence;
  }
  if (fence.highest != generation || fence.instance != instance) {
    fence.highest = generation;
    fence.instance = instance;
    STELE_CHECK(save_fence(parts_.fs, options_.store_root, database.name, fence));
  }
  std::unique_lock lock(database.mutex);
  database.fence = fence;
  database.writer = session;
  // What the older session has in flight becomes part of the answer.
  if (!database.landed.wait_for(lock, std::chrono::seconds(30), [&] { return database.in_flight == 0; })) {
    return Error{ErrorCode::kTemporary, "the journal has not answered for 30 s", "look at the receiver's disk"};
  }
  database.metrics.highest_generation.set(static_cast<double>(generation.value));
  return database.streams.try_emplace(stream, stream).first->second.state();
}

void Keeper::close_stream(Database& database, std::uint64_t session) {
  std::lock_guard lock(database.mutex);
  if (database.writer == session) database.writer = 0;
}

Result<std::uint32_t> Keeper::reserve_timeline(Database& database, std::uint32_t above) {
  std::lock_guard change(database.change);
  Fence fence;
  std::uint32_t known = 0;
  {
    std::lock_guard lock(database.mutex);
    fence = database.fence;
    known = database.trust.highest_timeline();
  }
  STELE_TRY(std::uint32_t number, fence.reserve(above, known));
  STELE_CHECK(save_fence(parts_.fs, options_.store_root, database.name, fence));
  std::lock_guard lock(database.mutex);
  database.fence = fence;
  return number;
}

Status Keeper::put_status(Database& database, ByteView bytes) {
  STELE_TRY(format::SignedRecord record, format::parse_record(bytes, format::RecordKind::kStatus));
  STELE_TRY(format::StatusMessage status, format::StatusMessage::read(record));
  if (status.database != database.name) return Error{ErrorCode::kUnauthorised, "status message of another database", ""};
  std::lock_guard lock(database.mutex);
  STELE_TRY(const crypto::VerifyKey* key, database.trust.current_key());
  STELE_CHECK(format::verify_record(record, *key));
  database.status_row.show(status.fields, false);
  database.status_received = parts_.clock.now();
  database.metrics.last_status_time.set(static_cast<double>(database.status_received.micros) / 1e6);
  database.metrics.agent_clock_difference.set(static_cast<double>((status.time - database.status_received).count()) / 1e6);
  database.status = std::move(status);
  database.status_stale = false;
  return {};
}

Status Keeper::put_fact(const DatabaseName& database, format::Fact fact) {
  fact.database = database;
  fact.serial = ++fact_serial_;
  fact.time = parts_.clock.now();
  STELE_TRY(format::SignedRecord record, fact.sign(parts_.signer));
  const std::string name = format::fact_name(database, record.id());
  STELE_CHECK(parts_.store.put(name, record.bytes));
  Database& d = database_of(database);
  if (Status indexed = index(d, name, record.bytes); !indexed.ok()) {
    log::log_error(indexed.error());
    unindexed_.emplace_back(&d, name);
  }
  std::lock_guard lock(d.mutex);
  return d.trust.add(record);
}

Status Keeper::report_damage(const DatabaseName& database, const Error& error, const StreamId& stream, PositionRange range) {
  ++damages_;
  log::log_error(error, {{"database", database}});
  format::Fact fact;
  fact.kind = format::FactKind::kDamage;
  fact.stream = stream;
  fact.begin = range.begin;
  fact.end = range.end;
  fact.note = one_line(fmt::format("{}: {}", options_.receiver, error.what), format::kMaxFactNote);
  {
    Database& d = database_of(database);
    std::lock_guard lock(d.mutex);
    d.metrics.damage.inc();
    d.note(parts_.clock.now(), error.what);
    if (d.trust.holds_fact(fact)) return {};  // an earlier start found the same
  }
  Status kept = put_fact(database, std::move(fact));
  if (!kept.ok()) log::log_error(kept.error().in("note the damage in the ledger"));
  return kept;
}

}  // namespace stele::receiver
