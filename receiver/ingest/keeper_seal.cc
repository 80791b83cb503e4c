#include <fmt/format.h>

#include "core/config/log.h"
#include "core/crypto/hash.h"
#include "core/format/landed_frame.h"
#include "core/format/object_names.h"
#include "core/format/run.h"
#include "core/io/durable_file.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

namespace {
/// One barrier (sync of all, then link) covers at most so many bytes of runs.
constexpr std::size_t kMaxBarrierBytes = 64 << 20;
/// Where a run is cut, at the next signed frame: what is one object stays readable in one piece.
constexpr std::size_t kMaxRunBytes = 32 << 20;
/// A frame that cannot be read, or an epoch that is not held, may come back: tried about once a second before it counts as lost.
constexpr int kAttempts = 30;

format::RunName name_of(const std::vector<format::Frame>& frames) {
  const format::FrameHeader &first = frames.front().header(), &last = frames.back().header();
  return {first.stream, {first.start, last.end}, first.object, first.number, last.number};
}
}  // namespace

/// A run on its way from journal to store.
struct Keeper::SealedRun {
  format::RunName what;
  ObjectProgress last;
  std::string name;
  Bytes bytes;
  bool stored = false;  ///< false: set aside
};

/// What becomes of an open run: the runs that its readable frames make, and why that is not all of it.
struct Keeper::Sealing {
  OpenRun run;
  std::vector<SealedRun> parts;
  std::optional<Error> why;  ///< a frame is not in any part, or a part cannot be stored
  std::size_t bytes() const {
    std::size_t out = 0;
    for (const SealedRun& part : parts) out += part.bytes.size();
    return out;
  }
};

/// Reads the frames of a run back from the journal. An error: the run is to be tried again later.
Status Keeper::read_run(Database& database, Sealing& sealing) {
  OpenRun& run = sealing.run;
  const bool patient = run.attempts < kAttempts;
  auto wait = [&] {
    ++run.attempts;
    return *sealing.why;
  };
  Bytes epoch;
  {
    std::lock_guard lock(database.mutex);
    if (auto it = database.epoch_records.find(run.epoch); it != database.epoch_records.end()) epoch = it->second;
  }
  if (epoch.empty()) {
    sealing.why = Error{ErrorCode::kNotFound, fmt::format("{}: epoch {} of landed frames is not held", database.name.to_string(), run.epoch.short_hex()), ""};
    if (patient) return wait();
  }
  std::vector<format::Frame> frames;
  std::size_t bytes = 0;
  auto flush = [&]() -> Status {
    for (; !frames.empty() && frames.back().signature().empty(); frames.pop_back()) {
      if (!sealing.why) sealing.why = Error{ErrorCode::kDamaged, "frames have lost the signed one that they belong to", ""};
    }
    bytes = 0;
    const std::vector<format::Frame> part = std::exchange(frames, {});
    if (part.empty()) return {};
    auto encoded = epoch.empty() ? Result<Bytes>(*sealing.why) : format::encode_run(part, epoch, run.last_received);
    if (!encoded.ok()) return set_aside(database, sealing, part, encoded.error());
    const format::RunName what = name_of(part);
    sealing.parts.push_back({what, {part.back().header(), part.back().head()}, format::run_name(database.name, what), std::move(*encoded)});
    return {};
  };
  for (const LandedRef& ref : run.frames) {
    auto record = journal_->read(ref.record);
    auto landed = record.ok() ? format::parse_landed_frame(*record) : Result<format::LandedFrame>(record.error());
    auto frame = landed.ok() ? format::parse_frame(landed->frame) : Result<format::Frame>(landed.error());
    if (!frame.ok()) {
      sealing.why = frame.error().in(fmt::format("journal: frame {} of object {}", ref.number, run.object.short_hex()));
      if (frame.error().code == ErrorCode::kIo && patient) return wait();
      // Acknowledged and lost: what lies on both sides is kept.
      STELE_CHECK(flush());
      continue;
    }
    const bool follows = frames.empty() || frame->header().previous == frames.back().head();
    if (!follows || (bytes >= kMaxRunBytes && !frames.back().signature().empty())) STELE_CHECK(flush());
    bytes += frame->encoded_size();
    frames.push_back(std::move(*frame));
  }
  return flush();
}

