#include "receiver/status/window_gauges.h"

#include <algorithm>

#include "receiver/status/database_facts.h"

namespace stele::receiver {

namespace {
constexpr auto kSurveyAgain = std::chrono::minutes(5);
}  // namespace

WindowSpan window_span(const recovery::Survey& survey, const std::map<StreamId, StreamLedger>& ledgers) {
  WindowSpan out;
  Position current_end;
  bool has_current = false;
  for (const recovery::Window& window : survey.windows) {
    recovery::Moment to = window.to;
    if (auto ledger = ledgers.find(window.head); ledger != ledgers.end()) {
      for (const PositionRange& range : ledger->second.ranges().ranges()) {
        if (to.position < range.begin || to.position > range.end) continue;
        to.position = range.end;
        if (range.end == ledger->second.durable_end()) to.time = std::max(to.time, ledger->second.last_server_time());
      }
    }
    if (out.earliest.is_none() || window.from.time < out.earliest) out.earliest = window.from.time;
    out.latest = std::max(out.latest, to.time);
    if (survey.current == window.head) {
      has_current = true;
      current_end = std::max(current_end, to.position);
    }
  }
  if (!has_current) return out;
  if (auto ledger = ledgers.find(*survey.current); ledger != ledgers.end()) {
    for (const PositionRange& range : ledger->second.ranges().ranges()) out.open_gaps += range.begin > current_end ? 1 : 0;
  }
  return out;
}

/// With the database's lock held.
WindowGauges::Shape WindowGauges::shape_of(Database& d) {
  Shape out{0, d.snapshots, d.trust.facts().size(), d.trust.branches().size()};
  for (const auto& [stream, ledger] : d.streams) out.ranges += ledger.ranges().ranges().size();
  return out;
}

Status WindowGauges::refresh(Timestamp now) {
  Status first;
  for (Database* d : keeper_.databases()) {
    Held& held = held_[d->name];
    Shape shape;
    {
      std::lock_guard lock(d->mutex);
      shape = shape_of(*d);
    }
    if (held.surveyed.is_none() || held.shape != shape || now - held.surveyed >= kSurveyAgain) {
      auto facts = facts_of(*d, catalog_);
      if (!facts.ok()) {
        if (first.ok()) first = facts.error().in("windows of " + d->name.to_string());
        continue;
      }
      held = {shape, now, recovery::survey(*facts)};
    }
    std::lock_guard lock(d->mutex);
    const WindowSpan span = window_span(held.survey, d->streams);
    metrics_.window(d->name, span.earliest, span.latest, span.open_gaps);
  }
  return first;
}

}  // namespace stele::receiver
