#include "agent/spool/frame_spool.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace stele::agent {

namespace {

/// A journal record of the spool: u8 kind, then the encoded frame, or 32 bytes of stream and the signed fact.
SpoolEntry describe_frame(const format::Frame& frame) {
  const format::FrameHeader& h = frame.header();
  SpoolEntry e;
  e.kind = SpoolEntry::Kind::kFrame;
  e.stream = h.stream;
  e.epoch = h.epoch;
  e.object = h.object;
  e.number = h.number;
  e.object_last = h.last;
  e.is_signed = !frame.signature().empty();
  e.range = {h.start, h.end};
  e.head = frame.head();
  e.previous = h.previous;
  e.join = h.join;
  e.generation = h.generation;
  return e;
}

Result<SpoolEntry> read_journal_record(ByteView payload) {
  ByteReader r(payload);
  const std::uint8_t kind = r.u8();
  if (kind == static_cast<std::uint8_t>(SpoolEntry::Kind::kFrame)) {
    STELE_TRY(format::Frame frame, format::parse_frame(r.rest()));
    SpoolEntry e = describe_frame(frame);
    e.size = r.rest().size();
    return e;
  }
  if (kind == static_cast<std::uint8_t>(SpoolEntry::Kind::kFact)) {
    SpoolEntry e;
    e.kind = SpoolEntry::Kind::kFact;
    r.fixed(e.stream);
    e.is_signed = true;
    e.size = r.remaining();
    if (r.failed()) return Error{ErrorCode::kDamaged, "spool record: ends early", ""};
    return e;
  }
  return Error{ErrorCode::kUnsupported, fmt::format("spool record of kind {}", kind), "a newer agent wrote it"};
}

constexpr std::size_t kFactPrefix = 1 + StreamId::kSize;
constexpr std::size_t kMaxUnsynced = 32u << 20;  // held in memory until the journal has it
constexpr std::size_t kMaxBatch = 4u << 20;

/// Continues the object of `last`.
bool continues(const std::optional<SpoolEntry>& last, const SpoolEntry& next) {
  return last && last->object == next.object && last->number + 1 == next.number && last->head == next.previous && !last->object_last;
}

io::JournalWriter::OwnedRecord journal_record(const SpoolEntry& entry) {
  const auto kind = static_cast<std::uint8_t>(entry.kind);
  if (entry.kind == SpoolEntry::Kind::kFact) return {Bytes{kind}, to_bytes(entry.stream.view()), *entry.bytes};
  return {Bytes{kind}, *entry.bytes};
}

}  // namespace

Result<std::unique_ptr<FrameSpool>> FrameSpool::open(io::FileSystem& fs, RandomSource& random, Options options) {
  if (options.directory.empty()) options.max_bytes = std::min(options.max_bytes, kMaxInMemory);
  std::unique_ptr<FrameSpool> out(new FrameSpool(std::move(options)));
  if (!out->options_.directory.empty()) STELE_CHECK(out->recover(fs, random));
  return out;
}

Status FrameSpool::recover(io::FileSystem& fs, RandomSource& random) {
  io::JournalOptions journal{options_.directory, options_.file_bytes, options_.max_bytes, "stele-agent"};
  io::JournalVisitor visitor;
  visitor.on_record = [&](io::RecordId id, ByteView payload) -> Status {
    STELE_TRY(SpoolEntry entry, read_journal_record(payload));
    entry.sequence = next_sequence_++;
    entry.record = id;
    entry.durable = true;
    if (entry.kind == SpoolEntry::Kind::kFrame) {
      // The first frames may be the rest of an object that was released.
      if (last_frame_) STELE_CHECK(check_follows({entry}));
      end_of_log_ = {entry.stream, entry.range.end};
      last_frame_ = last_durable_ = entry;
      recovered_[entry.stream] = entry.range.end;
    }
    bytes_ += entry.size;
    entries_.push_back(std::move(entry));
    return {};
  };
  visitor.on_damage = [&](const io::JournalDamage& damage) -> Status {
    return damage.error().with_hint("the spool lost what it had confirmed; move the spool directory away: the agent begins a new branch and "
                                    "takes a snapshot");
  };
  STELE_TRY(journal_, io::Journal::open(fs, random, journal, visitor));
  // Batches end at signed frames and the journal keeps them whole.
  if (last_frame_ && !last_frame_->is_signed) {
    return Error{ErrorCode::kDamaged, "the spool ends at an unsigned frame", "move the spool directory away"};
  }
  io::JournalWriter::Options writer;
  writer.threads = options_.threads;
  writer_ = std::make_unique<io::JournalWriter>(*journal_, writer);
  return {};
}