/// Frames that can be no run must not keep the journal from being used again: their bytes go to a file that nobody but a person reads.
Status Keeper::set_aside(Database& database, Sealing& sealing, const std::vector<format::Frame>& frames, const Error& why) {
  Bytes bytes;
  for (const format::Frame& frame : frames) frame.encode_to(bytes);
  const format::RunName what = name_of(frames);
  const std::string path = fmt::format("{}/aside/{}/{}/{}-{}-{}-{}.frames", options_.store_root, database.name.site, database.name.database,
                                       what.object.hex(), what.first, what.last, crypto::hash(crypto::default_suite(), bytes).short_hex());
  STELE_CHECK(io::make_directories_durably(parts_.fs, io::parent_directory(path)));
  STELE_CHECK(io::write_file_durably(parts_.fs, path, bytes, io::WriteMode::kReplace));
  database.site.stored += bytes.size();
  sealing.why = why.in(fmt::format("frames {} to {} of object {} cannot be stored and lie in {}", what.first, what.last, what.object.short_hex(), path));
  return {};
}

/// The store holds something else under this name. A stored run that is intact stays, and what came later under its name is set aside; a
/// damaged one is replaced by what the journal holds.
Status Keeper::settle(Database& database, Sealing& sealing, SealedRun& part) {
  auto there = parts_.store.read_all(part.name, store::kMaxReadBytes);
  Status intact = there.ok() ? format::read_run(*there, nullptr, [](format::Frame) { return Status(); }) : Status(there.error());
  if (intact.ok()) {
    STELE_TRY(format::RunHead old_head, format::parse_run_head(*there));
    STELE_TRY(format::RunHead new_head, format::parse_run_head(part.bytes));
    if (equal(ByteView(*there).subspan(old_head.head_size), ByteView(part.bytes).subspan(new_head.head_size))) {
      // The same frames were sealed before, with another time of receipt.
      part.bytes = std::move(*there);
      part.stored = true;
      return {};
    }
  } else {
    STELE_CHECK(report_damage(database.name, intact.error().in(part.name).in("a stored run is replaced by the frames of the journal"), part.what.stream, {}));
    STELE_CHECK(parts_.store.remove(part.name));
    STELE_CHECK(parts_.store.put(part.name, part.bytes));
    part.stored = true;
    return {};
  }
  std::vector<format::Frame> frames;
  STELE_CHECK(format::read_run(part.bytes, nullptr, [&](format::Frame frame) -> Status {
    frames.push_back(std::move(frame));
    return {};
  }));
  return set_aside(database, sealing, frames, Error{ErrorCode::kForged, "the agent sent other bytes for what is stored as " + part.name, ""});
}

/// Puts all parts behind one barrier. An error is the disk's.
Status Keeper::store_runs(Database& database, std::vector<Sealing>& group) {
  std::vector<std::unique_ptr<store::StagedObject>> staged;
  for (Sealing& sealing : group) {
    for (SealedRun& part : sealing.parts) {
      STELE_TRY(auto object, parts_.store.stage(part.name));
      STELE_CHECK(object->append(part.bytes));
      staged.push_back(std::move(object));
    }
  }
  Status committed = staged.empty() ? Status{} : parts_.store.commit(std::move(staged));
  if (!committed.ok() && committed.error().code != ErrorCode::kExists) return committed;
  for (Sealing& sealing : group) {
    for (SealedRun& part : sealing.parts) {
      Status put = committed.ok() ? Status{} : parts_.store.put(part.name, part.bytes);
      part.stored = put.ok();
      if (!put.ok() && put.error().code != ErrorCode::kExists) return put;
      if (!put.ok()) STELE_CHECK(settle(database, sealing, part));
      if (!part.stored) continue;
      if (Status indexed = index(database, part.name, part.bytes); !indexed.ok()) {
        // The catalog is a copy: what it missed it learns later, the journal need not wait for it.
        log::log_error(indexed.error());
        unindexed_.emplace_back(&database, part.name);
      }
      database.metrics.sealed_runs.inc();
    }
  }
  return {};
}

