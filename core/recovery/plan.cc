#include "core/recovery/plan.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <limits>
#include <set>

#include "core/pg/wal_page.h"
#include "core/pg/wal_segment.h"

namespace stele::recovery {

namespace {

Position segment_begin(Position p, std::uint64_t segment_size) { return segment_size == 0 ? p : Position{p.value / segment_size * segment_size}; }

/// recovery_target_time as PostgreSQL reads it whatever DateStyle and zone are.
std::string postgres_time(Timestamp t) {
  std::int64_t seconds = t.micros / 1'000'000, micros = t.micros % 1'000'000;
  if (micros < 0) {
    micros += 1'000'000;
    --seconds;
  }
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:06}+00", fmt::gmtime(static_cast<std::time_t>(seconds)), micros);
}

enum class Verdict { kHit, kOlderSnapshot, kUnclear, kUnreachable };

/// One attempt: does this snapshot reach the target, and how?
struct Attempt {
  Verdict verdict = Verdict::kUnreachable;
  std::string why;
  Position end;
  RecoveryTarget recovery;
  Moment reaches;
  bool exact = false;
  std::vector<std::string> notes;
};

class Planner {
 public:
  Planner(const Facts& facts, const Target& target, const PlanOptions& options, LogIndex* index)
      : facts_(facts), target_(target), options_(options), index_(index), log_(facts) {}

  Result<Plan> run() {
    STELE_TRY(const StreamId head, resolve_timeline(facts_, target_.timeline));
    STELE_TRY(path_, path_to(facts_, head));
    segment_size_ = facts_.branch(path_.head())->segment_size;
    STELE_CHECK(check_tails(head));
    collect_candidates();
    if (candidates_.empty()) return refuse("no usable snapshot is on this history");
    Attempt attempt;
    STELE_TRY(const SnapshotFact* chosen, choose(false, attempt));
    if (chosen == nullptr) {
      Attempt damaged;
      STELE_TRY(chosen, choose(true, damaged));
      if (chosen != nullptr) {
        if (!options_.accept_damaged) {
          return Error{ErrorCode::kDamaged,
                       fmt::format("only snapshot {} reaches {}, and {} of its pages are damaged", chosen->id.short_hex(), target_.to_string(), chosen->damaged_pages),
                       "--accept-damaged restores it all the same; check the tables afterwards (amcheck)"};
        }
        attempt = damaged;
      }
    }
    if (chosen == nullptr) {
      if (attempt.verdict == Verdict::kUnclear) {
        return Error{ErrorCode::kKeyMissing, fmt::format("whether {} is reachable cannot be told from the headers: {}", target_.to_string(), attempt.why),
                     "give a recovery key, so that the log can be read"};
      }
      return refuse(attempt.why);
    }
    return finish(*chosen, attempt);
  }

 private:
  Error refuse(std::string_view why) const {
    const Nearest nearest = nearest_moments(survey(facts_), target_);
    return Error{ErrorCode::kUnreachable, fmt::format("{} cannot be reached: {}; nothing was written", target_.to_string(), why), nearest.to_string()};
  }

  /// Refuses when commits exist that this history does not contain and the operator has not chosen.
  Status check_tails(const StreamId& head) {
    for (const AbandonedTail& tail : abandoned_tails(log_, head)) {
      if (tail.last_commit.is_none()) {
        notes_.push_back(fmt::format("timeline {} goes on to {} behind {} without a commit; left out", tail.timeline, tail.range.end.to_string(), tail.range.begin.to_string()));
        continue;
      }
      if (index_ != nullptr) {
        STELE_TRY(const bool commits, tail_has_commits(tail));
        if (!commits) continue;
      }
      const std::string what = fmt::format("timeline {} (branch {}) has confirmed commits from {} to {} (last {}) that are not in timeline {}", tail.timeline,
                                           tail.stream.hex().substr(0, 12), tail.range.begin.to_string(), tail.range.end.to_string(), to_iso8601(tail.last_commit),
                                           path_.parts.back().timeline);
      if (!target_.timeline.empty() || options_.accept_abandoned || tail.chosen || !in_doubt(tail)) {
        notes_.push_back(what);
        continue;
      }
      return Error{ErrorCode::kAmbiguous, what,
                   fmt::format("choose: --target-timeline {} for them, --target-timeline latest (or --accept-abandoned) to leave them out", tail.stream.hex().substr(0, 12))};
    }
    return {};
  }

