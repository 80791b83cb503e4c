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
  STELE_TRY(const std::vector<Problem> problems, keeper->reconcile());
  std::set<std::string> missing;
  for (const Problem& problem : problems) {
    if (problem.missing) missing.insert(problem.object);
  }
  // The ledger comes first, so that what it says already is not said again at every start.
  for (Database* database : keeper->databases()) STELE_CHECK(keeper->load_records(*database, missing));
  STELE_CHECK(keeper->tell(problems));
  for (Database* database : keeper->databases()) STELE_CHECK(keeper->load_log(*database, missing));
  STELE_CHECK(keeper->recover_journal());
  keeper->writer_ = std::make_unique<io::JournalWriter>(*keeper->journal_, keeper->options_.writer);
  keeper->refresh_gauges();
  return keeper;
}

Status Keeper::load_records(Database& database, const std::set<std::string>& missing) {
  STELE_TRY(auto records, parts_.catalog.records(database.name));
  STELE_TRY(Fence fence, load_fence(parts_.fs, options_.store_root, database.name));
  std::vector<format::SignedRecord> parsed;
  for (auto& [name, bytes] : records) {
    if (missing.contains(name)) continue;
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
  return {};
}

/// What is missing from the store but could not be noted in the ledger is still in the catalog, and counts for nothing.
Status Keeper::load_log(Database& database, const std::set<std::string>& missing) {
  STELE_TRY(auto snapshots, parts_.catalog.snapshots(database.name));
  std::erase_if(snapshots, [&](const SnapshotEntry& s) { return missing.contains(s.name); });
  std::lock_guard lock(database.mutex);
  database.snapshots = snapshots.size();
  if (!snapshots.empty()) database.latest = snapshots.back();
  return parts_.catalog.visit_runs(database.name, [&](const RunEntry& run) {
    if (!missing.empty() && missing.contains(format::run_name(database.name, run.name))) return;
    StreamLedger& ledger = database.streams.try_emplace(run.name.stream, run.name.stream).first->second;
    ledger.add_run(run.name.range, run.join_start, run.name.first, run.last, run.head);
  });
}

Status Keeper::recover_journal() {
  std::vector<Found> found;
  std::vector<io::JournalDamage> damages;
  std::vector<io::RecordId> release;
  std::vector<std::pair<io::RecordId, Error>> unreadable;
  io::JournalVisitor visitor;
  visitor.on_record = [&](io::RecordId id, ByteView payload) -> Status {
    auto landed = format::parse_landed_frame(payload);
    auto frame = landed.ok() ? format::parse_frame(landed->frame) : Result<format::Frame>(landed.error());
    if (!frame.ok()) {
      unreadable.emplace_back(id, frame.error().in(fmt::format("journal record at {} of file {}", id.offset, id.file)));
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
  // Nobody can tell whose bytes were lost: every database that lives here is told. What could not be told stays for the next start.
  auto tell_all = [&](const Error& error) {
    bool told = true;
    for (Database* database : databases()) told = report_damage(database->name, error, {}, {}).ok() && told;
    return told;
  };
  for (const auto& [id, error] : unreadable) {
    if (tell_all(error)) release.push_back(id);
  }
  for (const io::JournalDamage& damage : damages) {
    if (tell_all(damage.error())) journal_->release_damage(damage);
  }
  for (io::RecordId id : release) journal_->release(id);
  if (frames != 0) log::info("the journal was recovered", {{"frames", frames}, {"in_runs_already", release.size()}, {"damages", damages.size()}});
  return {};
}

void Keeper::take_recovered(std::vector<Found> found, std::vector<io::RecordId>& release) {
  // Frames of one object, from one that is in no run on: verified with the next signed one.
  std::map<std::pair<StreamId, ObjectId>, std::vector<Found>> unsigned_frames;
  for (Found& f : found) {
    Database& database = database_of(f.database);
    std::unique_lock lock(database.mutex);
    StreamLedger& ledger = database.streams.try_emplace(f.header.stream, f.header.stream).first->second;
    std::vector<Found>& waiting = unsigned_frames[{f.header.stream, f.header.object}];
    const bool again = !waiting.empty() && f.header.number >= waiting.front().header.number && f.header.number <= waiting.back().header.number;
    if (again || (waiting.empty() && ledger.holds(f.header.object, f.header.number))) {
      release.push_back(f.id);
      continue;
    }
    const ObjectProgress* held = ledger.before(f.header.object, f.header.number);
    const bool first = waiting.empty() && f.header.number == 0;
    const bool follows_held = waiting.empty() && held != nullptr && f.header.number == held->last.number + 1 && f.header.previous == held->head;
    const bool follows_waiting =
        !waiting.empty() && f.header.number == waiting.back().header.number + 1 && f.header.previous == waiting.back().head;
    if (!first && !follows_held && !follows_waiting) {
      const Error error{ErrorCode::kDamaged, fmt::format("journal: frame {} of object {} at {} does not follow what is held of it: frames are lost",
                                                         f.header.number, f.header.object.short_hex(), f.header.start.to_string()), ""};
      const Position from = held != nullptr ? held->last.end : waiting.empty() ? f.header.start : waiting.front().header.start;
      const PositionRange lost{std::min(from, f.header.start), f.header.start};
      // Without the signature that covers them they are nothing that was acknowledged.
      for (const Found& w : waiting) release.push_back(w.id);
      waiting.clear();
      lock.unlock();
      (void)report_damage(f.database, error, f.header.stream, lost);  // nothing is released for it
      lock.lock();
    }
    waiting.push_back(std::move(f));
    const Found& newest = waiting.back();
    if (newest.signature.empty()) continue;
    if (auto key = database.trust.key_for_stored(newest.header.epoch); key.ok()) {
      // The chain above ties the frames to this one; its signature is checked once more, as if it came from the line.
      format::FrameChain chain;
      chain.resume(newest.header, newest.head);
      format::Frame signed_frame(newest.header, format::encode_frame_header(newest.header), {});
      signed_frame.set_signature(newest.signature);
      if (Status verified = chain.verify(signed_frame, **key); !verified.ok()) {
        const std::vector<Found> refused = std::exchange(waiting, {});
        lock.unlock();
        const PositionRange range{refused.front().header.start, refused.back().header.end};
        if (!report_damage(refused.back().database, verified.error().in("journal"), refused.back().header.stream, range).ok()) continue;
        for (const Found& w : refused) release.push_back(w.id);
        continue;
      }
    }
    for (const Found& w : waiting) {
      ledger.add_frame(w.header, w.head);
      database.runs.add(w.header, {w.id, w.header.number, w.size, !w.signature.empty()}, w.received);
    }
    waiting.clear();
  }
  // Behind the last signed frame nothing was acknowledged.
  for (const auto& [id, waiting] : unsigned_frames) {
    for (const Found& w : waiting) release.push_back(w.id);
  }
}

}  // namespace stele::receiver
