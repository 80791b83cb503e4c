#include "receiver/status/database_facts.h"

namespace stele::receiver {

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

recovery::RunFact to_fact(const RunEntry& r) {
  recovery::RunFact f;
  f.stream = r.name.stream;
  f.object = r.name.object;
  f.range = r.name.range;
  f.first_frame = r.name.first;
  f.last_frame = r.name.last;
  f.join_start = r.join_start;
  f.join_end = r.last.join;
  f.min_commit = r.min_commit;
  f.max_commit = r.max_commit;
  f.first_server_time = f.last_server_time = r.last_server_time;
  f.received = r.received;
  f.bytes = r.size;
  return f;
}

recovery::SnapshotFact to_fact(const SnapshotEntry& s) {
  recovery::SnapshotFact f;
  f.id = s.snapshot;
  f.stream = s.stream;
  f.start = s.start;
  f.stop = s.stop;
  f.started = s.started;
  f.finished = s.finished;
  f.damaged_pages = s.damaged_pages;
  f.full = s.full;
  f.raw_bytes = s.raw_bytes;
  f.new_bytes = s.new_bytes;
  f.manifest = s.name;
  return f;
}

recovery::LedgerFact to_fact(const format::Fact& f) {
  return {static_cast<std::uint16_t>(f.kind), f.stream, f.related, f.time, f.begin, f.end, f.value, f.note};
}

/// The parts of `range` that no run holds are in the journal: each is shown as a run of an object of its own. The ledger took their frames
/// in order from an object's first one on, so they can be decoded.
void add_journal(PositionRange range, const RangeSet& in_runs, const StreamLedger& ledger, recovery::Facts& facts) {
  Position at = range.begin;
  auto add = [&](Position end) {
    if (end <= at) return;
    recovery::RunFact f;
    f.stream = ledger.stream();
    const std::uint64_t number = facts.runs.size();
    std::memcpy(f.object.data.data(), &number, sizeof(number));
    f.range = {at, end};
    if (end == ledger.durable_end()) f.first_server_time = f.last_server_time = ledger.last_server_time();
    facts.runs.push_back(std::move(f));
  };
  for (const PositionRange& held : in_runs.ranges()) {
    if (held.end <= at) continue;
    if (held.begin >= range.end) break;
    add(held.begin);
    at = std::max(at, held.end);
  }
  add(range.end);
}

}  // namespace

Result<recovery::Facts> facts_of(Database& database, Catalog& catalog) {
  recovery::Facts facts;
  facts.database = database.name;
  std::map<StreamId, RangeSet> in_runs;
  STELE_CHECK(catalog.visit_runs(database.name, [&](const RunEntry& run) {
    in_runs[run.name.stream].add(run.name.range);
    facts.runs.push_back(to_fact(run));
  }));
  STELE_TRY(const std::vector<SnapshotEntry> snapshots, catalog.snapshots(database.name));
  for (const SnapshotEntry& s : snapshots) facts.snapshots.push_back(to_fact(s));
  std::lock_guard lock(database.mutex);
  for (const format::BranchRecord* b : database.trust.branches()) facts.branches.push_back(to_fact(*b));
  for (const format::Fact& f : database.trust.facts()) facts.ledger.push_back(to_fact(f));
  for (const auto& [id, ledger] : database.streams) {
    for (const PositionRange& range : ledger.ranges().ranges()) add_journal(range, in_runs[id], ledger, facts);
  }
  return facts;
}

}  // namespace stele::receiver
