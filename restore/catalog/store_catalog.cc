#include "restore/catalog/store_catalog.h"

#include <fmt/format.h>

#include <set>

#include "core/format/object_names.h"
#include "restore/catalog/journal_frames.h"
#include "restore/fetch/parallel.h"

namespace stele::restore {

namespace {

recovery::BranchFact to_fact(const format::BranchRecord& b) {
  recovery::BranchFact f;
  f.stream = b.stream();
  f.parent = b.parent;
  f.fork = b.fork;
  f.timeline = b.timeline;
  for (const format::TimelineSwitch& s : b.history) f.history.push_back({s.timeline, s.end});
  f.lineage = b.lineage;
  f.segment_size = b.segment_size;
  f.server_version = b.server_version;
  f.generation = b.generation;
  f.created = b.created;
  f.reason = static_cast<recovery::BranchReason>(b.reason);
  return f;
}

recovery::RunFact to_fact(const format::RunHead& h, const std::string& name, std::uint64_t bytes) {
  recovery::RunFact f;
  f.stream = h.stream;
  f.object = h.object;
  f.range = h.range;
  f.first_frame = h.first;
  f.last_frame = h.last;
  f.join_start = h.join_start;
  f.join_end = h.join_end;
  f.min_commit = h.min_commit;
  f.max_commit = h.max_commit;
  f.first_server_time = h.first_server_time;
  f.last_server_time = h.last_server_time;
  f.received = h.received;
  f.name = name;
  f.bytes = bytes;
  return f;
}

recovery::SnapshotFact to_fact(const format::ManifestReference& m, const std::string& name) {
  recovery::SnapshotFact f;
  f.id = m.snapshot;
  f.stream = m.stream;
  f.start = m.start;
  f.stop = m.stop;
  f.started = m.started;
  f.finished = m.finished;
  f.damaged_pages = m.damaged_pages;
  f.full = m.full;
  f.raw_bytes = m.raw_bytes;
  f.new_bytes = m.new_bytes;
  f.manifest = name;
  return f;
}

Result<format::RunHead> read_head(store::ObjectReader& objects, const store::ObjectInfo& info) {
  STELE_TRY(const Bytes front, objects.read(info.name, 0, std::min<std::uint64_t>(info.size, format::kRunHeadProbe)));
  STELE_TRY(format::RunHead head, format::parse_run_head(front));
  if (head.head_size + head.frames_size != info.size) {
    return Error{ErrorCode::kDamaged, fmt::format("{} bytes, {} expected", info.size, head.head_size + head.frames_size), "another receiver may have it whole"};
  }
  auto name = format::parse_run_name(info.name);
  if (!name || name->stream != head.stream || name->range != head.range || name->object != head.object || name->first != head.first || name->last != head.last) {
    return Error{ErrorCode::kDamaged, "the run's head differs from its name", ""};
  }
  return head;
}

}  // namespace

Result<std::vector<DatabaseName>> find_databases(store::ObjectReader& objects, io::FileSystem* fs, const std::string& journal_directory) {
  std::set<DatabaseName> names;
  if (fs != nullptr && !journal_directory.empty()) {
    STELE_TRY(auto landed, databases_in_journal(*fs, journal_directory));
    names.insert(landed.begin(), landed.end());
  }
  STELE_TRY(auto listed, objects.list(""));
  for (const store::ObjectInfo& info : listed) {
    if (auto name = format::database_of(info.name)) names.insert(*name);
  }
  return std::vector<DatabaseName>(names.begin(), names.end());
}

/// A temporary failure ends the loading; anything else about one object is remembered and the others go on.
Status StoreCatalog::problem(const std::string& object, const Error& error) {
  if (is_temporary(error.code)) return error.in(object);
  problems_.push_back({object, error});
  return {};
}

const format::EpochRecord* StoreCatalog::epoch(const EpochId& id) const {
  if (const format::EpochRecord* found = trust_.epoch(id)) return found;
  auto copied = copied_epochs_.find(id);
  return copied == copied_epochs_.end() ? nullptr : &copied->second;
}

const EnrolledAgent* StoreCatalog::branch_signer(const StreamId& stream) const {
  const format::BranchRecord* record = trust_.branch(stream);
  return record == nullptr ? nullptr : trust_.agent(record->enrolment);
}

Result<std::unique_ptr<StoreCatalog>> StoreCatalog::load(store::ObjectReader& objects, const DatabaseName& database, Options options) {
  STELE_CHECK(check_database_name(database));
  std::vector<Problem> problems;
  // The journal first: what a receiver seals and recycles meanwhile is then in the listing.
  JournalContent landed;
  if (options.fs != nullptr && !options.journal_directory.empty()) {
    STELE_TRY(landed, read_journal_frames(*options.fs, options.journal_directory, database));
  }
  STELE_TRY(TrustStore trust, TrustStore::load(objects, database, options.authorities, problems));
  auto out = std::unique_ptr<StoreCatalog>(new StoreCatalog(std::move(trust)));
  out->facts_.database = database;
  out->problems_ = std::move(problems);
  out->problems_.insert(out->problems_.end(), landed.problems.begin(), landed.problems.end());
  out->objects_ = std::make_unique<OverlayReader>(objects);

  STELE_TRY(auto runs, objects.list(format::database_prefix(database) + "log/"));
  if (runs.empty() && landed.objects.empty() && out->trust_.branches().empty()) {
    STELE_CHECK(out->trust_.require_any());
    STELE_TRY(auto any, objects.list(format::database_prefix(database)));
    if (any.empty()) return Error{ErrorCode::kNotFound, fmt::format("the store holds nothing of {}", database.to_string()), "`stele-restore list` shows what it holds"};
  }
  STELE_CHECK(out->trust_.require_any());
  for (const auto& [stream, branch] : out->trust_.branches()) out->facts_.branches.push_back(to_fact(branch));

  // Frames behind the last sealed one of their object become runs in memory.
  std::map<ObjectId, std::uint64_t> sealed;
  for (const store::ObjectInfo& info : runs) {
    if (auto name = format::parse_run_name(info.name)) {
      std::uint64_t& next = sealed[name->object];
      next = std::max<std::uint64_t>(next, std::uint64_t{name->last} + 1);
    }
  }
  for (auto& [id, object] : landed.objects) {
    std::vector<format::Frame> frames;
    auto add_run = [&]() -> Status {
      while (!frames.empty() && frames.back().signature().empty()) frames.pop_back();
      if (frames.empty()) return {};
      const format::FrameHeader& first = frames.front().header();
      auto record = objects.read_all(format::epoch_name(database, first.epoch), format::kMaxRecordBytes);
      if (!record.ok()) return out->problem(format::epoch_name(database, first.epoch), record.error());
      auto run = format::encode_run(frames, *record, object.received);
      if (!run.ok()) return out->problem(options.journal_directory, run.error());
      const format::RunName name{first.stream, {first.start, frames.back().header().end}, id, first.number, frames.back().header().number};
      store::ObjectInfo info{format::run_name(database, name), run->size()};
      out->objects_->add(info.name, std::move(*run));
      runs.push_back(std::move(info));
      frames.clear();
      return {};
    };
    for (auto& [number, frame] : object.frames) {
      if (number < sealed[id]) continue;
      if (!frames.empty() && number != frames.back().header().number + 1) STELE_CHECK(add_run());
      frames.push_back(std::move(frame));
    }
    STELE_CHECK(add_run());
    object.frames.clear();
  }
  STELE_CHECK(out->read_runs(runs, options.workers));
  STELE_CHECK(out->read_manifests());
  STELE_CHECK(out->read_ledger());
  return out;
}

Result<const EnrolledAgent*> StoreCatalog::check_run(const format::RunHead& head, const std::string& name) {
  const format::EpochRecord* record = epoch(head.epoch);
  if (record == nullptr) {
    auto copy = trust_.verify_copied_epoch(head.epoch_record, head.epoch);
    if (!copy.ok()) return copy.error().in(name);
    record = &copied_epochs_.emplace(head.epoch, std::move(*copy)).first->second;
  }
  return trust_.signer(head.stream, head.generation, *record, head.range.end);
}

Status StoreCatalog::read_runs(const std::vector<store::ObjectInfo>& runs, std::size_t workers) {
  std::vector<std::optional<Result<format::RunHead>>> heads(runs.size());
  STELE_CHECK(parallel_for(runs.size(), workers, [&](std::size_t i) -> Status {
    heads[i] = read_head(*objects_, runs[i]);
    if (!heads[i]->ok() && is_temporary(heads[i]->error().code)) return heads[i]->error().in(runs[i].name);
    return {};
  }));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!heads[i]->ok()) {
      STELE_CHECK(problem(runs[i].name, heads[i]->error()));
      continue;
    }
    format::RunHead& head = **heads[i];
    auto signer = check_run(head, runs[i].name);
    if (!signer.ok()) {
      STELE_CHECK(problem(runs[i].name, signer.error()));
      continue;
    }
    facts_.runs.push_back(to_fact(head, runs[i].name, runs[i].size));
    run_signers_.push_back(*signer);
    run_heads_.push_back(std::move(head));
  }
  return {};
}

