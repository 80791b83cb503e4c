#include "receiver/status/window_span.h"

#include <algorithm>

namespace stele::receiver {

std::optional<WindowSpan> window_span(const DatabaseStatus& d) {
  if (!d.survey) return std::nullopt;
  WindowSpan out;
  std::optional<Position> current_end;
  for (const recovery::Window& window : d.windows) {
    if (out.earliest.is_none() || window.from.time < out.earliest) out.earliest = window.from.time;
    out.latest = std::max(out.latest, window.to.time);
    if (d.survey->current == window.head) current_end = std::max(current_end.value_or(Position{}), window.to.position);
  }
  // A branch without a window waits for its first snapshot: that is no gap.
  if (!current_end) return out;
  for (const StreamFacts& stream : d.streams) {
    if (stream.stream != *d.survey->current) continue;
    out.open_gaps = static_cast<std::size_t>(std::count_if(stream.ranges.begin(), stream.ranges.end(), [&](const PositionRange& r) { return r.begin > *current_end; }));
  }
  return out;
}

}  // namespace stele::receiver
