#include "agent/log/branch_decision.h"

#include <fmt/format.h>

#include <tuple>

namespace stele::agent {

pg::TimelineHistory history_of(const format::BranchRecord& record) {
  pg::TimelineHistory out;
  out.tli = record.timeline;
  Position begin;
  for (const format::TimelineSwitch& s : record.history) {
    out.ancestors.push_back({s.timeline, begin, s.end, ""});
    begin = s.end;
  }
  return out;
}

std::vector<format::TimelineSwitch> switches_of(const pg::TimelineHistory& history) {
  std::vector<format::TimelineSwitch> out;
  for (const pg::TimelineRange& range : history.ancestors) out.push_back({range.tli, range.end});
  return out;
}

Position overlap_begin(Position position, std::uint64_t segment_size) {
  const std::uint64_t in_segment = position.value % segment_size;
  if (in_segment != 0) return {position.value - in_segment};
  return position.value == 0 ? position : Position{position.value - segment_size};
}

namespace {

/// The branch that a server with this history continues: the known one with the longest common past.
struct CommonPast {
  const KnownBranch* branch = nullptr;
  Position end;
  bool ambiguous = false;  ///< other branches of that timeline fit as well, and none of them is the current one
};

CommonPast find_common_past(const std::vector<KnownBranch>& known, const KnownBranch& current, const ServerFacts& server) {
  CommonPast best;
  std::tuple<Position, std::uint32_t, bool> best_rank;
  for (const KnownBranch& branch : known) {
    if (branch.record.lineage != server.system_identifier) continue;  // from before an enrolment for another cluster
    const pg::TimelineHistory theirs = history_of(branch.record);
    if (!server.history.descends_from(theirs)) continue;
    const auto leaves = server.history.switch_point(theirs.tli);
    if (!leaves || *leaves < branch.record.fork) continue;
    // After a fork or a gap two branches are one timeline to PostgreSQL. The server continues the one it was seen with last: how far the
    // other one was streamed says nothing.
    const std::tuple rank(*leaves, theirs.tli, branch.record.nonce == current.record.nonce);
    if (best.branch != nullptr && rank == best_rank) best.ambiguous = true;
    if (best.branch != nullptr && rank <= best_rank) continue;
    best = {&branch, *leaves, false};
    best_rank = rank;
  }
  return best;
}

}  // namespace

Result<BranchDecision> decide_branch(const std::vector<KnownBranch>& known, const KnownBranch* current, const ServerFacts& server) {
  BranchDecision out;
  out.timeline = server.history.tli;
  if (current == nullptr) {
    out.why = "first start";
    return out;
  }
  if (current->record.lineage != server.system_identifier) {
    return Error{ErrorCode::kFork,
                 fmt::format("the server is another cluster: system identifier {}, streamed so far {}", server.system_identifier,
                             current->record.lineage),
                 "point the agent at the right server, or enrol again if this cluster replaces the old one"};
  }
  const pg::TimelineHistory ours = history_of(current->record);
  if (server.history == ours) {
    if (server.flush < current->end) {
      out.kind = BranchDecision::Kind::kFork;
      out.why = fmt::format("the server's log ends at {}, behind the {} that was streamed", server.flush.to_string(), current->end.to_string());
      return out;
    }
    out.kind = BranchDecision::Kind::kContinue;
    out.begin = current->end;
    return out;
  }
  if (server.history.descends_from(ours)) {
    const Position leaves = *server.history.switch_point(ours.tli);
    if (leaves > current->end) {
      out.kind = BranchDecision::Kind::kFinishOld;
      out.timeline = ours.tli;
      out.begin = current->end;
      out.switch_point = leaves;
      out.why = fmt::format("timeline {} ends at {}", ours.tli, leaves.to_string());
      return out;
    }
  }
  const CommonPast past = find_common_past(known, *current, server);
  if (past.branch == nullptr || past.ambiguous) {
    out.kind = BranchDecision::Kind::kFork;
    out.why = past.ambiguous ? fmt::format("several branches of timeline {} were streamed and any could be the past of the server's timeline {}",
                                           past.branch->record.timeline, server.history.tli)
                             : fmt::format("the server's timeline {} has another history than the one streamed", server.history.tli);
    return out;
  }
  out.kind = BranchDecision::Kind::kNewTimeline;
  out.begin = server.history.begin();
  out.parent = past.branch->record.stream();
  if (past.end < server.history.begin() || past.branch->end < past.end) {
    // Timelines in between were never streamed, or the parent's last bytes were not: the past cannot be joined.
    out.kind = BranchDecision::Kind::kFork;
    out.parent.reset();
    out.why = fmt::format("the log between {} and {} was never streamed", std::min(past.end, past.branch->end).to_string(),
                          server.history.begin().to_string());
    return out;
  }
  if (past.branch->end > past.end) out.abandoned = PositionRange{past.end, past.branch->end};
  out.why = fmt::format("timeline {} leaves timeline {} at {}", server.history.tli, past.branch->record.timeline, past.end.to_string());
  return out;
}

}  // namespace stele::agent