Status StoreCatalog::read_manifests() {
  STELE_TRY(auto names, objects_->list(format::database_prefix(database()) + "snapshot/"));
  std::set<Digest> ids;
  std::vector<std::pair<std::string, Digest>> previous;
  for (const store::ObjectInfo& info : names) {
    auto add = [&]() -> Status {
      STELE_TRY(const Bytes bytes, objects_->read_all(info.name, format::kMaxRecordBytes));
      STELE_TRY(const format::SignedRecord record, format::parse_record(bytes, format::RecordKind::kManifest));
      STELE_TRY(format::Manifest manifest, format::read_manifest(record));
      const format::ManifestReference& m = manifest.reference;
      if (m.database != database()) return Error{ErrorCode::kForged, "a manifest of another database", ""};
      const format::EpochRecord* record_epoch = epoch(m.epoch);
      if (record_epoch == nullptr) return Error{ErrorCode::kForged, fmt::format("a manifest under epoch {}, which no trusted record describes", m.epoch.short_hex()), ""};
      STELE_TRY(const EnrolledAgent* agent, trust_.signer(m.stream, m.generation, *record_epoch, m.stop));
      STELE_CHECK(format::verify_record(record, agent->key));
      facts_.snapshots.push_back(to_fact(m, info.name));
      ids.insert(record.id());
      if (!m.previous.is_zero()) previous.emplace_back(info.name, m.previous);
      manifests_.insert_or_assign(m.snapshot, std::move(manifest));
      return {};
    };
    if (Status added = add(); !added.ok()) STELE_CHECK(problem(info.name, added.error()));
  }
  for (const auto& [name, digest] : previous) {
    if (!ids.contains(digest)) problems_.push_back({name, Error{ErrorCode::kNotFound, "the snapshot before this one is not here", "deleted by retention, or lost"}});
  }
  return {};
}

Status StoreCatalog::read_ledger() {
  STELE_TRY(auto names, objects_->list(format::database_prefix(database()) + "fact/"));
  for (const store::ObjectInfo& info : names) {
    auto add = [&]() -> Status {
      STELE_TRY(const Bytes bytes, objects_->read_all(info.name, format::kMaxRecordBytes));
      STELE_TRY(const format::SignedRecord record, format::parse_record(bytes, format::RecordKind::kFact));
      STELE_TRY(const format::Fact fact, format::Fact::read(record));
      if (fact.database != database()) return Error{ErrorCode::kForged, "a fact of another database", ""};
      // A receiver's facts can only reduce what is trusted: they are shown, with whose they are.
      const std::string note = trust_.signed_by_agent(record) ? fact.note : fact.note.empty() ? "(not an agent's)" : fact.note + " (not an agent's)";
      facts_.ledger.push_back({static_cast<std::uint16_t>(fact.kind), fact.stream, fact.related, fact.time, fact.begin, fact.end, fact.value, note});
      return {};
    };
    if (Status added = add(); !added.ok()) STELE_CHECK(problem(info.name, added.error()));
  }
  std::sort(facts_.ledger.begin(), facts_.ledger.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  return {};
}

}  // namespace stele::restore
