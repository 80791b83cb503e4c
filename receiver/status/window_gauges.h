#pragma once

#include <map>

#include "core/recovery/windows.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

/// What a window's gauges say of one database; none: nothing can be restored.
struct WindowSpan {
  Timestamp earliest, latest;
  std::size_t open_gaps = 0;  ///< holes behind the last window of the current branch
  bool operator==(const WindowSpan&) const = default;
};
/// `ledgers`: what is held now; windows of the survey that reach its end grow with it.
WindowSpan window_span(const recovery::Survey& survey, const std::map<StreamId, StreamLedger>& ledgers);

/// Keeps the gauges of the recoverable windows. Reads a database's catalog again when its shape has changed (a snapshot, a hole, a branch,
/// a fact), and every few minutes. For one background thread.
class WindowGauges {
 public:
  WindowGauges(Keeper& keeper, Catalog& catalog, const ReceiverMetrics& metrics) : keeper_(keeper), catalog_(catalog), metrics_(metrics) {}
  /// The first error; the other databases are refreshed all the same.
  Status refresh(Timestamp now);

 private:
  struct Shape {
    std::size_t ranges = 0, snapshots = 0, facts = 0, branches = 0;
    bool operator==(const Shape&) const = default;
  };
  struct Held {
    Shape shape;
    Timestamp surveyed;
    recovery::Survey survey;
  };
  static Shape shape_of(Database& database);
  Keeper& keeper_;
  Catalog& catalog_;
  const ReceiverMetrics& metrics_;
  std::map<DatabaseName, Held> held_;
};

}  // namespace stele::receiver
