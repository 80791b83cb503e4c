#include "core/io/journal.h"

#include <fmt/format.h>

#include "core/io/journal_segment.h"

namespace stele::io {

namespace {

std::uint64_t payload_size(RecordPieces pieces) {
  std::uint64_t size = 0;
  for (ByteView piece : pieces) size += piece.size();
  return size;
}

}  // namespace

Journal::Journal(FileSystem& fs, RandomSource& random, JournalOptions options)
    : fs_(fs), random_(random), options_(std::move(options)) {}
Journal::~Journal() = default;

std::uint64_t Journal::max_batch_bytes() const {
  return std::min<std::uint64_t>(kMaxBatchBytes, options_.file_bytes - kJournalDataStart);
}

std::uint64_t Journal::max_record_bytes() const {
  return std::min<std::uint64_t>(kMaxRecordBytes, max_batch_bytes() - kBatchHeaderBytes - kRecordHeaderBytes);
}

std::uint64_t Journal::capacity() const {
  return options_.max_bytes;
}

Result<std::vector<RecordId>> Journal::append(std::span<const RecordPieces> records) {
  if (records.empty()) return std::vector<RecordId>{};
  std::uint64_t bytes = kBatchHeaderBytes;
  for (RecordPieces record : records) {
    std::uint64_t size = payload_size(record);
    if (size > max_record_bytes()) {
      return Error{ErrorCode::kLimit,
                   fmt::format("append to journal {}: a record of {} bytes, at most {} are allowed", options_.directory,
                               size, max_record_bytes()),
                   ""};
    }
    bytes += kRecordHeaderBytes + size;
  }
  if (bytes > max_batch_bytes() || records.size() > kMaxBatchRecords) {
    return Error{ErrorCode::kLimit,
                 fmt::format("append to journal {}: a batch of {} records and {} bytes is too large",
                             options_.directory, records.size(), bytes),
                 ""};
  }

  std::lock_guard append_lock(append_mutex_);
  SegmentPtr segment;
  {
    std::lock_guard lock(mutex_);
    segment = current_;
  }
  if (!segment || align_to_block(segment->end) + align_to_block(bytes) > segment->size) {
    if (Status activated = activate_next(); !activated.ok()) {
      if (activated.error().code != ErrorCode::kLimit) failed_ = true;
      return activated.error();
    }
    std::lock_guard lock(mutex_);
    segment = current_;
  }
  std::vector<RecordId> ids;
  if (Status written = write_batch(*segment, records, bytes, ids); !written.ok())
    return abandon(segment, written.error());
  failed_ = false;
  return ids;
}

Status Journal::write_batch(Segment& segment, std::span<const RecordPieces> records, std::uint64_t bytes,
                            std::vector<RecordId>& ids) {
  static const Bytes kPadding(kJournalBlock);
  const std::uint64_t incarnation = segment.header.incarnation;
  const std::uint64_t start = align_to_block(segment.end);
  std::vector<Bytes> headers;
  headers.reserve(records.size() + 1);
  std::vector<ByteView> pieces;
  BatchHeader batch{static_cast<std::uint32_t>(records.size()), static_cast<std::uint32_t>(bytes), segment.end};
  pieces.push_back(headers.emplace_back(encode_batch_header(batch, incarnation, start)));
  std::uint64_t at = start + kBatchHeaderBytes;
  for (RecordPieces record : records) {
    ids.push_back({segment.header.sequence, at});
    pieces.push_back(headers.emplace_back(encode_record_header(record, incarnation, at)));
    pieces.insert(pieces.end(), record.begin(), record.end());
    at += kRecordHeaderBytes + payload_size(record);
  }
  // Whole blocks: the kernel need not read the rest of a block before it changes part of it, and no later write touches
  // this block.
  pieces.push_back(ByteView(kPadding).first(static_cast<std::size_t>(align_to_block(at) - at)));
  STELE_CHECK(segment.file->write_at(start, pieces));
  STELE_CHECK(segment.file->sync_data());
  std::lock_guard lock(mutex_);
  segment.end = at;
  for (const RecordId& id : ids) segment.add_record(id.offset);
  return {};
}

Error Journal::abandon(const SegmentPtr& segment, const Error& cause) {
  failed_ = true;
  ++abandoned_;
  previous_file_ = segment->header.sequence;
  previous_end_ = segment->end;
  previous_abandoned_ = true;
  std::lock_guard lock(mutex_);
  segment->abandoned = true;
  current_.reset();
  retire_released_locked();
  return cause.in("append to journal")
      .with_hint(
          "the disk refused a write: look at the kernel log; the file is not used again, what was acknowledged is "
          "kept");
}

/// Takes the next file into use. Its header says where the one before ended, so that this one's existence proves those
/// bytes.
Status Journal::activate_next() {
  SegmentPtr old;
  std::uint64_t oldest = 0;
  {
    std::lock_guard lock(mutex_);
    old = current_;
  }
  STELE_TRY(SegmentPtr next, take_free());
  {
    std::lock_guard lock(mutex_);
    oldest = live_.empty() ? next_sequence_ : live_.front()->header.sequence;
  }
  JournalFileHeader header;
  header.sequence = next_sequence_++;
  header.incarnation = random_.u64();
  header.file_bytes = next->size;
  header.oldest_file = oldest;
  header.previous_file = old ? old->header.sequence : previous_file_;
  header.previous_end = old ? old->end : previous_end_;
  header.previous_abandoned = old ? false : previous_abandoned_;
  next->header = header;
  const Bytes bytes = encode_journal_header(header);
  const auto write_header = [&]() -> Status {
    // One copy after the other: at every instant one of them is whole.
    for (std::uint64_t offset : {std::uint64_t{0}, kJournalBlock}) {
      STELE_CHECK(next->file->write_at(offset, bytes));
      STELE_CHECK(next->file->sync_data());
    }
    return {};
  };
  if (Status written = write_header(); !written.ok()) {
    ++abandoned_;
    // Its header may survive, also the removal below, and says where the old file ended: nothing more may be written there, for nobody
    // would look behind that end. No record is in the new file and no other one will name it, so it may be left on disk.
    if (old) {
      previous_file_ = old->header.sequence;
      previous_end_ = old->end;
      previous_abandoned_ = false;
      std::lock_guard lock(mutex_);
      current_.reset();
      retire_released_locked();
    }
    (void)fs_.unlink(next->path);
    (void)fs_.sync_directory(options_.directory);
    return written.error().in("take a new journal file into use");
  }

  std::vector<SegmentPtr> doomed;
  {
    std::lock_guard lock(mutex_);
    current_ = next;
    live_.push_back(next);
    doomed.swap(doomed_);
    retire_released_locked();
  }
  for (const SegmentPtr& segment : doomed) {
    // The new header's `oldest_file` is behind these files: nobody misses them. One that cannot be removed now is
    // removed at the next opening.
    if (segment->header.sequence < oldest) {
      (void)fs_.unlink(segment->path);
    } else {
      std::lock_guard lock(mutex_);
      doomed_.push_back(segment);
    }
  }
  return {};
}

Result<Bytes> Journal::read(RecordId id) {
  SegmentPtr segment;
  {
    std::lock_guard lock(mutex_);
    segment = find_locked(id.file);
    if (segment && segment->find(id.offset) == segment->records.size()) segment.reset();
  }
  if (!segment)
    return Error{ErrorCode::kNotFound, fmt::format("read journal record {}/{}: no such record", id.file, id.offset),
                 ""};
  const auto damaged = [&](std::string_view why) {
    return Error{ErrorCode::kDamaged, fmt::format("read {} at {}: {}", segment->path, id.offset, why),
                 "the disk changed or lost acknowledged bytes"};
  };
  STELE_TRY(Bytes head, segment->file->read_exactly(id.offset, kRecordHeaderBytes));
  auto header = decode_record_header(head);
  if (!header) return damaged("not a record");
  STELE_TRY(Bytes payload, segment->file->read_exactly(id.offset + kRecordHeaderBytes, header->length));
  if (!record_matches(*header, payload, segment->header.incarnation, id.offset))
    return damaged("the record does not match its checksum");
  return payload;
}

Journal::SegmentPtr Journal::find_locked(std::uint64_t sequence) const {
  auto at = std::lower_bound(live_.begin(), live_.end(), sequence, [](const SegmentPtr& segment, std::uint64_t wanted) {
    return segment->header.sequence < wanted;
  });
  return at != live_.end() && (*at)->header.sequence == sequence ? *at : nullptr;
}

void Journal::release(RecordId id) {
  std::lock_guard lock(mutex_);
  SegmentPtr segment = find_locked(id.file);
  if (!segment) return;
  if (std::size_t index = segment->find(id.offset); index < segment->records.size()) segment->release(index);
  retire_released_locked();
}

void Journal::release_through(RecordId last) {
  std::lock_guard lock(mutex_);
  for (const SegmentPtr& segment : live_) {
    if (segment->header.sequence > last.file) break;
    for (std::size_t i = 0; i < segment->records.size(); ++i) {
      if (segment->header.sequence == last.file && segment->records[i] > last.offset) break;
      segment->release(i);
    }
  }
  retire_released_locked();
}

void Journal::release_damage(const JournalDamage& damage) {
  std::lock_guard lock(mutex_);
  if (auto at = unreadable_.find(damage.path); damage.file == 0 && at != unreadable_.end()) {
    // A file that stays because it cannot be removed is reported again at the next opening: nothing is lost by that.
    (void)fs_.unlink(damage.path);
    unreadable_.erase(at);
    return;
  }
  if (SegmentPtr segment = find_locked(damage.file); segment && segment->path == damage.path) segment->damaged = false;
  retire_released_locked();
}

/// Moves files from the front of the line, whose records were all released, to those that may be used again.
void Journal::retire_released_locked() {
  while (!live_.empty()) {
    const SegmentPtr front = live_.front();
    if (front == current_ || front->unreleased > 0 || front->damaged) return;
    live_.pop_front();
    if (front->abandoned || front->size != options_.file_bytes) {
      doomed_.push_back(front);
      continue;
    }
    auto fresh = std::make_shared<Segment>();  // a new one: a reader may still hold the old
    fresh->path = front->path;
    fresh->file = front->file;
    fresh->size = front->size;
    free_.push_back(std::move(fresh));
  }
}

std::uint64_t Journal::live_bytes() const {
  std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (const SegmentPtr& segment : live_) bytes += segment == current_ ? align_to_block(segment->end) : segment->size;
  for (const auto& [path, size] : unreadable_) bytes += size;
  return bytes;
}

}  // namespace stele::io
