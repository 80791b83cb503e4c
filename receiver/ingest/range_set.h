#pragma once

#include <map>
#include <vector>

#include "core/base/identity.h"

namespace stele::receiver {

/// Ranges of positions, merged where they touch. Pure.
class RangeSet {
 public:
  /// An empty range changes nothing.
  void add(PositionRange range);
  void remove(PositionRange range);
  /// True when one merged range holds all of it. An empty range is covered when its position lies in or at the end of a range.
  bool covers(PositionRange range) const;
  /// Where the merged range that ends at `end` begins; `end` itself when there is none.
  Position begin_of(Position end) const;
  std::vector<PositionRange> ranges() const;
  bool empty() const { return ranges_.empty(); }
  std::size_t size() const { return ranges_.size(); }

 private:
  std::map<Position, Position> ranges_;  // begin, end
};

}  // namespace stele::receiver
