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

}  // namespace

Result<std::unique_ptr<FrameSpool>> FrameSpool::open(io::FileSystem& fs, RandomSource& random, Options options) {
  std::unique_ptr<FrameSpool> out(new FrameSpool(std::move(options)));
  if (out->options_.directory.empty()) return out;
  io::JournalOptions journal{out->options_.directory, out->options_.file_bytes, out->options_.max_bytes, "stele-agent"};
  io::JournalVisitor visitor;
  visitor.on_record = [&](io::RecordId id, ByteView payload) -> Status {
    STELE_TRY(SpoolEntry entry, read_journal_record(payload));
    entry.sequence = out->next_sequence_++;
    entry.record = id;
    entry.durable = true;
    out->bytes_ += entry.size;
    if (entry.kind == SpoolEntry::Kind::kFrame) out->last_frame_ = out->last_durable_ = entry;
    out->entries_.push_back(std::move(entry));
    return {};
  };
  visitor.on_damage = [&](const io::JournalDamage& damage) -> Status {
    return damage.error().with_hint("the spool lost what it had confirmed; move the spool directory away: the agent begins a new branch and "
                                    "takes a snapshot");
  };
  STELE_TRY(out->journal_, io::Journal::open(fs, random, journal, visitor));
  // An unsigned end was never confirmed to anyone: its batch was cut by the crash. The journal keeps batches whole, so this cannot
  // happen with an intact journal.
  if (out->last_frame_ && !out->last_frame_->is_signed) {
    return Error{ErrorCode::kDamaged, "the spool ends at an unsigned frame", "move the spool directory away"};
  }
  out->writer_ = std::make_unique<io::JournalWriter>(*out->journal_, io::JournalWriter::Options{});
  return out;
}

FrameSpool::~FrameSpool() {
  if (writer_) writer_->stop();
}

void FrameSpool::set_callbacks(Callbacks callbacks) { callbacks_ = std::move(callbacks); }

Status FrameSpool::append(std::vector<format::Frame> frames) {
  if (frames.empty()) return {};
  if (frames.back().signature().empty()) return Error{ErrorCode::kInternal, "a spool batch must end at a signed frame", ""};
  std::vector<SpoolEntry> entries;
  std::vector<io::JournalWriter::OwnedRecord> records;
  for (const format::Frame& frame : frames) {
    SpoolEntry entry = describe_frame(frame);
    auto bytes = std::make_shared<Bytes>(frame.encode());
    entry.size = bytes->size();
    if (writer_) records.push_back({Bytes{static_cast<std::uint8_t>(entry.kind)}, *bytes});
    entry.bytes = std::move(bytes);
    entries.push_back(std::move(entry));
  }
  return submit(std::move(entries), std::move(records));
}

Status FrameSpool::append_fact(const format::SignedRecord& fact, const StreamId& stream) {
  SpoolEntry entry;
  entry.kind = SpoolEntry::Kind::kFact;
  entry.stream = stream;
  entry.is_signed = true;
  entry.size = fact.bytes.size();
  entry.bytes = std::make_shared<Bytes>(fact.bytes);
  std::vector<io::JournalWriter::OwnedRecord> records;
  if (writer_) records.push_back({Bytes{static_cast<std::uint8_t>(entry.kind)}, to_bytes(stream.view()), fact.bytes});
  std::vector<SpoolEntry> entries;
  entries.push_back(std::move(entry));
  return submit(std::move(entries), std::move(records));
}

Status FrameSpool::submit(std::vector<SpoolEntry> entries, std::vector<io::JournalWriter::OwnedRecord> records) {
  std::uint64_t first = 0;
  const std::size_t count = entries.size();
  std::optional<SpoolEntry> durable_now;
  {
    std::lock_guard lock(mutex_);
    std::uint64_t size = 0;
    for (const SpoolEntry& entry : entries) size += entry.size;
    if (!writer_ && bytes_ + size > options_.max_bytes) {
      return Error{ErrorCode::kLimit, "the spool in memory is full", "the receivers are away or too slow"};
    }
    if (journal_ && journal_->failed()) return Error{ErrorCode::kIo, "the spool's disk fails", "look at the kernel's log; replace the disk"};
    first = next_sequence_;
    if (writer_) {
      // Entries are registered before the journal can report them.
      Status taken = writer_->submit(std::move(records), [this, first, count](Result<std::vector<io::RecordId>> ids) {
        on_written(first, count, std::move(ids));
      });
      if (!taken.ok()) return taken;
      unsynced_ += count;
    }
    for (SpoolEntry& entry : entries) {
      entry.sequence = next_sequence_++;
      entry.durable = !writer_;
      bytes_ += entry.size;
      memory_ += entry.size;
      if (entry.kind == SpoolEntry::Kind::kFrame) last_frame_ = entry;
      if (last_frame_) last_frame_->bytes.reset();
      entries_.push_back(std::move(entry));
    }
    if (!writer_) {
      last_durable_ = last_frame_;
      durable_now = last_durable_;
    }
  }
  if (callbacks_.on_append) callbacks_.on_append();
  if (durable_now && callbacks_.on_durable) callbacks_.on_durable(*durable_now);
  return {};
}

