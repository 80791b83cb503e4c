#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/recovery/plan.h"

namespace stele::restore {

/// What lies in a staging directory, and what is proven to be past the end (wal/README.md).
struct WalPlan {
  struct Timeline {
    std::uint32_t number = 0;
    Position begin;
    bool operator==(const Timeline&) const = default;
  };
  std::uint64_t segment_size = 0;
  Position begin, end;
  std::vector<Timeline> timelines;  ///< oldest first
  std::set<std::string> segments, histories;
  /// The branch that a standby follows; not zero: the log goes on, and what is not here comes later.
  StreamId following;

  std::string encode() const;
  static Result<WalPlan> decode(std::string_view text);

  enum class Answer { kDeliver, kPastEnd, kNotYet, kUnknown };
  /// What to answer for a file that PostgreSQL asks for. Pure.
  Answer answer(const std::string& name) const;
};

/// Canonical text of a timeline's history file, from a branch's switch points.
std::string history_text(std::uint32_t timeline, const std::vector<recovery::SwitchPoint>& history);

}  // namespace stele::restore