  Result<bool> tail_has_commits(const AbandonedTail& tail) {
    auto path = path_to(facts_, tail.stream);
    if (!path.ok()) return true;
    const Position from = segment_begin(tail.range.begin, segment_size_);
    const Cover cover = cover_path(log_, *path, from, tail.range.end);
    if (cover.end < tail.range.end) return true;
    STELE_TRY(auto place, index_->first_end_after(cover.pieces, tail.range.begin, Timestamp{std::numeric_limits<std::int64_t>::min()}, false));
    return place.has_value();
  }

  /// Whether the target lies where the two histories differ.
  bool in_doubt(const AbandonedTail& tail) const {
    switch (target_.kind) {
      case TargetKind::kLatest: return true;
      case TargetKind::kTime: return target_.time >= log_.as_of(tail.stream, tail.range.begin);
      case TargetKind::kLsn: return target_.lsn > tail.range.begin && target_.lsn <= tail.range.end;
      case TargetKind::kXid:
      case TargetKind::kName:
      case TargetKind::kImmediate: return false;
    }
    return true;
  }

  /// Snapshots on the path, newest first by stop position.
  void collect_candidates() {
    for (const SnapshotFact& s : facts_.snapshots) {
      for (const PathPart& part : path_.parts) {
        if (part.stream == s.stream && s.stop <= part.range.end) candidates_.push_back(&s);
      }
    }
    std::sort(candidates_.begin(), candidates_.end(), [](const SnapshotFact* a, const SnapshotFact* b) {
      return std::tuple(a->stop, a->finished, a->id) > std::tuple(b->stop, b->finished, b->id);
    });
  }

  /// The newest snapshot that reaches the target; null: none, and `attempt` says why.
  Result<const SnapshotFact*> choose(bool with_damaged, Attempt& attempt) {
    attempt.why = "no usable snapshot is on this history";
    bool unclear = false;
    Position searched_to = kEndOfTime;
    for (const SnapshotFact* s : candidates_) {
      if (s->damaged_pages != 0 && !with_damaged) continue;
      Cover cover = cover_path(log_, path_, segment_begin(s->start, segment_size_), kEndOfTime);
      if (cover.end < s->stop) {
        attempt.why = fmt::format("snapshot {} lacks log: it ends at {}, before the snapshot's stop {}", s->id.short_hex(), cover.end.to_string(), s->stop.to_string());
        attempt.verdict = Verdict::kUnreachable;
        continue;
      }
      STELE_TRY(attempt, examine(*s, cover, searched_to));
      if (attempt.verdict == Verdict::kHit) return s;
      unclear |= attempt.verdict == Verdict::kUnclear;
      if (attempt.verdict == Verdict::kUnreachable) break;
      searched_to = s->stop;
    }
    if (unclear && attempt.verdict != Verdict::kUnreachable) attempt.verdict = Verdict::kUnclear;
    return nullptr;
  }

  Result<Attempt> examine(const SnapshotFact& s, const Cover& cover, Position searched_to) {
    switch (target_.kind) {
      case TargetKind::kLatest: return examine_latest(s, cover);
      case TargetKind::kTime: return examine_time(s, cover);
      case TargetKind::kLsn: return examine_lsn(s, cover);
      case TargetKind::kXid:
      case TargetKind::kName: return examine_record(s, cover, searched_to);
      case TargetKind::kImmediate: break;
    }
    Attempt a;
    a.verdict = Verdict::kHit;
    a.end = s.stop;
    a.recovery.kind = RecoveryKind::kImmediate;
    a.reaches = {s.stop, s.finished};
    a.exact = true;
    if (index_ != nullptr) {
      // PostgreSQL notices "immediate" only at the next record that it reads (access/transam/xlogrecovery.c, recoveryStopsAfter), and the log
      // of this plan ends at the stop: the last record before it is named instead.
      STELE_TRY(const RecordPlace last, last_record(s, up_to(cover.pieces, s.stop)));
      a.recovery = {RecoveryKind::kLsn, last.start.to_string(), true};
    }
    return a;
  }

