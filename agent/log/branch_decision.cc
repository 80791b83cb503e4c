#include "agent/log/branch_decision.h"

#include <fmt/format.h>

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
};

CommonPast find_common_past(const std::vector<KnownBranch>& known, const pg::TimelineHistory& history) {
  CommonPast best;
  for (const KnownBranch& branch : known) {
    const pg::TimelineHistory theirs = history_of(branch.record);
    if (!history.descends_from(theirs)) continue;
    const auto leaves = history.switch_point(theirs.tli);
    if (!leaves) continue;
    if (best.branch == nullptr || *leaves > best.end || (*leaves == best.end && branch.end > best.branch->end)) best = {&branch, *leaves};
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
  const CommonPast past = find_common_past(known, server.history);
  if (past.branch == nullptr) {
    out.kind = BranchDecision::Kind::kFork;
    out.why = fmt::format("the server's timeline {} has another history than the one streamed", server.history.tli);
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
