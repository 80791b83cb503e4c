#include <fmt/format.h>

#include <algorithm>

#include "core/config/log.h"
#include "core/format/landed_frame.h"
#include "core/format/object_names.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

/// A frame that the journal held at start.
struct Keeper::Found {
  io::RecordId id;
  Timestamp received;
  DatabaseName database;
  format::FrameHeader header;
  Digest head;
  Bytes signature;  ///< empty: unsigned
  std::uint32_t size = 0;
};

Result<std::unique_ptr<Keeper>> Keeper::open(KeeperParts parts, KeeperOptions options) {
  std::unique_ptr<Keeper> keeper(new Keeper(parts, std::move(options)));
  for (const KeeperOptions::Site& site : keeper->options_.sites) {
    keeper->sites_[site.config.name] = std::make_unique<SiteState>(site.config.name, site.config.limits, parts.clock.steady_now());
    for (const std::string& database : site.config.databases) {
      keeper->configured_[{site.config.name, database}] = true;
      keeper->database_of({site.config.name, database});
    }
  }
  STELE_TRY(const std::uint64_t free, parts.store.free_bytes());
  keeper->free_bytes_ = free;
  STELE_CHECK(keeper->reconcile());
  for (Database* database : keeper->databases()) STELE_CHECK(keeper->load(*database));
  STELE_CHECK(keeper->recover_journal());
  keeper->writer_ = std::make_unique<io::JournalWriter>(*keeper->journal_, keeper->options_.writer);
  keeper->refresh_gauges();
  return keeper;
}

Status Keeper::index_missing(const store::ObjectInfo& object) {
  auto bytes = parts_.store.read_all(object.name, store::kMaxReadBytes);
  Status added = bytes.ok() ? parts_.catalog.add_object(object.name, *bytes, parts_.clock.now()) : Status(bytes.error());
  if (added.ok()) return {};
  const ErrorCode code = added.error().code;
  if (code != ErrorCode::kDamaged && code != ErrorCode::kUnsupported && code != ErrorCode::kForged) return added;
  report_damage(*format::database_of(object.name), added.error().in(object.name), {}, {});
  return {};
}

Status Keeper::reconcile() {
  STELE_TRY(std::vector<store::ObjectInfo> stored, parts_.store.list(""));
  std::vector<ObjectEntry> indexed;
  bool more = true;
  while (more) {
    STELE_TRY(std::vector<ObjectEntry> page, parts_.catalog.objects("", indexed.empty() ? "" : indexed.back().name, 4096, more));
    indexed.insert(indexed.end(), std::make_move_iterator(page.begin()), std::make_move_iterator(page.end()));
  }
  std::size_t added = 0, i = 0;
  for (const store::ObjectInfo& object : stored) {
    auto name = format::database_of(object.name);
    if (!name) continue;  // not ours: left alone
    database_of(*name).site.stored += object.size;
    for (; i < indexed.size() && indexed[i].name < object.name; ++i) {
      report_damage(*format::database_of(indexed[i].name), Error{ErrorCode::kDamaged, indexed[i].name + ": the object is missing from the store", ""}, {}, {});
      STELE_CHECK(parts_.catalog.remove_object(indexed[i].name));
    }
    if (i < indexed.size() && indexed[i].name == object.name) {
      ++i;
      continue;
    }
    STELE_CHECK(index_missing(object));
    ++added;
  }
  for (; i < indexed.size(); ++i) {
    report_damage(*format::database_of(indexed[i].name), Error{ErrorCode::kDamaged, indexed[i].name + ": the object is missing from the store", ""}, {}, {});
    STELE_CHECK(parts_.catalog.remove_object(indexed[i].name));
  }
  if (added != 0) log::info("objects of the store were added to the catalog", {{"objects", added}, {"stored", stored.size()}});
  return {};
}

Status Keeper::load(Database& database) {
  STELE_TRY(auto records, parts_.catalog.records(database.name));
  STELE_TRY(auto snapshots, parts_.catalog.snapshots(database.name));
  STELE_TRY(Fence fence, load_fence(parts_.fs, options_.store_root, database.name));
  std::vector<format::SignedRecord> parsed;
  for (auto& [name, bytes] : records) {
    auto record = format::parse_record(bytes);
    if (!record.ok()) return record.error().in(name);
    parsed.push_back(std::move(*record));
  }
  // What others refer to comes first.
  auto rank = [](format::RecordKind kind) {
    switch (kind) {
      case format::RecordKind::kEnrolment: return 0;
      case format::RecordKind::kWithdrawal: return 1;
      case format::RecordKind::kRecipientList: return 2;
      case format::RecordKind::kBranch: return 3;
      case format::RecordKind::kEpoch: return 4;
      default: return 5;
    }
  };
  std::stable_sort(parsed.begin(), parsed.end(), [&](const auto& a, const auto& b) { return rank(a.kind) < rank(b.kind); });
  std::lock_guard lock(database.mutex);
  for (const format::SignedRecord& record : parsed) {
    if (record.kind == format::RecordKind::kEpoch) database.epoch_records.insert_or_assign(format::epoch_id(record), record.bytes);
    // Refused where its authority is not configured (any more): kept in the store, trusted for nothing here.
    if (Status added = database.trust.add(record); !added.ok() && configured_.contains(database.name)) {
      log::warning("a stored record is not trusted", {{"database", database.name}, {"why", added.error().what}});
    }
  }
  database.fence = std::move(fence);
  database.snapshots = snapshots.size();
  if (!snapshots.empty()) database.latest = snapshots.back();
  return parts_.catalog.visit_runs(database.name, [&](const RunEntry& run) {
    database.streams.try_emplace(run.name.stream, run.name.stream).first->second.add_run(run.name.range, run.join_start, run.last, run.head);
  });
}