  Timestamp as_of(const Cover& cover) const { return recovery::as_of(facts_, cover); }

  static std::vector<LogPiece> up_to(std::vector<LogPiece> pieces, Position end) {
    while (!pieces.empty() && pieces.back().range.begin >= end) pieces.pop_back();
    if (!pieces.empty()) pieces.back().range.end = std::min(pieces.back().range.end, end);
    return pieces;
  }

  /// The last record of a log that reaches the snapshot's stop. Needs the index.
  Result<RecordPlace> last_record(const SnapshotFact& s, const std::vector<LogPiece>& pieces) {
    STELE_TRY(auto last, index_->last_record(pieces, s.start));
    if (!last || last->end < s.stop) {
      return Error{ErrorCode::kDamaged, fmt::format("the log of snapshot {} has no complete record up to its stop {}", s.id.short_hex(), s.stop.to_string()), ""};
    }
    return *last;
  }

  /// Everything up to the end of the log. With an index PostgreSQL is told the last record, so that it fails rather than end early.
  Result<Attempt> to_end_of_log(const SnapshotFact& s, const Cover& cover) {
    Attempt a;
    a.verdict = Verdict::kHit;
    a.end = cover.end;
    a.reaches = {cover.end, std::max(as_of(cover), s.finished)};
    a.exact = true;
    if (index_ != nullptr) {
      STELE_TRY(const RecordPlace last, last_record(s, cover.pieces));
      a.recovery = {RecoveryKind::kLsn, last.start.to_string(), true};
      a.reaches.position = last.end;
    }
    return a;
  }

  Result<Attempt> examine_latest(const SnapshotFact& s, const Cover& cover) {
    if (cover.resumes) {
      Attempt a;
      a.why = fmt::format("the log has a hole at {} and goes on at {}, and no snapshot lies behind it", cover.end.to_string(), cover.resumes->to_string());
      return a;
    }
    if (!cover.mismatches.empty() && cover.mismatches.back().position == cover.end) {
      Attempt a;
      a.why = fmt::format("two objects of the log that meet at {} belong to different histories", cover.end.to_string());
      return a;
    }
    return to_end_of_log(s, cover);
  }

  /// Where PostgreSQL says that it is when it stops before a record: where the record before ended. A page's header may lie between.
  Position before(Position record) const {
    const bool long_header = segment_size_ != 0 && record.value % segment_size_ < pg::kWalPageSize;
    const std::uint64_t header = long_header ? pg::kLongPageHeaderSize : pg::kShortPageHeaderSize;
    return record.value % pg::kWalPageSize == header ? Position{record.value - header} : record;
  }

  bool later(Timestamp commit) const { return target_.exclusive ? commit >= target_.time : commit > target_.time; }

  Result<Attempt> examine_time(const SnapshotFact& s, const Cover& cover) {
    Attempt a;
    if (s.finished > target_.time) {
      a.verdict = Verdict::kOlderSnapshot;
      a.why = fmt::format("the oldest usable snapshot was finished at {}", to_iso8601(s.finished));
      return a;
    }
    if (index_ != nullptr) {
      STELE_TRY(auto place, index_->first_end_after(cover.pieces, s.start, target_.time, target_.exclusive));
      if (place && place->start < s.stop) {
        a.verdict = Verdict::kOlderSnapshot;
        a.why = "the oldest usable snapshot already contains later commits";
        return a;
      }
      if (place) return stop_at_time(place->end, {before(place->start), target_.time}, true);
    } else {
      for (const LogPiece& piece : cover.pieces) {
        for (std::size_t i : piece.runs) {
          const RunFact& run = facts_.runs[i];
          if (run.range.end <= std::max(s.start, piece.range.begin) || run.max_commit.is_none() || !later(run.max_commit)) continue;
          if (run.range.end <= s.stop) {
            a.verdict = Verdict::kOlderSnapshot;
            a.why = "the oldest usable snapshot already contains later commits";
            return a;
          }
          if (run.range.begin < s.stop) {
            a.verdict = Verdict::kUnclear;
            a.why = fmt::format("a later commit lies at {} to {}, around the stop of snapshot {}", run.range.begin.to_string(), run.range.end.to_string(), s.id.short_hex());
            return a;
          }
          // A run that reaches past the point where the path leaves its branch may hold its late commit behind it: look further.
          if (run.range.end > piece.range.end) continue;
          return stop_at_time(run.range.end, {run.range.begin, target_.time}, false);
        }
      }
    }
    const Timestamp last = as_of(cover);
    if (target_.time > std::max(last, s.finished)) {
      a.why = fmt::format("the log that is here ends at {}", Moment{cover.end, last}.to_string());
      return a;
    }
    STELE_TRY(a, to_end_of_log(s, cover));
    a.reaches.time = target_.time;
    a.notes.push_back(fmt::format("no commit follows {} up to the source's time {}: recovery goes to the end of that log", to_iso8601(target_.time), to_iso8601(std::max(last, s.finished))));
    return a;
  }

