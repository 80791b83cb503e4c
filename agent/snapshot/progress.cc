#include "agent/snapshot/progress.h"

namespace stele::agent {

std::string_view to_string(SnapshotPhase phase) {
  switch (phase) {
    case SnapshotPhase::kIdle:
      return "idle";
    case SnapshotPhase::kConnecting:
      return "connecting";
    case SnapshotPhase::kCheckpoint:
      return "checkpoint";
    case SnapshotPhase::kReading:
      return "reading";
    case SnapshotPhase::kFinishing:
      return "finishing";
    case SnapshotPhase::kCommitting:
      return "committing";
  }
  return "unknown";
}

void SnapshotProgress::reset() {
  phase = SnapshotPhase::kIdle;
  for (auto* counter : {&raw_bytes, &estimated_bytes, &files, &chunks, &new_chunks, &new_raw_bytes, &sealed_bytes,
                        &sent_bytes, &suspect_pages, &buffered_bytes, &peak_buffered_bytes, &reconnects}) {
    *counter = 0;
  }
}

}  // namespace stele::agent
