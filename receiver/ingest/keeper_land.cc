#include <fmt/format.h>

#include "core/format/landed_frame.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

StreamIngest Keeper::make_ingest(Database& database, const StreamId& stream, Generation generation) {
  // Called by judge() under the database's mutex.
  return StreamIngest(stream, generation, [&database](const format::FrameHeader& frame) { return database.trust.key_for_writing(frame); });
}

Result<IngestVerdict> Keeper::judge(Database& database, StreamIngest& ingest, format::Frame frame) {
  const bool begins = frame.header().number == 0;
  std::lock_guard lock(database.mutex);
  const StreamLedger& held = database.streams.try_emplace(ingest.stream(), ingest.stream()).first->second;
  if (begins) {
    std::lock_guard site(database.site.mutex);
    STELE_CHECK(database.site.quota.may_open_object(database.runs.open()));
    // A new object of the log is at least one in the store.
    if (!held.holds(frame.header().object, 0)) STELE_CHECK(database.site.quota.may_add_objects(1, parts_.clock.now()));
  }
  auto verdict = ingest.accept(std::move(frame), held);
  if (!verdict.ok()) {
    if (verdict.error().code == ErrorCode::kFork) database.metrics.forks.inc();
    return verdict;
  }
  if (verdict->gap) {
    database.metrics.gaps.inc();
    database.note(parts_.clock.now(), fmt::format("stream {}: nothing is held from {} to {}", ingest.stream().short_hex(),
                                                  verdict->gap->begin.to_string(), verdict->gap->end.to_string()));
  }
  if (verdict->ack && verdict->store.empty()) database.metrics.duplicate_frames.inc();
  return verdict;
}

Status Keeper::land(Database& database, std::uint64_t session, const std::vector<format::Frame>& frames, std::function<void(Status)> done) {
  std::size_t bytes = 0;
  for (const format::Frame& frame : frames) bytes += frame.encoded_size();
  // Asked again every few milliseconds while it is full: nothing is copied for that.
  if (!writer_->has_room(bytes)) return Error{ErrorCode::kLimit, "the journal's queue is full", "the disk is slower than what arrives"};
  const Timestamp received = parts_.clock.now();
  const Bytes head = format::encode_landed_head(received, database.name);
  std::vector<io::JournalWriter::OwnedRecord> records;
  std::vector<std::uint32_t> sizes;
  // Headers only: the payloads live in the journal's queue.
  std::vector<format::Frame> headers;
  for (const format::Frame& frame : frames) {
    Bytes encoded = frame.encode();
    sizes.push_back(static_cast<std::uint32_t>(encoded.size()));
    io::JournalWriter::OwnedRecord record;
    record.push_back(head);
    record.push_back(std::move(encoded));
    records.push_back(std::move(record));
    headers.emplace_back(frame.header(), to_bytes(frame.header_bytes()), Bytes{});
    headers.back().set_signature(to_bytes(frame.signature()));
  }
  {
    std::lock_guard lock(database.mutex);
    if (database.writer != session) {
      return Error{ErrorCode::kSuperseded, fmt::format("{}: another session writes this database now", database.name.to_string()), ""};
    }
    ++database.in_flight;
  }
  auto shared = std::make_shared<std::vector<format::Frame>>(std::move(headers));
  auto on_durable = [this, &database, shared, sizes = std::move(sizes), received, done](Result<std::vector<io::RecordId>> ids) {
    if (ids.ok()) landed(database, *shared, sizes, received, *ids);
    {
      std::lock_guard lock(database.mutex);
      --database.in_flight;
    }
    database.landed.notify_all();
    done(ids.ok() ? Status{} : Status(ids.error()));
  };
  Status queued = writer_->submit(std::move(records), std::move(on_durable));
  if (!queued.ok()) {
    std::lock_guard lock(database.mutex);
    --database.in_flight;
  }
  return queued;
}

void Keeper::landed(Database& database, const std::vector<format::Frame>& frames, const std::vector<std::uint32_t>& sizes, Timestamp received,
                    const std::vector<io::RecordId>& ids) {
  bool due = false;
  std::uint64_t bytes = 0;
  {
    std::lock_guard lock(database.mutex);
    bool fresh = false;  // a frame of this batch is new: what follows it belongs to its run, up to the signature
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const format::FrameHeader& header = frames[i].header();
      StreamLedger& ledger = database.streams.try_emplace(header.stream, header.stream).first->second;
      fresh = ledger.add_frame(header, frames[i].head()) || fresh;
      if (!fresh) {
        journal_->release(ids[i]);  // two sessions sent it at the same time
        continue;
      }
      fresh = frames[i].signature().empty();
      database.runs.add(header, {ids[i], header.number, sizes[i], !frames[i].signature().empty()}, received);
      due = due || header.last;
      bytes += sizes[i];
    }
    due = due || database.runs.bytes() >= options_.seal.max_run_bytes;
  }
  database.metrics.bytes.inc(static_cast<double>(bytes));
  database.metrics.frames.inc(static_cast<double>(frames.size()));
  if (due && poke_) poke_();
}

}  // namespace stele::receiver