  Attempt stop_at_time(Position end, Moment reaches, bool exact) const {
    Attempt a;
    a.verdict = Verdict::kHit;
    a.end = end;
    a.recovery = {RecoveryKind::kTime, postgres_time(target_.time), !target_.exclusive};
    a.reaches = reaches;
    a.exact = exact;
    return a;
  }

  Result<Attempt> examine_lsn(const SnapshotFact& s, const Cover& cover) {
    Attempt a;
    if (s.stop > target_.lsn) {
      a.verdict = Verdict::kOlderSnapshot;
      a.why = fmt::format("the oldest usable snapshot stops at {}", s.stop.to_string());
      return a;
    }
    if (target_.lsn > cover.end) {
      a.why = fmt::format("the log that is here ends at {}", Moment{cover.end, as_of(cover)}.to_string());
      return a;
    }
    if (index_ == nullptr) {
      if (target_.lsn == cover.end) return to_end_of_log(s, cover);
      a.end = cover.end;
      a.reaches = {target_.lsn, {}};
    } else {
      STELE_TRY(auto place, index_->record_from(cover.pieces, target_.lsn));
      // No record starts at or behind the target: everything before it is the whole log.
      if (!place) return to_end_of_log(s, cover);
      a.end = place->end;
      a.reaches = {target_.exclusive ? before(place->start) : place->end, {}};
      a.exact = true;
    }
    a.verdict = Verdict::kHit;
    a.recovery = {RecoveryKind::kLsn, target_.lsn.to_string(), !target_.exclusive};
    return a;
  }

  Result<Attempt> examine_record(const SnapshotFact& s, const Cover& cover, Position searched_to) {
    Attempt a;
    if (index_ == nullptr) return Error{ErrorCode::kKeyMissing, fmt::format("{} can only be found with a key", target_.to_string()), "give a recovery key"};
    const std::vector<LogPiece> pieces = up_to(cover.pieces, searched_to);
    Result<std::optional<RecordPlace>> found = target_.kind == TargetKind::kXid ? index_->end_of_transaction(pieces, s.start, target_.xid)
                                                                              : index_->restore_point(pieces, s.start, target_.name);
    if (!found.ok()) return found.error();
    if (!*found || (*found)->start < s.stop) {
      a.verdict = Verdict::kOlderSnapshot;
      a.why = *found ? "the oldest usable snapshot already contains it" : "it is not in the log that is here";
      return a;
    }
    const RecordPlace& place = **found;
    a.verdict = Verdict::kHit;
    a.end = place.end;
    const bool exclusive = target_.exclusive && target_.kind == TargetKind::kXid;
    a.recovery = target_.kind == TargetKind::kXid ? RecoveryTarget{RecoveryKind::kXid, std::to_string(target_.xid), !exclusive}
                                                  : RecoveryTarget{RecoveryKind::kName, target_.name, true};
    a.reaches = {exclusive ? before(place.start) : place.end, place.time};
    a.exact = true;
    return a;
  }

