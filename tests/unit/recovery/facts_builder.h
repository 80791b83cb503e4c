#pragma once

#include <gtest/gtest.h>

#include "core/recovery/plan.h"

namespace stele::recovery::test {

inline constexpr std::uint64_t kSegment = 1 << 20;
/// Positions in sixteenths of a segment, so that numbers in tests stay small: at(16) is a segment's first byte.
inline Position at(std::uint64_t n) { return {n * (kSegment / 16)}; }
/// Times in whole seconds.
inline Timestamp sec(std::int64_t n) { return {1'700'000'000'000'000 + n * 1'000'000}; }

template <typename Id>
Id id(std::uint8_t n) {
  Id out;
  out.data.fill(n);
  return out;
}
inline StreamId stream(std::uint8_t n) { return id<StreamId>(n); }

struct RunOptions {
  Timestamp min_commit, max_commit;
  std::uint32_t first_frame = 0, last_frame = 9;
  std::uint8_t join_start = 0, join_end = 0;
  Timestamp as_of;
};

/// Facts of one database by hand.
struct FactsBuilder {
  Facts facts;
  std::uint8_t next = 1;

  FactsBuilder() { facts.database = {"440000", "registry"}; }

  BranchFact& branch(std::uint8_t n, std::uint32_t timeline, std::uint8_t parent = 0, Position fork = {}, std::uint64_t generation = 1) {
    BranchFact b;
    b.stream = stream(n);
    if (parent != 0) {
      b.parent = stream(parent);
      b.history = facts.branch(b.parent)->history;
      if (facts.branch(b.parent)->timeline != timeline) b.history.push_back({facts.branch(b.parent)->timeline, fork});
    }
    b.fork = fork;
    b.timeline = timeline;
    b.lineage = 7;
    b.segment_size = kSegment;
    b.server_version = 150020;
    b.generation = {generation};
    b.created = sec(n);
    b.reason = parent == 0 ? BranchReason::kFirst : BranchReason::kTimelineSwitch;
    facts.branches.push_back(b);
    return facts.branches.back();
  }

  /// One object with one run, unless options continue an object.
  RunFact& run(std::uint8_t s, Position begin, Position end, RunOptions o = {}, std::uint8_t object = 0) {
    RunFact r;
    r.stream = stream(s);
    r.object = id<ObjectId>(object != 0 ? object : next++);
    r.range = {begin, end};
    r.first_frame = o.first_frame;
    r.last_frame = o.last_frame;
    if (o.join_start != 0) r.join_start = id<JoinTag>(o.join_start);
    if (o.join_end != 0) r.join_end = id<JoinTag>(o.join_end);
    r.min_commit = o.min_commit;
    r.max_commit = o.max_commit;
    r.first_server_time = r.last_server_time = o.as_of.is_none() ? o.max_commit : o.as_of;
    r.name = "run" + std::to_string(facts.runs.size());
    r.bytes = 100;
    facts.runs.push_back(r);
    return facts.runs.back();
  }

  SnapshotFact& snapshot(std::uint8_t n, std::uint8_t s, Position start, Position stop, Timestamp finished) {
    SnapshotFact f;
    f.id = id<SnapshotId>(n);
    f.stream = stream(s);
    f.start = start;
    f.stop = stop;
    f.started = f.finished = finished;
    f.raw_bytes = 1000;
    facts.snapshots.push_back(f);
    return facts.snapshots.back();
  }
};

/// A log as a table of records.
class TableIndex final : public LogIndex {
 public:
  struct Record {
    RecordPlace place;
    bool ends_transaction = false;
    std::uint32_t xid = 0;
    std::string point;
    StreamId stream;
  };
  std::vector<Record> records;

  void commit(std::uint8_t s, Position start, Position end, Timestamp time, std::uint32_t xid = 0) { records.push_back({{start, end, time}, true, xid, "", stele::recovery::test::stream(s)}); }
  void point(std::uint8_t s, Position start, Position end, std::string name) { records.push_back({{start, end, {}}, false, 0, std::move(name), stele::recovery::test::stream(s)}); }

  using Found = Result<std::optional<RecordPlace>>;
  Found first_end_after(const std::vector<LogPiece>& pieces, Position from, Timestamp time, bool exclusive) override {
    return first(pieces, from, [&](const Record& r) { return r.ends_transaction && (exclusive ? r.place.time >= time : r.place.time > time); });
  }
  Found end_of_transaction(const std::vector<LogPiece>& pieces, Position from, std::uint32_t xid) override {
    return first(pieces, from, [&](const Record& r) { return r.ends_transaction && r.xid == xid; });
  }
  Found restore_point(const std::vector<LogPiece>& pieces, Position from, const std::string& name) override {
    return first(pieces, from, [&](const Record& r) { return r.point == name; });
  }
  Found record_from(const std::vector<LogPiece>& pieces, Position from) override {
    return first(pieces, from, [](const Record&) { return true; });
  }
  Found last_record(const std::vector<LogPiece>& pieces, Position from) override {
    std::optional<RecordPlace> last;
    for (const Record& r : records) {
      if (r.place.start >= from && on_path(pieces, r)) last = r.place;
    }
    return last;
  }

 private:
  static bool on_path(const std::vector<LogPiece>& pieces, const Record& r) {
    if (pieces.empty() || r.place.end > pieces.back().range.end) return false;
    for (const LogPiece& p : pieces) {
      if (p.stream == r.stream && p.range.contains(r.place.start)) return true;
    }
    return false;
  }
  template <typename Match>
  Found first(const std::vector<LogPiece>& pieces, Position from, Match match) {
    for (const Record& r : records) {
      if (r.place.start >= from && on_path(pieces, r) && match(r)) return std::optional<RecordPlace>(r.place);
    }
    return std::optional<RecordPlace>();
  }
};

inline Target time_target(Timestamp t, bool exclusive = false) {
  Target out;
  out.kind = TargetKind::kTime;
  out.time = t;
  out.exclusive = exclusive;
  return out;
}
inline Target lsn_target(Position p, bool exclusive = false) {
  Target out;
  out.kind = TargetKind::kLsn;
  out.lsn = p;
  out.exclusive = exclusive;
  return out;
}

/// One branch, timeline 1: log [16, 80) in four objects, a snapshot at [18, 20) finished at 20 s, a commit each second.
inline FactsBuilder simple() {
  FactsBuilder b;
  b.branch(1, 1);
  for (std::uint64_t i = 1; i < 5; ++i) {
    const auto from = static_cast<std::int64_t>(i * 16), to = from + 16;
    b.run(1, at(i * 16), at(i * 16 + 16), {sec(from), sec(to - 1), 0, 9, static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i + 1), sec(to)});
  }
  b.snapshot(1, 1, at(18), at(20), sec(20));
  return b;
}

}  // namespace stele::recovery::test