FrameSpool::~FrameSpool() { close(); }

void FrameSpool::set_callbacks(Callbacks callbacks) { callbacks_ = std::move(callbacks); }

void FrameSpool::close() {
  // Each batch that ends hands over the next, until nothing is left.
  if (options_.threads) {
    std::unique_lock lock(mutex_);
    settled_.wait(lock, [this] { return !writing_; });
    closed_ = true;
  }
  if (writer_) writer_->stop();
  std::lock_guard lock(mutex_);
  closed_ = true;
}

Status FrameSpool::append(std::vector<format::Frame> frames) {
  if (frames.empty()) return {};
  if (frames.back().signature().empty()) return Error{ErrorCode::kInternal, "a spool batch must end at a signed frame", ""};
  std::vector<SpoolEntry> entries;
  for (const format::Frame& frame : frames) {
    SpoolEntry entry = describe_frame(frame);
    auto bytes = std::make_shared<Bytes>(frame.encode());
    entry.size = bytes->size();
    entry.bytes = std::move(bytes);
    entries.push_back(std::move(entry));
  }
  return take(std::move(entries), false);
}

Status FrameSpool::append_fact(const format::SignedRecord& fact, const StreamId& stream) {
  SpoolEntry entry;
  entry.kind = SpoolEntry::Kind::kFact;
  entry.stream = stream;
  entry.is_signed = true;
  entry.size = fact.bytes.size();
  entry.bytes = std::make_shared<Bytes>(fact.bytes);
  std::vector<SpoolEntry> entries;
  entries.push_back(std::move(entry));
  return take(std::move(entries), true);
}

/// kIo where a frame does not go on where the spool's log ends: frames between were lost.
Status FrameSpool::check_follows(const std::vector<SpoolEntry>& entries) const {
  const std::optional<SpoolEntry>* last = &last_frame_;
  std::optional<SpoolEntry> here;
  std::optional<std::pair<StreamId, Position>> end = end_of_log_;
  for (const SpoolEntry& entry : entries) {
    const bool fits = entry.number == 0 ? !end || end->first != entry.stream || entry.range.begin <= end->second : continues(*last, entry);
    if (!fits) {
      return Error{ErrorCode::kIo, fmt::format("the spool has lost the log before {}", entry.range.begin.to_string()),
                   "the agent reads it again from the server"};
    }
    here = entry;
    last = &here;
    end = {entry.stream, entry.range.end};
  }
  return {};
}

Status FrameSpool::take(std::vector<SpoolEntry> entries, bool always) {
  std::optional<SpoolEntry> durable_now;
  std::optional<Batch> batch;
  {
    std::unique_lock lock(mutex_);
    if (closed_) return Error{ErrorCode::kCancelled, "the spool is closed", ""};
    std::uint64_t size = 0;
    for (const SpoolEntry& entry : entries) size += entry.size;
    if (!always) {
      STELE_CHECK(check_follows(entries));
      if (writer_ ? stalled_ || unsynced_bytes_ + size > kMaxUnsynced : bytes_ + size > options_.max_bytes) {
        if (stalled_) batch = next_batch_locked();
        lock.unlock();
        if (batch) submit(std::move(*batch));
        return Error{ErrorCode::kLimit, "the spool is full", "the receivers are away or too slow"};
      }
    }
    for (SpoolEntry& entry : entries) {
      entry.sequence = next_sequence_++;
      entry.durable = !writer_;
      bytes_ += entry.size;
      memory_ += entry.size;
      if (writer_) {
        ++unsynced_;
        unsynced_bytes_ += entry.size;
      }
      if (entry.kind == SpoolEntry::Kind::kFrame) {
        last_frame_ = entry;
        last_frame_->bytes.reset();
        end_of_log_ = {entry.stream, entry.range.end};
      }
      entries_.push_back(std::move(entry));
    }
    if (writer_) {
      if (!stalled_) batch = next_batch_locked();
    } else {
      last_durable_ = last_frame_;
      durable_now = last_durable_;
    }
  }
  // The line first: it takes longer. Both without the lock, which those who wake take at once.
  if (callbacks_.on_append) callbacks_.on_append();
  if (batch) submit(std::move(*batch));
  if (durable_now && callbacks_.on_durable) callbacks_.on_durable(*durable_now);
  return {};
}