  Plan finish(const SnapshotFact& s, Attempt& attempt) {
    Plan plan;
    plan.target = target_;
    plan.snapshot = s;
    plan.segment_size = segment_size_;
    plan.log_begin = segment_begin(s.start, segment_size_);
    plan.end = attempt.end;
    plan.recovery = std::move(attempt.recovery);
    plan.reaches = attempt.reaches;
    plan.exact = attempt.exact;
    plan.notes = std::move(notes_);
    plan.notes.insert(plan.notes.end(), attempt.notes.begin(), attempt.notes.end());
    if (s.damaged_pages != 0) plan.notes.push_back(fmt::format("snapshot {} has {} damaged pages", s.id.short_hex(), s.damaged_pages));
    // Only the branches up to where recovery ends: a switch that is not reached is none of this history.
    for (const PathPart& part : path_.parts) {
      if (part.range.begin < plan.end || plan.path.parts.empty()) plan.path.parts.push_back(part);
    }
    plan.path.parts.back().range.end = kEndOfTime;
    plan.timeline = plan.path.parts.back().timeline;
    plan.history = facts_.branch(plan.path.head())->history;
    // A branch that began before its own timeline (a rebuilt server, enrolled anew) also holds the end of the one before.
    while (!plan.history.empty() && plan.end <= plan.history.back().end) {
      plan.timeline = plan.history.back().timeline;
      plan.history.pop_back();
    }
    plan.log = cover_path(log_, plan.path, plan.log_begin, plan.end).pieces;
    std::set<std::size_t> seen;
    for (const LogPiece& piece : plan.log) {
      plan.log_raw_bytes += piece.range.size();
      for (std::size_t i : piece.runs) {
        if (!seen.insert(i).second) continue;
        plan.runs.push_back(i);
        plan.log_stored_bytes += facts_.runs[i].bytes;
      }
    }
    plan.segments = wal_segments(plan.timeline, plan.history, plan.log_begin, plan.end, segment_size_);
    return plan;
  }

  const Facts& facts_;
  const Target& target_;
  const PlanOptions& options_;
  LogIndex* index_;
  LogMap log_;
  BranchPath path_;
  std::uint64_t segment_size_ = 0;
  std::vector<const SnapshotFact*> candidates_;
  std::vector<std::string> notes_;
};

}  // namespace

std::string Nearest::to_string() const {
  if (!before && !after) return "nothing can be restored yet";
  std::string out = "nearest reachable:";
  if (before) out += " before, " + before->to_string();
  if (before && after) out += ";";
  if (after) out += " after, " + after->to_string();
  return out;
}

Nearest nearest_moments(const Survey& survey, const Target& target) {
  Nearest out;
  auto offer = [](std::optional<Moment>& slot, const Moment& m, bool latest) {
    if (!slot || (latest ? m.position > slot->position : m.position < slot->position)) slot = m;
  };
  for (const Window& w : survey.windows) {
    switch (target.kind) {
      case TargetKind::kTime:
        if (w.to.time < target.time) offer(out.before, w.to, true);
        if (w.from.time > target.time) offer(out.after, w.from, false);
        break;
      case TargetKind::kLsn:
        if (w.to.position < target.lsn) offer(out.before, w.to, true);
        if (w.from.position > target.lsn) offer(out.after, w.from, false);
        break;
      default: offer(out.before, w.to, true);
    }
  }
  return out;
}

std::vector<std::string> wal_segments(std::uint32_t timeline, const std::vector<SwitchPoint>& history, Position begin, Position end, std::uint64_t segment_size) {
  std::vector<std::string> out;
  if (segment_size == 0) return out;
  for (std::uint64_t number = begin.value / segment_size; number * segment_size < end.value; ++number) {
    const Position last{std::min((number + 1) * segment_size, end.value) - 1};
    std::uint32_t of_segment = timeline;
    for (auto earlier = history.rbegin(); earlier != history.rend() && last < earlier->end; ++earlier) of_segment = earlier->timeline;
    out.push_back(pg::wal_file_name({of_segment, number}, static_cast<std::uint32_t>(segment_size)));
  }
  return out;
}

Result<Plan> make_plan(const Facts& facts, const Target& target, const PlanOptions& options, LogIndex* index) {
  return Planner(facts, target, options, index).run();
}

}  // namespace stele::recovery
