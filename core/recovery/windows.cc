#include "core/recovery/windows.h"

#include <fmt/format.h>

namespace stele::recovery {

namespace {

bool is_ancestor(const Facts& facts, const StreamId& ancestor, StreamId of) {
  for (std::size_t steps = 0; steps <= facts.branches.size(); ++steps) {
    const BranchFact* b = facts.branch(of);
    if (b == nullptr || b->parent.is_zero()) return false;
    if (b->parent == ancestor) return true;
    of = b->parent;
  }
  return false;
}

/// Up to where two branches of one lineage are one history, by their timelines; kEndOfTime when these are the same.
Position common_end(const BranchFact& a, const BranchFact& b) {
  auto timelines = [](const BranchFact& f) {
    std::vector<SwitchPoint> out = f.history;
    out.push_back({f.timeline, kEndOfTime});
    return out;
  };
  const std::vector<SwitchPoint> left = timelines(a), right = timelines(b);
  Position end;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()) && left[i].timeline == right[i].timeline; ++i) {
    end = std::min(left[i].end, right[i].end);
    if (left[i].end != right[i].end) break;
  }
  return end;
}

Position segment_begin(Position p, std::uint64_t segment_size) { return segment_size == 0 ? p : Position{p.value / segment_size * segment_size}; }

/// The source's clock at `end` of a path.
Timestamp as_of_path(const LogMap& log, const BranchPath& path, Position end) {
  for (auto part = path.parts.rbegin(); part != path.parts.rend(); ++part) {
    if (part->range.begin > end) continue;
    const Timestamp t = log.as_of(part->stream, std::min(end, part->range.end));
    if (!t.is_none()) return t;
  }
  return {};
}

Timestamp last_commit_behind(const LogMap& log, const StreamId& stream, Position from) {
  Timestamp last;
  for (const ObjectLog& object : log.stream(stream).objects) {
    for (std::size_t i : object.runs) {
      const RunFact& run = log.facts().runs[i];
      if (run.range.end > from) last = std::max(last, run.max_commit);
    }
  }
  return last;
}

}  // namespace

std::optional<StreamId> current_branch(const Facts& facts) {
  const BranchFact* best = nullptr;
  for (const BranchFact& b : facts.branches) {
    if (best == nullptr) {
      best = &b;
    } else if (b.generation != best->generation) {
      if (b.generation > best->generation) best = &b;
    } else if (is_ancestor(facts, best->stream, b.stream)) {
      best = &b;
    } else if (!is_ancestor(facts, b.stream, best->stream) && std::tuple(b.created, b.timeline) > std::tuple(best->created, best->timeline)) {
      best = &b;
    }
  }
  if (best == nullptr) return std::nullopt;
  return best->stream;
}

std::vector<AbandonedTail> abandoned_tails(const LogMap& log, const StreamId& head) {
  std::vector<AbandonedTail> out;
  const Facts& facts = log.facts();
  auto path = path_to(facts, head);
  const BranchFact* at = facts.branch(head);
  if (!path.ok() || at == nullptr) return out;
  for (const BranchFact& b : facts.branches) {
    if (b.lineage != at->lineage || b.stream == head || is_ancestor(facts, head, b.stream)) continue;
    StreamId left_by = path->head();
    const BranchFact& root = *facts.branch(path->parts.front().stream);
    const Position common = common_end(*at, b);
    Position from = std::max(b.fork, common == kEndOfTime ? root.fork : common);
    for (std::size_t i = 0; i < path->parts.size(); ++i) {
      if (path->parts[i].stream != b.stream) continue;
      from = path->parts[i].range.end;
      if (i + 1 < path->parts.size()) left_by = path->parts[i + 1].stream;
    }
    const Position end = log.end_of(b.stream);
    if (end <= from) continue;
    const bool anew = root.reason == BranchReason::kFirst || root.reason == BranchReason::kNewEnrolment;
    const bool chosen = anew && b.generation < root.generation && path->part_of(b.stream) == nullptr;
    out.push_back(AbandonedTail{b.stream, left_by, b.timeline, {from, end}, last_commit_behind(log, b.stream, from), log.as_of(b.stream, end), chosen});
  }
  return out;
}

Survey survey(const Facts& facts) {
  Survey out;
  const LogMap log(facts);
  out.current = current_branch(facts);
  if (out.current) out.tails = abandoned_tails(log, *out.current);

  std::vector<StreamId> ends;  // the heads whose windows are worth a line
  for (const BranchFact& b : facts.branches) {
    BranchHead head{b.stream, b.timeline, b.lineage, {}, out.current == b.stream, false};
    for (const BranchFact& other : facts.branches) head.continued |= other.parent == b.stream;
    const Position end = log.end_of(b.stream);
    head.end = {std::max(end, b.fork), log.as_of(b.stream, end)};
    const bool tail = std::any_of(out.tails.begin(), out.tails.end(), [&](const AbandonedTail& t) { return t.stream == b.stream; });
    if (head.current || tail || !head.continued) ends.push_back(b.stream);
    out.heads.push_back(head);
    auto gaps = gaps_of(log, b.stream);
    out.gaps.insert(out.gaps.end(), gaps.begin(), gaps.end());
  }

  std::vector<SnapshotFact> snapshots = facts.snapshots;
  std::sort(snapshots.begin(), snapshots.end(), [](const SnapshotFact& a, const SnapshotFact& b) {
    return std::tuple(a.stop, a.finished, a.id) < std::tuple(b.stop, b.finished, b.id);
  });
  for (const SnapshotFact& s : snapshots) {
    SnapshotState state{s, false, ""};
    auto path = path_to(facts, s.stream);
    if (!path.ok()) {
      state.why_not = "its branch is not known";
    } else {
      const Position from = segment_begin(s.start, facts.branch(s.stream)->segment_size);
      const Cover cover = cover_path(log, *path, from, s.stop);
      state.usable = cover.end >= s.stop;
      if (!state.usable) state.why_not = fmt::format("the log from {} to {} is not complete: it ends at {}", from.to_string(), s.stop.to_string(), cover.end.to_string());
    }
    out.snapshots.push_back(std::move(state));
  }

  for (const StreamId& head : ends) {
    auto path = path_to(facts, head);
    if (!path.ok()) continue;
    for (const SnapshotState& state : out.snapshots) {
      const SnapshotFact& s = state.fact;
      const PathPart* part = path->part_of(s.stream);
      if (!state.usable || part == nullptr || s.stop > part->range.end) continue;
      Cover cover = cover_path(log, *path, s.stop, kEndOfTime);
      for (const JoinMismatch& m : cover.mismatches) {
        const bool known = std::any_of(out.mismatches.begin(), out.mismatches.end(), [&](const JoinMismatch& o) {
          return o.stream == m.stream && o.position == m.position && o.after == m.after;
        });
        if (!known) out.mismatches.push_back(m);
      }
      Window* last = out.windows.empty() ? nullptr : &out.windows.back();
      if (last != nullptr && last->head == head && last->to.position == cover.end) {
        last->snapshots.push_back(s.id);
        continue;
      }
      Moment to{cover.end, as_of_path(log, *path, cover.end)};
      to.time = std::max(to.time, s.finished);  // a snapshot whose log ends at its stop
      out.windows.push_back(Window{head, path->parts.back().timeline, {s.stop, s.finished}, to, {s.id}});
    }
  }
  return out;
}

}  // namespace stele::recovery