/// The next batch for the journal: what is not durable, up to a signed entry. It is under way from now on: the caller submits it. A spool
/// that waited for room does so until a batch found it.
std::optional<FrameSpool::Batch> FrameSpool::next_batch_locked() {
  if (writing_ || closed_ || unsynced_ == 0) return std::nullopt;
  auto first = entries_.end();
  for (std::size_t left = unsynced_; left > 0;) left -= (--first)->durable ? 0 : 1;
  Batch out;
  out.first = first->sequence;
  std::vector<io::JournalWriter::OwnedRecord> unsigned_yet;
  std::uint64_t size = 0;
  // A journal of small files takes small batches; an eighth is left for its own headers.
  const std::uint64_t limit = std::min<std::uint64_t>(kMaxBatch, journal_->max_batch_bytes() / 8 * 7);
  for (auto entry = first; entry != entries_.end(); ++entry) {
    if (entry->durable) continue;
    size += entry->size;
    if (out.last != 0 && size > limit) break;
    unsigned_yet.push_back(journal_record(*entry));
    if (!entry->is_signed) continue;
    std::move(unsigned_yet.begin(), unsigned_yet.end(), std::back_inserter(out.records));
    unsigned_yet.clear();
    out.last = entry->sequence;
  }
  writing_ = true;
  return out;
}

void FrameSpool::submit(Batch batch) {
  Status taken = writer_->submit(std::move(batch.records), [this, first = batch.first, last = batch.last](Result<std::vector<io::RecordId>> ids) {
    on_written(first, last, std::move(ids));
  });
  if (taken.ok()) return;
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
    stalled_ = true;
  }
  settled_.notify_all();
}

void FrameSpool::on_written(std::uint64_t first, std::uint64_t last, Result<std::vector<io::RecordId>> ids) {
  std::optional<SpoolEntry> durable;
  std::optional<Error> failure;
  std::optional<Batch> next;
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (ids.ok()) {
      stalled_ = false;
      auto at = std::lower_bound(entries_.begin(), entries_.end(), first, [](const SpoolEntry& e, std::uint64_t s) { return e.sequence < s; });
      auto id = ids->begin();
      for (; at != entries_.end() && at->sequence <= last; ++at) {
        if (at->durable) continue;
        at->record = *id++;
        at->durable = true;
        --unsynced_;
        unsynced_bytes_ -= at->size;
        if (at->kind == SpoolEntry::Kind::kFrame) {
          last_durable_ = *at;
          last_durable_->bytes.reset();
        }
      }
      durable = last_durable_;
      evict_locked();
      next = next_batch_locked();
    } else if (ids.error().code == ErrorCode::kLimit || ids.error().code == ErrorCode::kDiskFull) {
      stalled_ = true;  // nothing was written: the same bytes go again when there is room
    } else {
      failure = ids.error();
      drop_lost_frames_locked();
      stalled_ = unsynced_ > 0;
    }
  }
  if (next) submit(std::move(*next));
  settled_.notify_all();
  if (durable && callbacks_.on_durable) callbacks_.on_durable(*durable);
  if (failure && callbacks_.on_failure) callbacks_.on_failure(*failure);
}

