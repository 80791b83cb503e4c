#include "core/recovery/coverage.h"

#include <fmt/format.h>

#include <set>

namespace stele::recovery {

namespace {

/// Orders the runs of one object and keeps those that can be decoded from frame 0 on.
ObjectLog join_runs(const Facts& facts, std::vector<std::size_t> runs, std::vector<std::size_t>& undecodable) {
  std::sort(runs.begin(), runs.end(), [&](std::size_t a, std::size_t b) {
    const RunFact &x = facts.runs[a], &y = facts.runs[b];
    return std::tuple(x.first_frame, y.last_frame, a) < std::tuple(y.first_frame, x.last_frame, b);
  });
  ObjectLog out;
  std::uint64_t next = 0;
  for (std::size_t i : runs) {
    const RunFact& run = facts.runs[i];
    if (run.first_frame > next) {
      undecodable.push_back(i);
      continue;
    }
    if (run.last_frame < next) continue;  // all its frames are in earlier runs
    if (out.runs.empty()) {
      out.stream = run.stream;
      out.object = run.object;
      out.range = run.range;
      out.join_start = run.join_start;
    }
    out.range.end = run.range.end;
    out.join_end = run.join_end;
    out.runs.push_back(i);
    next = std::uint64_t{run.last_frame} + 1;
  }
  return out;
}

bool joins(const JoinTag& a, const JoinTag& b) { return a.is_zero() || b.is_zero() || a == b; }

/// The runs of the object that hold the bytes below `end`, and as-ofs at their end.
std::vector<std::size_t> runs_up_to(const Facts& facts, const ObjectLog& object, Position end) {
  std::vector<std::size_t> out;
  for (std::size_t i : object.runs) {
    if (facts.runs[i].range.end > end && facts.runs[i].range.begin >= end) break;
    out.push_back(i);
  }
  return out;
}

}  // namespace

LogMap::LogMap(const Facts& facts) : facts_(&facts) {
  std::map<StreamId, std::map<ObjectId, std::vector<std::size_t>>> by_object;
  for (std::size_t i = 0; i < facts.runs.size(); ++i) by_object[facts.runs[i].stream][facts.runs[i].object].push_back(i);
  for (auto& [id, objects] : by_object) {
    StreamLog& log = streams_[id];
    for (auto& [object, runs] : objects) {
      ObjectLog joined = join_runs(facts, std::move(runs), log.undecodable);
      if (!joined.runs.empty()) log.objects.push_back(std::move(joined));
    }
    std::sort(log.objects.begin(), log.objects.end(), [](const ObjectLog& a, const ObjectLog& b) {
      return std::tuple(a.range.begin, b.range.end, a.object) < std::tuple(b.range.begin, a.range.end, b.object);
    });
  }
}

const StreamLog& LogMap::stream(const StreamId& id) const {
  static const StreamLog kNothing;
  auto found = streams_.find(id);
  return found == streams_.end() ? kNothing : found->second;
}

Timestamp LogMap::as_of(const StreamId& id, Position end) const {
  Position best;
  Timestamp time;
  for (const ObjectLog& object : stream(id).objects) {
    for (std::size_t i : object.runs) {
      const RunFact& run = facts_->runs[i];
      if (run.range.end > end || run.range.end < best) continue;
      if (run.range.end > best) time = {};
      best = run.range.end;
      time = std::max(time, run.last_server_time);
    }
  }
  return time;
}

Position LogMap::end_of(const StreamId& id) const {
  Position end;
  for (const ObjectLog& object : stream(id).objects) end = std::max(end, object.range.end);
  return end;
}

const PathPart* BranchPath::part_at(Position p) const {
  for (const PathPart& part : parts) {
    if (part.range.begin <= p && (p < part.range.end || part.range.end == kEndOfTime)) return &part;
  }
  return nullptr;
}

const PathPart* BranchPath::part_of(const StreamId& stream) const {
  for (const PathPart& part : parts) {
    if (part.stream == stream) return &part;
  }
  return nullptr;
}

Result<BranchPath> path_to(const Facts& facts, const StreamId& head) {
  BranchPath path;
  StreamId at = head;
  Position end = kEndOfTime;
  for (std::size_t steps = 0;; ++steps) {
    const BranchFact* branch = facts.branch(at);
    if (branch == nullptr) {
      if (steps == 0) return Error{ErrorCode::kNotFound, fmt::format("no branch {}", head.short_hex()), ""};
      break;  // the parent's record is not here: the path begins at the fork
    }
    if (steps > facts.branches.size()) return Error{ErrorCode::kDamaged, fmt::format("the ancestors of branch {} form a circle", head.short_hex()), ""};
    if (branch->fork < end) {
      path.parts.push_back(PathPart{at, branch->timeline, {branch->fork, end}});
      end = branch->fork;
    }
    // Only a timeline switch continues its parent's bytes; after a fork or a new enrolment nothing says that they do.
    if (branch->parent.is_zero() || branch->reason != BranchReason::kTimelineSwitch) break;
    const BranchFact* parent = facts.branch(branch->parent);
    if (parent != nullptr && parent->lineage != branch->lineage) break;
    at = branch->parent;
  }
  if (path.parts.empty()) return Error{ErrorCode::kDamaged, fmt::format("branch {} begins behind its own end", head.short_hex()), ""};
  std::reverse(path.parts.begin(), path.parts.end());
  return path;
}

namespace {

Timestamp last_time(const Facts& facts, const ObjectLog& object) { return facts.runs[object.runs.back()].last_server_time; }

LogPiece piece_of(const Facts& facts, const PathPart& part, const ObjectLog& object, PositionRange range) {
  LogPiece piece;
  piece.stream = part.stream;
  piece.timeline = part.timeline;
  piece.object = object.object;
  piece.object_begin = object.range.begin;
  piece.range = range;
  piece.runs = runs_up_to(facts, object, range.end);
  return piece;
}

/// Covers [from, to) within one stream. An object whose join tag did not fit is of another history and stays out.
void cover_stream(const LogMap& log, const PathPart& part, Position from, Position to, Cover& out) {
  const std::vector<ObjectLog>& objects = log.stream(part.stream).objects;
  const ObjectLog* previous = nullptr;
  std::set<const ObjectLog*> strangers;
  Position at = from;
  std::size_t first = 0;
  while (at < to) {
    const ObjectLog* best = nullptr;
    while (first < objects.size() && objects[first].range.end <= at) ++first;
    for (std::size_t i = first; i < objects.size(); ++i) {
      const ObjectLog& object = objects[i];
      if (object.range.begin > at) break;
      if (object.range.end <= at || strangers.contains(&object)) continue;
      if (previous != nullptr && object.range.begin == at && previous->range.end == at && !joins(previous->join_end, object.join_start)) {
        out.mismatches.push_back(JoinMismatch{part.stream, at, previous->object, object.object});
        strangers.insert(&object);
        continue;
      }
      // Of two that reach equally far, the one that knows a later time there.
      if (best == nullptr || std::tuple(object.range.end, last_time(log.facts(), object)) > std::tuple(best->range.end, last_time(log.facts(), *best))) best = &object;
    }
    if (best == nullptr) break;
    out.pieces.push_back(piece_of(log.facts(), part, *best, {at, std::min(to, best->range.end)}));
    at = out.pieces.back().range.end;
    previous = best;
  }
  out.end = at;
  // Objects that only say that the source was here: an idle source's, after its agent connected anew.
  for (const ObjectLog& object : objects) {
    if (object.range.empty() && object.range.begin == at) out.pieces.push_back(piece_of(log.facts(), part, object, object.range));
  }
}

/// The first position at or behind `from` where the stream has bytes.
std::optional<Position> next_begin(const LogMap& log, const PathPart& part, Position from) {
  std::optional<Position> found;
  for (const ObjectLog& object : log.stream(part.stream).objects) {
    if (object.range.empty() || object.range.end <= from || object.range.begin >= part.range.end) continue;
    const Position begin = std::max({object.range.begin, from, part.range.begin});
    if (begin < std::min(object.range.end, part.range.end) && (!found || begin < *found)) found = begin;
  }
  return found;
}

}  // namespace

Cover cover_path(const LogMap& log, const BranchPath& path, Position from, Position to) {
  Cover out;
  out.end = from;
  bool broken = false;
  for (const PathPart& part : path.parts) {
    const Position end = std::min(part.range.end, to);
    if (end <= out.end && !broken) continue;
    if (!broken) {
      if (part.range.begin > out.end) broken = true;  // the path itself begins later
      else cover_stream(log, part, out.end, end, out);
      if (out.end < end) broken = true;
    }
    if (broken && !out.resumes) {
      auto next = next_begin(log, part, std::max(out.end, part.range.begin));
      // Right behind a mismatch the log is there, but of another history: that is no resumption one can wait for.
      if (next) out.resumes = *next;
    }
  }
  return out;
}

Timestamp as_of(const Facts& facts, const Cover& cover) {
  Position best;
  Timestamp time;
  for (const LogPiece& piece : cover.pieces) {
    for (std::size_t i : piece.runs) {
      const RunFact& run = facts.runs[i];
      if (run.range.end > piece.range.end || run.range.end < best) continue;
      if (run.range.end > best) time = {};
      best = run.range.end;
      time = std::max(time, run.last_server_time);
    }
  }
  return time;
}

std::vector<Gap> gaps_of(const LogMap& log, const StreamId& stream) {
  std::vector<Gap> out;
  const StreamLog& objects = log.stream(stream);
  std::optional<Position> end;
  for (const ObjectLog& object : objects.objects) {
    if (end && object.range.begin > *end) {
      Gap gap{stream, {*end, object.range.begin}, log.as_of(stream, *end), {}, "no log here"};
      const Facts& facts = log.facts();
      gap.after = facts.runs[object.runs.front()].first_server_time;
      for (std::size_t i : objects.undecodable) {
        const RunFact& run = facts.runs[i];
        if (run.range.begin < gap.range.end && run.range.end > gap.range.begin) gap.reason = "the beginning of an object is missing";
      }
      out.push_back(std::move(gap));
    }
    end = end ? std::max(*end, object.range.end) : object.range.end;
  }
  for (std::size_t i : objects.undecodable) {
    const RunFact& run = log.facts().runs[i];
    if (!end || run.range.end > *end) {
      out.push_back(Gap{stream, {end.value_or(run.range.begin), run.range.end}, log.as_of(stream, end.value_or(Position{})), run.last_server_time,
                        "the beginning of an object is missing"});
      end = run.range.end;
    }
  }
  return out;
}

}  // namespace stele::recovery
