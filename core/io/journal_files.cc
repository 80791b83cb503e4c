// Creating journal files ahead and opening a journal.
#include <fmt/format.h>

#include "core/io/durable_file.h"
#include "core/io/journal.h"
#include "core/io/journal_scan.h"
#include "core/io/journal_segment.h"

namespace stele::io {

namespace {

constexpr std::uint64_t kSmallestFile = 64u << 10;
constexpr std::uint64_t kLargestFile = 1u << 30;

Status check_options(const JournalOptions& options) {
  if (options.file_bytes % kJournalBlock != 0 || options.file_bytes < kSmallestFile ||
      options.file_bytes > kLargestFile) {
    return Error{ErrorCode::kConfig, fmt::format("journal files of {} bytes", options.file_bytes),
                 "a multiple of 4096 between 64 KiB and 1 GiB"};
  }
  if (options.max_bytes < 2 * options.file_bytes) {
    return Error{ErrorCode::kConfig,
                 fmt::format("a journal of {} bytes with files of {}", options.max_bytes, options.file_bytes),
                 "give room for at least two files"};
  }
  return {};
}

}  // namespace

std::uint64_t Journal::file_count_locked() const {
  return live_.size() + free_.size() + unreadable_.size();
}

/// A zero-filled, synced file under its final name; the name is durable too. The caller holds create_mutex_.
Result<Journal::SegmentPtr> Journal::create_file() {
  const std::string path = options_.directory + "/" + journal_file_name(next_name_++);
  const std::string unfinished = path + std::string(kUnfinishedSuffix);
  const auto write = [&]() -> Result<std::shared_ptr<File>> {
    STELE_TRY(std::shared_ptr<File> file, fs_.open(unfinished, OpenMode::kCreateExclusive));
    STELE_CHECK(file->fill_zero(0, options_.file_bytes));
    JournalFileHeader header;
    header.file_bytes = options_.file_bytes;
    const Bytes bytes = encode_journal_header(header);
    STELE_CHECK(file->write_at(0, bytes));
    STELE_CHECK(file->write_at(kJournalBlock, bytes));
    STELE_CHECK(file->sync());
    STELE_CHECK(fs_.rename(unfinished, path));
    STELE_CHECK(fs_.sync_directory(options_.directory));
    return file;
  };
  auto file = write();
  if (!file.ok()) {
    // Whatever remains is a file that holds nothing; the next opening removes or uses it.
    (void)fs_.unlink(unfinished);
    (void)fs_.unlink(path);
    return file.error().in("create a journal file");
  }
  auto segment = std::make_shared<Segment>();
  segment->path = path;
  segment->file = std::move(*file);
  segment->size = options_.file_bytes;
  return segment;
}

Result<Journal::SegmentPtr> Journal::take_free() {
  const auto take = [&]() -> SegmentPtr {
    std::lock_guard lock(mutex_);
    if (free_.empty()) return nullptr;
    SegmentPtr segment = std::move(free_.back());
    free_.pop_back();
    return segment;
  };
  if (SegmentPtr segment = take()) return segment;
  std::lock_guard create_lock(create_mutex_);  // waits for a file that is being prepared
  if (SegmentPtr segment = take()) return segment;
  {
    std::lock_guard lock(mutex_);
    if ((file_count_locked() + 1) * options_.file_bytes > options_.max_bytes) {
      return Error{ErrorCode::kLimit,
                   fmt::format("journal {}: all of its {} bytes hold records that are still needed", options_.directory,
                               options_.max_bytes),
                   "look why records are not released, or raise its limit"};
    }
  }
  return create_file();
}

Status Journal::prepare_spare() {
  std::lock_guard create_lock(create_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (!free_.empty() || (file_count_locked() + 1) * options_.file_bytes > options_.max_bytes) return {};
  }
  STELE_TRY(SegmentPtr segment, create_file());
  std::lock_guard lock(mutex_);
  free_.push_back(std::move(segment));
  return {};
}

bool Journal::wants_spare() const {
  std::lock_guard lock(mutex_);
  if (!free_.empty() || (file_count_locked() + 1) * options_.file_bytes > options_.max_bytes) return false;
  return !current_ || current_->end > current_->size / 2;
}

Result<std::unique_ptr<Journal>> Journal::open(FileSystem& fs, RandomSource& random, JournalOptions options,
                                               const JournalVisitor& visitor) {
  STELE_CHECK(check_options(options));
  std::unique_ptr<Journal> journal(new Journal(fs, random, std::move(options)));
  STELE_CHECK(make_directories_durably(fs, journal->options_.directory));
  STELE_TRY(journal->lock_, fs.try_lock(journal->options_.directory + "/lock", journal->options_.holder));
  if (Status recovered = journal->recover(visitor); !recovered.ok()) {
    return recovered.error().in(fmt::format("open journal {}", journal->options_.directory));
  }
  return journal;
}

Status Journal::recover(const JournalVisitor& visitor) {
  STELE_TRY(JournalDirectory found, scan_directory(fs_, options_.directory, OpenMode::kReadWrite));
  next_name_ = found.highest_name + 1;
  for (const std::string& path : found.unfinished) STELE_CHECK(fs_.unlink(path));
  // Names that a dead process saw may not be durable yet.
  STELE_CHECK(fs_.sync_directory(options_.directory));

  const auto damage = [&](const JournalDamage& what) {
    ++summary_.damages;
    return visitor.on_damage(what);
  };
  for (const UnreadableFile& file : found.unreadable) {
    unreadable_[file.path] = file.size;
    STELE_CHECK(damage({file.path, 0, 0, file.size, file.reason}));
  }
  auto missing = found.missing.begin();
  for (JournalFile& file : found.chain) {
    for (; missing != found.missing.end() && missing->file < file.header.sequence; ++missing)
      STELE_CHECK(damage(*missing));
    const bool last = &file == &found.chain.back();
    auto segment = std::make_shared<Segment>();
    const auto deliver = [&](const ScannedBatch& batch) -> Status {
      for (const ScannedRecord& record : batch.records) {
        segment->add_record(record.offset);
        ++summary_.records;
        summary_.bytes += record.payload.size();
        STELE_CHECK(visitor.on_record({file.header.sequence, record.offset}, record.payload));
      }
      return {};
    };
    std::optional<ScannedBatch> held;  // of the last file: nothing proves yet that its sync finished
    auto scan = scan_file(file, [&](ScannedBatch batch) -> Status {
      if (!last) return deliver(batch);
      if (held) STELE_CHECK(deliver(*held));
      held = std::move(batch);
      return {};
    });
    if (!scan.ok()) return scan.error();
    summary_.torn_tail |= scan->torn;
    segment->path = file.path;
    segment->file = std::move(file.file);
    segment->size = file.size;
    segment->header = file.header;
    segment->end = scan->end;
    segment->abandoned = file.abandoned || scan->unreadable;
    segment->damaged = scan->damage.has_value();
    // Damage is known by a later batch, and that one proves what lies before; bytes that the disk does not give prove nothing.
    if (last) STELE_CHECK(rewrite_tail(*segment, scan->damage && !scan->unreadable ? std::nullopt : held));
    if (held) STELE_CHECK(deliver(*held));
    if (scan->damage) STELE_CHECK(damage(*scan->damage));
    live_.push_back(segment);
    if (last) {
      next_sequence_ = file.header.sequence + 1;
      previous_file_ = file.header.sequence;
      previous_end_ = segment->end;
      // A damaged file gets no further batches: it is evidence.
      if (!segment->damaged) current_ = segment;
    }
  }
  STELE_CHECK(adopt_others(std::move(found.others)));
  std::lock_guard lock(mutex_);
  retire_released_locked();
  return {};
}

/// What was found in the last file may be in the page cache only, also when it was synced with success after a failure:
/// it is written again, so that the pages are dirty, and synced, before any of it counts.
Status Journal::rewrite_tail(Segment& segment, const std::optional<ScannedBatch>& tail) {
  const Bytes header = encode_journal_header(segment.header);
  STELE_CHECK(segment.file->write_at(0, header));
  STELE_CHECK(segment.file->sync_data());
  STELE_CHECK(segment.file->write_at(kJournalBlock, header));
  if (tail) STELE_CHECK(segment.file->write_at(tail->offset, tail->bytes));
  return segment.file->sync_data();
}

/// Files that hold nothing that counts: used again, or removed when they are of another size or more than the limit
/// allows.
Status Journal::adopt_others(std::vector<JournalFile> others) {
  for (JournalFile& file : others) {
    next_sequence_ = std::max(next_sequence_, file.header.sequence + 1);
    if (file.size != options_.file_bytes || (file_count_locked() + 1) * options_.file_bytes > options_.max_bytes) {
      STELE_CHECK(fs_.unlink(file.path));
      continue;
    }
    auto segment = std::make_shared<Segment>();
    segment->path = file.path;
    segment->file = std::move(file.file);
    segment->size = file.size;
    free_.push_back(std::move(segment));
  }
  return {};
}

}  // namespace stele::io