/// Later frames continue a chain that now has a hole, so all that are not durable go; the log is read and sealed again. Facts exist
/// nowhere else: they stay.
void FrameSpool::drop_lost_frames_locked() {
  bool first = true;
  for (const SpoolEntry& e : entries_) {
    if (e.durable || e.kind != SpoolEntry::Kind::kFrame) continue;
    if (std::exchange(first, false)) end_of_log_ = {e.stream, e.range.begin};
    bytes_ -= e.size;
    memory_ -= e.size;
    --unsynced_;
    unsynced_bytes_ -= e.size;
  }
  std::erase_if(entries_, [](const SpoolEntry& e) { return !e.durable && e.kind == SpoolEntry::Kind::kFrame; });
  last_frame_ = last_durable_;
}

bool FrameSpool::settle(Instant deadline) {
  std::unique_lock lock(mutex_);
  return settled_.wait_until(lock, deadline, [this] { return !writing_; });
}

bool FrameSpool::stalled() const {
  std::lock_guard lock(mutex_);
  return stalled_;
}

void FrameSpool::retry() {
  std::optional<Batch> batch;
  {
    std::lock_guard lock(mutex_);
    if (stalled_) batch = next_batch_locked();
  }
  if (batch) submit(std::move(*batch));
}

bool FrameSpool::run_once() { return writer_ && writer_->run_once(); }

void FrameSpool::evict_locked() {
  if (memory_ <= options_.memory_bytes) return;
  // The oldest are sent next: give up the newest durable ones first.
  for (auto entry = entries_.rbegin(); entry != entries_.rend() && memory_ > options_.memory_bytes; ++entry) {
    if (!entry->durable || !entry->record || !entry->bytes) continue;
    memory_ -= entry->size;
    entry->bytes.reset();
  }
}

Result<std::optional<SpoolEntry>> FrameSpool::next_after(std::uint64_t sequence) {
  SpoolEntry entry;
  {
    std::lock_guard lock(mutex_);
    auto at = std::upper_bound(entries_.begin(), entries_.end(), sequence, [](std::uint64_t s, const SpoolEntry& e) { return s < e.sequence; });
    if (at == entries_.end()) return std::optional<SpoolEntry>{};
    entry = *at;
  }
  if (!entry.bytes) {
    STELE_TRY(Bytes payload, journal_->read(*entry.record));
    const std::size_t prefix = entry.kind == SpoolEntry::Kind::kFact ? kFactPrefix : 1;
    entry.bytes = std::make_shared<Bytes>(payload.begin() + static_cast<std::ptrdiff_t>(prefix), payload.end());
  }
  return std::optional<SpoolEntry>(std::move(entry));
}

FrameSpool::Resume FrameSpool::resume(const std::map<StreamId, Held>& held) const {
  std::lock_guard lock(mutex_);
  Resume out;
  out.after = entries_.empty() ? next_sequence_ - 1 : entries_.back().sequence;
  const SpoolEntry* object_first = nullptr;  // frame 0 of the object at hand; none: its beginning was released
  const SpoolEntry* start = nullptr;         // where to go on
  bool last_object_held = false;
  for (const SpoolEntry& e : entries_) {
    if (e.kind != SpoolEntry::Kind::kFrame) continue;
    auto it = held.find(e.stream);
    const Held h = it == held.end() ? Held{} : it->second;
    Position there = h.durable_end;
    if (!h.sent_by_us) {
      auto recovered = recovered_.find(e.stream);
      there = std::min(there, recovered == recovered_.end() ? Position{} : recovered->second);
    }
    if (e.number == 0) object_first = &e;
    if (object_first != nullptr && object_first->object != e.object) object_first = nullptr;
    if (h.object == e.object) {
      last_object_held = true;
      if (e.number <= h.frame) continue;
      // The chain goes on in the same object, if no frame between was released.
      start = object_first != nullptr || e.number == h.frame + 1 ? &e : nullptr;
      if (start != nullptr) break;
      continue;
    }
    last_object_held = false;
    if (e.range.end <= there || object_first == nullptr) continue;
    start = object_first;
    break;
  }
  // Frames that add no position to what the receiver holds (as-of) were skipped; their object goes on, so it is sent from its first.
  if (start == nullptr && !last_object_held) start = object_first;
  if (start != nullptr) {
    out.after = start->sequence - 1;
    out.next = *start;
    out.next->bytes.reset();
    auto it = held.find(start->stream);
    out.gap = it != held.end() && it->second.durable_end.value != 0 && start->range.begin > it->second.durable_end;
  }
  for (const SpoolEntry& e : entries_) {
    if (e.kind == SpoolEntry::Kind::kFact && e.sequence <= out.after) out.facts.push_back(e.sequence);
  }
  return out;
}

