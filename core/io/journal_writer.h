#pragma once

#include <condition_variable>
#include <thread>

#include "core/io/journal.h"

namespace stele::io {

/// Group commit: one thread around a Journal. Everything queued while a sync runs goes into the next batch, so that one
/// fdatasync acknowledges the records of many sites at once. A second thread prepares files ahead.
class JournalWriter {
 public:
  using Callback = std::function<void(Result<std::vector<RecordId>>)>;
  /// One record; the pieces are owned and written one behind the other.
  using OwnedRecord = std::vector<Bytes>;

  struct Options {
    std::size_t max_queue_bytes = 32u << 20;  ///< submit beyond it is kLimit
    std::size_t max_batch_bytes = 8u << 20;   ///< written with one sync
    /// false: no thread; the owner calls `run_once()` (tests, simulation).
    bool threads = true;
  };

  JournalWriter(Journal& journal, Options options);
  /// Stops taking records, writes what is queued, calls every callback, joins.
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  /// Queues records that are to be durable together. The callback runs exactly once, on the journal's thread, in submit
  /// order, with the ids or the error of the batch; it must not block and must not throw. A refused submit (kLimit:
  /// queue full, request larger than a batch; kCancelled: stopping) does not call it. Thread-safe.
  Status submit(std::vector<OwnedRecord> records, Callback callback);

  /// False when a submit of so many bytes would find the queue full now: what it needs need not be prepared. Thread-safe.
  bool has_room(std::size_t bytes) const;

  /// Writes one batch of what is queued and runs its callbacks, on the caller's thread; false when nothing was queued.
  /// Only without threads.
  bool run_once();
  /// Refuses further submits, writes what is queued and joins. Idempotent.
  void stop();

  std::size_t queued_bytes() const;

 private:
  struct Request {
    std::vector<OwnedRecord> records;
    std::size_t bytes = 0;
    Callback callback;
  };
  std::vector<Request> take_batch_locked();
  void write(std::vector<Request> batch);
  void run();
  void run_preparer();

  Journal& journal_;
  const Options options_;
  const std::size_t batch_limit_;
  mutable std::mutex mutex_;
  std::condition_variable wake_, wake_preparer_;
  std::deque<Request> queue_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  bool stop_preparer_ = false;
  std::thread writer_, preparer_;
};

}  // namespace stele::io
