#pragma once

#include "receiver/status/fleet.h"

namespace stele::receiver {

/// What the window's gauges say of one database; none: nothing can be restored.
struct WindowSpan {
  Timestamp earliest, latest;
  std::size_t open_gaps = 0;  ///< ranges of the current branch that lie behind its last window
};
/// Nothing before the database was surveyed the first time. Pure.
std::optional<WindowSpan> window_span(const DatabaseStatus& database);

}  // namespace stele::receiver