Status Keeper::recover_journal() {
  std::vector<Found> found;
  std::vector<io::JournalDamage> damages;
  std::vector<io::RecordId> release;
  std::vector<Error> unreadable;
  io::JournalVisitor visitor;
  visitor.on_record = [&](io::RecordId id, ByteView payload) -> Status {
    auto landed = format::parse_landed_frame(payload);
    auto frame = landed.ok() ? format::parse_frame(landed->frame) : Result<format::Frame>(landed.error());
    if (!frame.ok()) {
      unreadable.push_back(frame.error().in(fmt::format("journal record at {} of file {}", id.offset, id.file)));
      return {};
    }
    found.push_back({id, landed->received, landed->database, frame->header(), frame->head(), to_bytes(frame->signature()),
                     static_cast<std::uint32_t>(landed->frame.size())});
    return {};
  };
  visitor.on_damage = [&](const io::JournalDamage& damage) -> Status {
    damages.push_back(damage);
    return {};
  };
  STELE_TRY(journal_, io::Journal::open(parts_.fs, parts_.random, options_.journal, visitor));
  const std::size_t frames = found.size();
  take_recovered(std::move(found), release);
  // Nobody can tell whose bytes were lost: every database that lives here is told.
  for (const Error& error : unreadable) {
    for (Database* database : databases()) report_damage(database->name, error, {}, {});
  }
  for (const io::JournalDamage& damage : damages) {
    for (Database* database : databases()) report_damage(database->name, damage.error(), {}, {});
    journal_->release_damage(damage);
  }
  for (io::RecordId id : release) journal_->release(id);
  if (frames != 0) log::info("the journal was recovered", {{"frames", frames}, {"in_runs_already", release.size()}, {"damages", damages.size()}});
  return {};
}

void Keeper::take_recovered(std::vector<Found> found, std::vector<io::RecordId>& release) {
  struct Object {
    std::vector<Found> waiting;  // verified with the next signed frame
    std::optional<ObjectProgress> last;
  };
  std::map<ObjectId, Object> objects;
  for (Found& f : found) {
    Database& database = database_of(f.database);
    std::unique_lock lock(database.mutex);
    StreamLedger& ledger = database.streams.try_emplace(f.header.stream, f.header.stream).first->second;
    const ObjectProgress* held = ledger.object(f.header.object);
    if (held != nullptr && f.header.number <= held->last.number) {
      release.push_back(f.id);
      continue;
    }
    Object& object = objects[f.header.object];
    if (object.last && f.header.number <= object.last->last.number) {
      release.push_back(f.id);  // the agent sent it twice
      continue;
    }
    const ObjectProgress* before = object.last ? &*object.last : held;
    const bool follows = before == nullptr ? f.header.number == 0 : f.header.number == before->last.number + 1 && f.header.previous == before->head;
    if (!follows) {
      const Error error{ErrorCode::kDamaged, fmt::format("journal: frame {} of object {} at {} does not follow what is held of it: frames are lost",
                                                         f.header.number, f.header.object.short_hex(), f.header.start.to_string()), ""};
      const PositionRange lost{before == nullptr ? f.header.start : before->last.end, f.header.start};
      lock.unlock();
      report_damage(f.database, error, f.header.stream, lost);
      lock.lock();
    }
    object.last = ObjectProgress{f.header, f.head};
    object.waiting.push_back(std::move(f));
    const Found& newest = object.waiting.back();
    if (newest.signature.empty()) continue;
    if (auto key = database.trust.key_for_stored(newest.header.epoch); key.ok()) {
      // The chain above ties the frames to this one; its signature is checked once more, as if it came from the line.
      format::FrameChain chain;
      chain.resume(newest.header, newest.head);
      format::Frame signed_frame(newest.header, format::encode_frame_header(newest.header), {});
      signed_frame.set_signature(newest.signature);
      if (Status verified = chain.verify(signed_frame, **key); !verified.ok()) {
        const DatabaseName name = newest.database;
        const Error error = verified.error().in("journal");
        const StreamId stream = newest.header.stream;
        object.waiting.clear();
        lock.unlock();
        report_damage(name, error, stream, {});
        continue;
      }
    }
    for (const Found& w : object.waiting) {
      ledger.add_frame(w.header, w.head);
      database.runs.add(w.header, {w.id, w.header.number, w.size, !w.signature.empty()}, w.received);
    }
    object.waiting.clear();
  }
  // Behind the last signed frame nothing was acknowledged.
  for (const auto& [id, object] : objects) {
    for (const Found& w : object.waiting) release.push_back(w.id);
  }
}

}  // namespace stele::receiver
