#include "core/recovery/target.h"

#include <fmt/format.h>

#include <charconv>

#include "core/recovery/windows.h"

namespace stele::recovery {

std::string Target::to_string() const {
  std::string out;
  switch (kind) {
    case TargetKind::kLatest: out = "the latest moment"; break;
    case TargetKind::kTime: out = "time " + to_iso8601(time); break;
    case TargetKind::kLsn: out = "LSN " + lsn.to_string(); break;
    case TargetKind::kXid: out = fmt::format("transaction {}", xid); break;
    case TargetKind::kName: out = fmt::format("restore point \"{}\"", name); break;
    case TargetKind::kImmediate: out = "the earliest consistent moment of the newest snapshot"; break;
  }
  if (exclusive) out += " (exclusive)";
  if (!timeline.empty()) out += " on timeline " + timeline;
  return out;
}

Result<StreamId> resolve_timeline(const Facts& facts, const std::string& timeline) {
  if (timeline.empty() || timeline == "latest") {
    auto current = current_branch(facts);
    if (!current) return Error{ErrorCode::kUnreachable, fmt::format("nothing is known of any branch of {}", facts.database.to_string()), ""};
    return *current;
  }
  std::uint32_t number = 0;
  auto [end, ec] = std::from_chars(timeline.data(), timeline.data() + timeline.size(), number);
  const bool is_number = ec == std::errc() && end == timeline.data() + timeline.size();
  std::vector<const BranchFact*> found;
  if (is_number) {
    for (const BranchFact& b : facts.branches) {
      if (b.timeline == number) found.push_back(&b);
    }
  }
  if (found.empty() && timeline.size() >= 4) {
    for (const BranchFact& b : facts.branches) {
      if (b.stream.hex().starts_with(timeline)) found.push_back(&b);
    }
  }
  if (found.empty()) {
    return Error{ErrorCode::kUnreachable, fmt::format("no branch of {} is timeline or id {}", facts.database.to_string(), timeline),
                 "`stele-restore list` shows the branches"};
  }
  if (found.size() == 1) return found.front()->stream;
  std::string ids;
  for (const BranchFact* b : found) {
    ids += fmt::format("{}{} (begun {} at {})", ids.empty() ? "" : ", ", b->stream.hex().substr(0, 12), to_iso8601(b->created), b->fork.to_string());
  }
  return Error{ErrorCode::kAmbiguous, fmt::format("{} branches of {} are timeline {}", found.size(), facts.database.to_string(), timeline),
               "name one by its id: " + ids};
}

}  // namespace stele::recovery
