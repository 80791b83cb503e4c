#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>

#include "core/base/random.h"
#include "core/io/file_system.h"
#include "core/io/journal_reader.h"

namespace stele::io {

struct JournalFile;
struct ScannedBatch;

struct JournalOptions {
  std::string directory;
  std::uint64_t file_bytes = 64u << 20;  ///< multiple of 4096, at least 64 KiB
  std::uint64_t max_bytes = 1u << 30;    ///< of all files together; at least two files. Appending beyond it is kLimit.
  std::string holder = "stele";          ///< written into the lock file, shown to whoever finds the journal locked
};

/// One record given in pieces, so that a header and a payload need not be copied together.
using RecordPieces = std::span<const ByteView>;

/// The append-only journal on recycled, zero-filled files: the receiver's landing and the agent's spool (TRUST.md
/// section 3; the bytes are in JOURNAL.md). One process opens it for writing, by a lock file.
///
/// `append`, `read`, `release`, `prepare_spare` and the figures are thread-safe; `append` blocks for a write and one
/// fdatasync, and concurrent callers wait for each other (use JournalWriter to share a sync).
class Journal {
 public:
  ~Journal();

  /// Opens or creates a journal and gives every record to the visitor, in append order, before it returns. The last
  /// batch, whose sync may not have finished, is written again and synced before it counts. Damage goes to `on_damage`
  /// and stays until `release_damage`. Also gives records that were released in files not yet reused: release them
  /// again. kTemporary: another process holds it. kConfig: options. Other errors: the disk's, or the visitor's.
  static Result<std::unique_ptr<Journal>> open(FileSystem& fs, RandomSource& random, JournalOptions options,
                                               const JournalVisitor& visitor);

  /// Appends one batch and returns when it is durable; all or nothing. kLimit: `max_bytes` is used up (release
  /// something) or the batch is larger than `max_batch_bytes()`, a record larger than `max_record_bytes()`: nothing was
  /// written. kDiskFull: no room for a new file. kIo: a write or a sync failed, the file is abandoned for good, nothing
  /// of the batch counts; the next call tries a new file.
  Result<std::vector<RecordId>> append(std::span<const RecordPieces> records);

  /// A record's payload, verified; kDamaged when it is not what was written, kNotFound when its file was reused.
  Result<Bytes> read(RecordId id);

  /// The record is safe elsewhere (in a synced object whose directory is synced, or acknowledged). Files are reused in
  /// order, when all their records and those of all older files were released. A record that was released already is
  /// ignored.
  void release(RecordId id);
  /// Releases every record up to and including `last`.
  void release_through(RecordId last);
  /// The damage of this file (JournalDamage.file and .path) was durably recorded: it may be removed with the rest of
  /// the file.
  void release_damage(const JournalDamage& damage);

  /// Makes the next file ready, so that `append` need not wait for zero-filling. Does nothing when one is ready or the
  /// limit is reached. For a background thread.
  Status prepare_spare();
  /// True when `prepare_spare` would have something to do soon: the current file is half full and no other is ready.
  bool wants_spare() const;

  std::uint64_t max_record_bytes() const;
  std::uint64_t max_batch_bytes() const;
  /// Bytes of the files that hold records which cannot be reused yet (file bytes, released records between them
  /// included).
  std::uint64_t live_bytes() const;
  /// Bytes that fit in all files together.
  std::uint64_t capacity() const;
  /// True after an append failed for another reason than a limit, until one succeeds: readiness is red.
  bool failed() const { return failed_.load(); }
  /// Files given up after a failed write or sync since the start.
  std::uint64_t abandoned_files() const { return abandoned_.load(); }
  const JournalSummary& recovered() const { return summary_; }

 private:
  struct Segment;
  using SegmentPtr = std::shared_ptr<Segment>;

  Journal(FileSystem& fs, RandomSource& random, JournalOptions options);
  Status recover(const JournalVisitor& visitor);
  Status rewrite_tail(Segment& segment, const std::optional<ScannedBatch>& tail);
  Status adopt_others(std::vector<JournalFile> others);

  Status activate_next();
  Result<SegmentPtr> take_free();
  Result<SegmentPtr> create_file();
  Status write_batch(Segment& segment, std::span<const RecordPieces> records, std::uint64_t bytes,
                     std::vector<RecordId>& ids);
  Error abandon(const SegmentPtr& segment, const Error& cause);
  std::uint64_t file_count_locked() const;
  SegmentPtr find_locked(std::uint64_t sequence) const;
  void retire_released_locked();

  FileSystem& fs_;
  RandomSource& random_;
  const JournalOptions options_;
  std::unique_ptr<FileLock> lock_;
  JournalSummary summary_;

  std::mutex append_mutex_;      // one appender, held over the sync; taken first. Guards next_sequence_ and previous_*.
  std::mutex create_mutex_;      // one creator of files; taken before mutex_. Guards next_name_.
  mutable std::mutex mutex_;     // guards the lists and what changes in a segment
  std::deque<SegmentPtr> live_;  // in sequence order; the last one may be current_
  SegmentPtr current_;           // where the next batch goes, if it fits
  std::vector<SegmentPtr> free_;    // may be used again
  std::vector<SegmentPtr> doomed_;  // abandoned and released: removed once a newer file says that they are not missed
  std::map<std::string, std::uint64_t> unreadable_;  // path and size of files whose header is damaged
  std::uint64_t next_sequence_ = 1;
  std::uint64_t next_name_ = 1;
  std::uint64_t previous_file_ = 0, previous_end_ = 0;  // of the file before, while there is no current one
  bool previous_abandoned_ = false;
  std::atomic<bool> failed_{false};
  std::atomic<std::uint64_t> abandoned_{0};
};

}  // namespace stele::io
