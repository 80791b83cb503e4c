#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::agent {

enum class SnapshotPhase : std::uint8_t { kIdle, kConnecting, kCheckpoint, kReading, kFinishing, kCommitting };
std::string_view to_string(SnapshotPhase phase);

/// Counters of the running snapshot, written by its threads and read by status and metrics. Thread-safe.
struct SnapshotProgress {
  std::atomic<SnapshotPhase> phase{SnapshotPhase::kIdle};
  std::atomic<std::uint64_t> raw_bytes{0};        ///< of files read so far
  std::atomic<std::uint64_t> estimated_bytes{0};  ///< PostgreSQL's estimate of all of them
  std::atomic<std::uint64_t> files{0};
  std::atomic<std::uint64_t> chunks{0};         ///< named so far
  std::atomic<std::uint64_t> new_chunks{0};     ///< of them sealed
  std::atomic<std::uint64_t> new_raw_bytes{0};  ///< of sealed chunks, before compression
  std::atomic<std::uint64_t> sealed_bytes{0};   ///< of sealed chunks
  std::atomic<std::uint64_t> sent_bytes{0};     ///< over all receivers, what was sent again included
  std::atomic<std::uint64_t> suspect_pages{0};
  std::atomic<std::uint64_t> buffered_bytes{0};  ///< held in memory now
  std::atomic<std::uint64_t> peak_buffered_bytes{0};
  std::atomic<std::uint64_t> reconnects{0};
  void reset();
};

/// A snapshot that was committed.
struct SnapshotReport {
  SnapshotId snapshot;
  StreamId stream;
  Digest manifest;  ///< identity of the manifest record
  Position start, stop;
  Timestamp started, finished;
  bool full = false;
  std::uint64_t raw_bytes = 0;      ///< of all files
  std::uint64_t chunk_count = 0;    ///< names in all lists
  std::uint64_t new_raw_bytes = 0;  ///< of the chunks that were not known, before compression
  std::uint64_t new_bytes = 0;      ///< sealed chunks
  std::uint64_t sent_bytes = 0;
  std::uint32_t damaged_pages = 0;
  std::uint64_t cleared_pages = 0;  ///< suspect, and the log brings them whole
  std::uint64_t peak_buffered_bytes = 0;
  std::vector<std::string> receivers;  ///< where it is committed
  std::vector<std::string>
      warnings;  ///< one line each, at most 200: damaged pages, missing extra files, receivers left out

  void warn(std::string text) {
    if (warnings.size() < 200) warnings.push_back(std::move(text));
  }
};

}  // namespace stele::agent