/// What of the run is in no part: says so, and then the ledger holds it no longer. An error: nothing may be released.
Status Keeper::report_lost(Database& database, const Sealing& sealing) {
  if (!sealing.why) return {};
  const OpenRun& run = sealing.run;
  struct Hole {
    LostFrames lost;
    std::optional<ObjectProgress> before;
  };
  std::vector<Hole> holes;
  std::optional<ObjectProgress> before;
  std::uint64_t next = run.frames.front().number;
  Position at = run.range.begin;
  for (const SealedRun& part : sealing.parts) {
    if (part.what.first > next) holes.push_back({{run.object, static_cast<std::uint32_t>(next), part.what.first - 1, {at, part.what.range.begin}}, before});
    next = std::uint64_t{part.what.last} + 1;
    at = part.what.range.end;
    before = part.last;
  }
  const std::uint32_t last = run.frames.back().number;
  if (next <= last) holes.push_back({{run.object, static_cast<std::uint32_t>(next), last, {at, run.range.end}}, before});
  // Other bytes for what is stored: nothing is lost, somebody must look.
  if (holes.empty()) return report_damage(database.name, *sealing.why, run.stream, run.range);
  for (const Hole& hole : holes) {
    const Error error = sealing.why->in(fmt::format("frames {} to {} of object {} are not in the store", hole.lost.first, hole.lost.last, run.object.short_hex()));
    STELE_CHECK(report_damage(database.name, error, run.stream, hole.lost.range));
  }
  if (!holes.front().before && run.frames.front().number != 0) {
    // Not found, or no catalog: the ledger forgets more than was lost, and the agent sends it again.
    (void)parts_.catalog.visit_runs(database.name, [&](const RunEntry& entry) {
      if (entry.name.object == run.object && entry.name.last + 1 == run.frames.front().number) holes.front().before = ObjectProgress{entry.last, entry.head};
    });
  }
  std::lock_guard lock(database.mutex);
  for (const Hole& hole : holes) database.streams.at(run.stream).lose(hole.lost, hole.before);
  return {};
}

/// With seal_mutex_ held: stores the group and releases what the journal held of it. An error is the disk's.
Status Keeper::finish(Database& database, std::vector<Sealing>& group, std::uint32_t& count) {
  Status failed = store_runs(database, group);
  for (Sealing& sealing : group) {
    if (failed.ok()) failed = report_lost(database, sealing);
    std::lock_guard lock(database.mutex);
    if (!failed.ok()) {
      database.runs.failed(std::move(sealing.run));
      continue;
    }
    for (const SealedRun& part : sealing.parts) {
      if (!part.stored) continue;
      database.streams.at(part.what.stream).sealed(part.what.range.end);
      ++count;
    }
    for (const LandedRef& ref : sealing.run.frames) journal_->release(ref.record);
    database.runs.done(sealing.run);
  }
  group.clear();
  return failed;
}

Result<std::uint32_t> Keeper::seal(Database& database, bool everything) {
  std::lock_guard sealing_lock(seal_mutex_);
  index_again();
  std::vector<OpenRun> runs;
  {
    std::lock_guard lock(database.mutex);
    runs = database.runs.take(parts_.clock.now(), options_.seal, everything);
  }
  std::uint32_t count = 0;
  std::size_t bytes = 0;
  std::vector<Sealing> group;
  Status disk, first;  // the disk's failure stops all, a run's own only that run
  for (OpenRun& run : runs) {
    Sealing sealing{std::move(run), {}, {}};
    if (Status read = disk.ok() ? read_run(database, sealing) : disk; !read.ok()) {
      if (first.ok()) first = read;
      std::lock_guard lock(database.mutex);
      database.runs.failed(std::move(sealing.run));
      continue;
    }
    bytes += sealing.bytes();
    group.push_back(std::move(sealing));
    if (bytes < kMaxBarrierBytes) continue;
    disk = finish(database, group, count);
    bytes = 0;
  }
  if (disk.ok()) disk = finish(database, group, count);
  if (!disk.ok()) first = disk;
  if (!first.ok()) {
    parts_.metrics.seal_failures.inc();
    return first.error();
  }
  return count;
}

/// With seal_mutex_ held.
void Keeper::index_again() {
  while (!unindexed_.empty()) {
    const auto& [database, name] = unindexed_.back();
    auto bytes = parts_.store.read_all(name, store::kMaxReadBytes);
    // Gone or damaged meanwhile: the next start says so.
    if (bytes.ok() && !index(*database, name, *bytes).ok()) return;
    unindexed_.pop_back();
  }
}

Status Keeper::seal_due() {
  const bool everything = journal_->live_bytes() > journal_->capacity() / 2;
  Status first;
  for (Database* database : databases()) {
    if (auto sealed = seal(*database, everything); !sealed.ok() && first.ok()) first = sealed.error().in("seal runs of " + database->name.to_string());
  }
  return first;
}

Result<std::uint32_t> Keeper::seal_all(Database& database) { return seal(database, true); }

Status Keeper::seal_everything() {
  Status first;
  for (Database* database : databases()) {
    if (auto sealed = seal(*database, true); !sealed.ok() && first.ok()) first = sealed.error().in("seal runs of " + database->name.to_string());
  }
  return first;
}

}  // namespace stele::receiver