void FrameSpool::on_written(std::uint64_t first, std::size_t count, Result<std::vector<io::RecordId>> ids) {
  std::optional<SpoolEntry> durable;
  {
    std::lock_guard lock(mutex_);
    unsynced_ -= std::min(unsynced_, count);
    auto at = std::lower_bound(entries_.begin(), entries_.end(), first, [](const SpoolEntry& e, std::uint64_t s) { return e.sequence < s; });
    if (ids.ok()) {
      for (std::size_t i = 0; i < count && at != entries_.end(); ++i, ++at) {
        at->record = (*ids)[i];
        at->durable = true;
        if (at->kind == SpoolEntry::Kind::kFrame) {
          last_durable_ = *at;
          last_durable_->bytes.reset();
        }
      }
      durable = last_durable_;
      evict_locked();
    } else {
      // Nothing of the batch counts, nor of later ones: they continue a chain with a hole.
      while (!entries_.empty() && entries_.back().sequence >= first && !entries_.back().durable) {
        bytes_ -= entries_.back().size;
        if (entries_.back().bytes) memory_ -= entries_.back().size;
        entries_.pop_back();
      }
      last_frame_ = last_durable_;
    }
  }
  if (ids.ok()) {
    if (durable && callbacks_.on_durable) callbacks_.on_durable(*durable);
  } else if (callbacks_.on_failure) {
    callbacks_.on_failure(ids.error());
  }
}

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
  out.after = entries_.empty() ? next_sequence_ - 1 : entries_.front().sequence - 1;
  std::uint64_t object_start = out.after;
  Position object_begin;
  bool all_held = true;
  for (const SpoolEntry& e : entries_) {
    if (e.kind != SpoolEntry::Kind::kFrame) continue;
    if (e.number == 0) {
      object_start = e.sequence - 1;
      object_begin = e.range.begin;
    }
    auto it = held.find(e.stream);
    const Held h = it == held.end() ? Held{} : it->second;
    if (h.object == e.object) {
      if (e.number <= h.frame) continue;
      out.after = e.sequence - 1;  // the chain goes on in the same object
      all_held = false;
      break;
    }
    if (e.range.end <= h.durable_end) continue;
    out.after = object_start;
    out.gap = h.durable_end.value != 0 && object_begin > h.durable_end;
    all_held = false;
    break;
  }
  if (all_held && !entries_.empty()) out.after = entries_.back().sequence;
  for (const SpoolEntry& e : entries_) {
    if (e.kind == SpoolEntry::Kind::kFact && e.sequence <= out.after) out.facts.push_back(e.sequence);
  }
  return out;
}

void FrameSpool::release_through(std::uint64_t sequence) {
  std::lock_guard lock(mutex_);
  // Whole objects only, and never the last one: the overlap check after a restart needs its end.
  std::size_t keep_from = 0;
  const std::optional<ObjectId> last_object = last_frame_ ? std::optional(last_frame_->object) : std::nullopt;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const SpoolEntry& e = entries_[i];
    if (e.sequence > sequence || !e.durable) break;
    if (e.kind == SpoolEntry::Kind::kFrame && last_object && e.object == *last_object) break;
    const bool object_ends = i + 1 == entries_.size() || entries_[i + 1].kind == SpoolEntry::Kind::kFact ||
                             e.kind == SpoolEntry::Kind::kFact || entries_[i + 1].object != e.object;
    if (object_ends) keep_from = i + 1;
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

std::uint64_t FrameSpool::disk_bytes() const { return journal_ ? journal_->live_bytes() : bytes(); }

bool FrameSpool::failed() const { return journal_ && journal_->failed(); }

std::size_t FrameSpool::unsynced() const {
  std::lock_guard lock(mutex_);
  return unsynced_;
}

}  // namespace stele::agent
