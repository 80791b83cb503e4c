#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/format/frame.h"
#include "core/io/journal_writer.h"

namespace stele::agent {

/// Something that goes to every receiver in order: a frame, or a ledger fact between frames.
struct SpoolEntry {
  enum class Kind : std::uint8_t { kFrame = 1, kFact = 2 };
  std::uint64_t sequence = 0;  ///< 1, 2, 3 ... in this opening of the spool
  Kind kind = Kind::kFrame;
  StreamId stream;
  EpochId epoch;
  ObjectId object;
  std::uint32_t number = 0;
  bool object_last = false;
  bool is_signed = false;
  PositionRange range;
  Digest head;
  Digest previous;  ///< chain head before
  JoinTag join;
  Generation generation;
  std::size_t size = 0;

  std::shared_ptr<const Bytes> bytes;      ///< encoded; empty where only the disk has it
  std::optional<io::RecordId> record;      ///< set when durable (mode "file")
  bool durable = false;
};

/// The agent's encrypted spool: what was sealed and is not yet held by the receivers it is owed to. In mode "file" a journal on disk, in
/// mode "none" memory only. Frames may be sent before they are durable here (in parallel with the sync).
///
/// One journal batch is under way at a time; what is appended meanwhile goes together into the next. So nothing behind a batch that
/// failed ever reaches the disk, and the frames on it have no hole.
///
/// Thread-safe. The log thread appends; the journal's thread reports durability; uplinks read by sequence and say what may go.
class FrameSpool {
 public:
  static constexpr std::uint64_t kMaxInMemory = 32u << 20;  ///< mode "none"
  struct Options {
    std::string directory;               ///< empty: mode "none"
    std::uint64_t max_bytes = 1 << 30;   ///< of the disk; mode "none": no more than kMaxInMemory
    std::uint64_t file_bytes = 64 << 20;
    std::size_t memory_bytes = 48 << 20; ///< durable entries beyond this are read back from the disk
    bool threads = true;                 ///< false: the owner calls run_once() (tests)
  };
  struct Callbacks {
    std::function<void()> on_append;                         ///< something can be sent; any thread
    std::function<void(const SpoolEntry& last)> on_durable;  ///< everything up to a signed entry is durable; journal's thread
    std::function<void(const Error&)> on_failure;            ///< the disk failed: frames behind the durable end are gone, facts are kept
  };

  /// Recovers what the disk holds. kDamaged where acknowledged bytes of the spool are lost.
  static Result<std::unique_ptr<FrameSpool>> open(io::FileSystem& fs, RandomSource& random, Options options);
  ~FrameSpool();
  void set_callbacks(Callbacks callbacks);  ///< once, before the first append
  /// Writes what is queued and ends the journal's threads; no callback comes after it. Appending is refused. Idempotent.
  void close();

  /// Appends frames together; the last one must be signed. kLimit: full, nothing was taken: hold and try again. kIo: frames before these
  /// were lost with the disk's failure, the encoder must begin anew at last_frame().
  Status append(std::vector<format::Frame> frames);
  /// Facts are always taken: a full disk keeps them in memory until there is room.
  Status append_fact(const format::SignedRecord& fact, const StreamId& stream);
  /// Waits until everything that was appended is durable, lost, or waiting for room. False: the deadline passed first.
  bool settle(Instant deadline);
  /// Waiting for room: nothing more is taken, until a batch found room. `retry` tries; the outcome comes later.
  bool stalled() const;
  void retry();
  /// Writes one batch on the caller's thread; only without threads.
  bool run_once();

  /// The entry after `sequence`, its bytes loaded (may read the disk); nothing when there is none yet.
  Result<std::optional<SpoolEntry>> next_after(std::uint64_t sequence);
  /// What a receiver durably holds of one stream, as it says.
  struct Held {
    ObjectId object;          ///< of its last frame; zero: nothing
    std::uint32_t frame = 0;
    Position durable_end;
    bool sent_by_us = true;   ///< false: not by this process; then only log from before it is taken to be there
  };
  struct Resume {
    std::uint64_t after = 0;  ///< go on with the entry behind this sequence
    bool gap = false;         ///< the spool no longer has everything that the receiver lacks
    std::optional<SpoolEntry> next;  ///< the first frame behind `after`, without its bytes
    std::vector<std::uint64_t> facts;  ///< facts at or before `after`: repeating one is harmless, missing one is not
  };
  /// Where to go on with a receiver: exactly behind its last frame in that frame's object, else at the start of the first object that
  /// reaches past what it holds. Never in the middle of an object that it does not hold.
  Resume resume(const std::map<StreamId, Held>& held) const;

  /// Every receiver that counts holds everything up to `sequence`: whole objects before it may go. The last object stays, for receivers
  /// that go on inside it; while more than half of the spool is used only its last frame stays.
  void release_through(std::uint64_t sequence);
  /// This very frame is in the spool.
  bool holds(const ObjectId& object, std::uint32_t frame, const Digest& head) const;

  std::optional<SpoolEntry> last_frame() const;  ///< without its bytes
  std::optional<SpoolEntry> last_durable_frame() const;
  std::vector<EpochId> epochs() const;
  std::uint64_t first_sequence() const;
  std::uint64_t bytes() const;       ///< of entries not yet released
  std::uint64_t disk_bytes() const;  ///< of journal files in use: many small batches take far more of it than bytes()
  bool has_room() const;             ///< not waiting for room, and half of the disk space is free
  std::uint64_t capacity() const { return options_.max_bytes; }
  bool on_disk() const { return !options_.directory.empty(); }
  bool failed() const;
  std::size_t unsynced() const;      ///< entries that are not durable yet

 private:
  explicit FrameSpool(Options options) : options_(std::move(options)) {}
  Status recover(io::FileSystem& fs, RandomSource& random);
  Status take(std::vector<SpoolEntry> entries, bool always);
  Status check_follows(const std::vector<SpoolEntry>& entries) const;
  struct Batch {
    std::vector<io::JournalWriter::OwnedRecord> records;
    std::uint64_t first = 0, last = 0;  ///< sequences
  };
  std::optional<Batch> next_batch_locked();
  void submit(Batch batch);
  void on_written(std::uint64_t first, std::uint64_t last, Result<std::vector<io::RecordId>> ids);
  void drop_lost_frames_locked();
  void evict_locked();
  std::uint64_t used_locked() const;

  const Options options_;
  Callbacks callbacks_;
  mutable std::mutex mutex_;
  std::condition_variable settled_;
  std::deque<SpoolEntry> entries_;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t bytes_ = 0;
  std::size_t memory_ = 0;
  std::optional<SpoolEntry> last_frame_, last_durable_;
  /// Where the log of the spool ends: the next object of that stream begins here or before.
  std::optional<std::pair<StreamId, Position>> end_of_log_;
  std::map<StreamId, Position> recovered_;  ///< ends of what the disk held at the opening
  std::size_t unsynced_ = 0;
  std::size_t unsynced_bytes_ = 0;
  bool writing_ = false;   // a batch is with the journal
  bool stalled_ = false;   // the last one found no room
  bool closed_ = false;
  std::unique_ptr<io::Journal> journal_;
  std::unique_ptr<io::JournalWriter> writer_;
};

}  // namespace stele::agent
