#include "core/io/journal_writer.h"

#include <fmt/format.h>

namespace stele::io {

JournalWriter::JournalWriter(Journal& journal, Options options)
    : journal_(journal),
      options_(options),
      batch_limit_(
          static_cast<std::size_t>(std::min<std::uint64_t>(options.max_batch_bytes, journal.max_batch_bytes()))) {
  if (options_.threads) {
    writer_ = std::thread([this] { run(); });
    preparer_ = std::thread([this] { run_preparer(); });
  }
}

JournalWriter::~JournalWriter() {
  stop();
}

Status JournalWriter::submit(std::vector<OwnedRecord> records, Callback callback) {
  Request request{std::move(records), 0, std::move(callback)};
  for (const OwnedRecord& record : request.records) {
    request.bytes += kRecordHeaderBytes;
    for (const Bytes& piece : record) request.bytes += piece.size();
  }
  std::unique_lock lock(mutex_);
  if (stopping_) return Error{ErrorCode::kCancelled, "write to the journal: it is stopping", ""};
  if (request.bytes + kBatchHeaderBytes > batch_limit_ || request.records.size() > kMaxBatchRecords) {
    return Error{ErrorCode::kLimit,
                 fmt::format("write to the journal: {} records with {} bytes do not fit in one batch",
                             request.records.size(), request.bytes),
                 ""};
  }
  if (queued_bytes_ + request.bytes > options_.max_queue_bytes) {
    return Error{ErrorCode::kLimit, fmt::format("write to the journal: {} bytes are waiting already", queued_bytes_),
                 "the disk is slower than what arrives"};
  }
  queued_bytes_ += request.bytes;
  queue_.push_back(std::move(request));
  lock.unlock();  // the writer would wake only to wait for the mutex
  wake_.notify_one();
  return {};
}

bool JournalWriter::has_room(std::size_t bytes) const {
  std::lock_guard lock(mutex_);
  return queued_bytes_ + bytes <= options_.max_queue_bytes;
}

std::size_t JournalWriter::queued_bytes() const {
  std::lock_guard lock(mutex_);
  return queued_bytes_;
}

std::vector<JournalWriter::Request> JournalWriter::take_batch_locked() {
  std::vector<Request> batch;
  std::size_t bytes = kBatchHeaderBytes, records = 0;
  while (!queue_.empty()) {
    Request& next = queue_.front();
    if (!batch.empty() && (bytes + next.bytes > batch_limit_ || records + next.records.size() > kMaxBatchRecords))
      break;
    bytes += next.bytes;
    records += next.records.size();
    batch.push_back(std::move(next));
    queue_.pop_front();
  }
  return batch;
}

void JournalWriter::write(std::vector<Request> batch) {
  std::vector<std::vector<ByteView>> pieces;
  std::vector<RecordPieces> records;
  for (const Request& request : batch) {
    for (const OwnedRecord& record : request.records) pieces.emplace_back(record.begin(), record.end());
  }
  for (const auto& record : pieces) records.push_back(record);
  auto ids = journal_.append(records);
  {
    // Before the callbacks, so that what they submit finds the room.
    std::lock_guard lock(mutex_);
    for (const Request& request : batch) queued_bytes_ -= request.bytes;
  }
  if (journal_.wants_spare()) wake_preparer_.notify_one();
  std::size_t at = 0;
  for (Request& request : batch) {
    if (!ids.ok()) {
      request.callback(ids.error());
      continue;
    }
    auto first = ids->begin() + static_cast<std::ptrdiff_t>(at);
    at += request.records.size();
    request.callback(std::vector<RecordId>(first, first + static_cast<std::ptrdiff_t>(request.records.size())));
  }
}

bool JournalWriter::run_once() {
  std::vector<Request> batch;
  {
    std::lock_guard lock(mutex_);
    batch = take_batch_locked();
  }
  if (batch.empty()) return false;
  write(std::move(batch));
  return true;
}

void JournalWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::vector<Request> batch = take_batch_locked();
    lock.unlock();
    write(std::move(batch));
    lock.lock();
  }
}

void JournalWriter::run_preparer() {
  std::unique_lock lock(mutex_);
  while (!stop_preparer_) {
    lock.unlock();
    // A failure shows itself at the append that needs the file, which tries again and reports it.
    if (journal_.wants_spare()) (void)journal_.prepare_spare();
    lock.lock();
    if (!stop_preparer_) wake_preparer_.wait(lock);
  }
}

void JournalWriter::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    stop_preparer_ = true;
  }
  wake_.notify_all();
  wake_preparer_.notify_all();
  if (writer_.joinable()) writer_.join();
  if (preparer_.joinable()) preparer_.join();
  while (run_once()) {
  }
}

}  // namespace stele::io