bool FrameSpool::holds(const ObjectId& object, std::uint32_t frame, const Digest& head) const {
  std::lock_guard lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(), [&](const SpoolEntry& e) {
    return e.kind == SpoolEntry::Kind::kFrame && e.object == object && e.number == frame && e.head == head;
  });
}

void FrameSpool::release_through(std::uint64_t sequence) {
  std::lock_guard lock(mutex_);
  // The end of the log is needed after a restart: the last durable frame stays in every case.
  const bool crowded = stalled_ || used_locked() > options_.max_bytes / 2;
  std::size_t keep_from = 0, candidate = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const SpoolEntry& e = entries_[i];
    if (e.kind == SpoolEntry::Kind::kFrame && (e.number == 0 || crowded)) keep_from = candidate;
    if (e.sequence > sequence || !e.durable || (last_durable_ && e.sequence == last_durable_->sequence)) break;
    const bool is_last_object = e.kind == SpoolEntry::Kind::kFrame && last_durable_ && e.object == last_durable_->object;
    if (is_last_object && !crowded) break;
    candidate = i + 1;
    if (candidate == entries_.size()) keep_from = candidate;
  }
  if (keep_from == 0) return;
  std::optional<io::RecordId> last_record;
  for (std::size_t i = 0; i < keep_from; ++i) {
    const SpoolEntry& e = entries_.front();
    bytes_ -= e.size;
    if (e.bytes) memory_ -= e.size;
    if (e.record) last_record = e.record;
    entries_.pop_front();
  }
  if (last_record && journal_) journal_->release_through(*last_record);
}

std::optional<SpoolEntry> FrameSpool::last_frame() const {
  std::lock_guard lock(mutex_);
  return last_frame_;
}

std::optional<SpoolEntry> FrameSpool::last_durable_frame() const {
  std::lock_guard lock(mutex_);
  return last_durable_;
}

std::vector<EpochId> FrameSpool::epochs() const {
  std::lock_guard lock(mutex_);
  std::set<EpochId> seen;
  for (const SpoolEntry& e : entries_) {
    if (e.kind == SpoolEntry::Kind::kFrame) seen.insert(e.epoch);
  }
  return {seen.begin(), seen.end()};
}

std::uint64_t FrameSpool::first_sequence() const {
  std::lock_guard lock(mutex_);
  return entries_.empty() ? next_sequence_ : entries_.front().sequence;
}

std::uint64_t FrameSpool::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

std::uint64_t FrameSpool::used_locked() const { return journal_ ? journal_->live_bytes() : bytes_; }

std::uint64_t FrameSpool::disk_bytes() const {
  std::lock_guard lock(mutex_);
  return used_locked();
}

bool FrameSpool::has_room() const {
  std::lock_guard lock(mutex_);
  // What is left when everything was released may lie in two files.
  const std::uint64_t least = journal_ ? 2 * options_.file_bytes : 0;
  return !stalled_ && used_locked() <= std::max(options_.max_bytes / 2, least);
}

bool FrameSpool::failed() const { return journal_ && journal_->failed(); }

std::size_t FrameSpool::unsynced() const {
  std::lock_guard lock(mutex_);
  return unsynced_;
}

}  // namespace stele::agent
