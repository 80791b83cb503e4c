#include <fmt/format.h>

#include "core/config/log.h"
#include "core/format/landed_frame.h"
#include "core/format/object_names.h"
#include "core/format/run.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

namespace {
/// One barrier (sync of all, then link) covers at most so many bytes of runs.
constexpr std::size_t kMaxBarrierBytes = 64 << 20;

format::RunName name_of(const std::vector<format::Frame>& frames) {
  const format::FrameHeader &first = frames.front().header(), &last = frames.back().header();
  return {first.stream, {first.start, last.end}, first.object, first.number, last.number};
}
}  // namespace

/// A run on its way from journal to store.
struct Keeper::SealedRun {
  Database* database;
  std::string name;
  Bytes bytes;
};

Result<std::vector<Keeper::SealedRun>> Keeper::read_run(Database& database, const OpenRun& run) {
  Bytes epoch;
  {
    std::lock_guard lock(database.mutex);
    auto it = database.epoch_records.find(run.epoch);
    if (it == database.epoch_records.end()) {
      return Error{ErrorCode::kNotFound, fmt::format("{}: epoch {} of a landed frame is not held", database.name.to_string(), run.epoch.short_hex()), ""};
    }
    epoch = it->second;
  }
  std::vector<SealedRun> out;
  std::vector<format::Frame> frames;
  auto flush = [&]() -> Status {
    while (!frames.empty() && frames.back().signature().empty()) frames.pop_back();
    if (frames.empty()) return {};
    STELE_TRY(Bytes bytes, format::encode_run(frames, epoch, run.last_received));
    out.push_back({&database, format::run_name(database.name, name_of(frames)), std::move(bytes)});
    frames.clear();
    return {};
  };
  for (const LandedRef& ref : run.frames) {
    auto record = journal_->read(ref.record);
    auto landed = record.ok() ? format::parse_landed_frame(*record) : Result<format::LandedFrame>(record.error());
    auto frame = landed.ok() ? format::parse_frame(landed->frame) : Result<format::Frame>(landed.error());
    if (frame.ok()) {
      frames.push_back(std::move(*frame));
      continue;
    }
    if (frame.error().code != ErrorCode::kDamaged) return frame.error();
    // Acknowledged and lost: said loudly; what lies on both sides is kept.
    const Position at = frames.empty() ? Position{} : frames.back().header().end;
    report_damage(database.name, frame.error().in(fmt::format("journal: frame {} of object {}", ref.number, run.object.short_hex())), run.stream, {at, at});
    STELE_CHECK(flush());
    frames.clear();
  }
  STELE_CHECK(flush());
  return out;
}

Status Keeper::store_runs(std::vector<SealedRun>& runs) {
  std::vector<std::unique_ptr<store::StagedObject>> staged;
  for (SealedRun& run : runs) {
    STELE_TRY(auto object, parts_.store.stage(run.name));
    STELE_CHECK(object->append(run.bytes));
    staged.push_back(std::move(object));
  }
  Status committed = parts_.store.commit(std::move(staged));
  if (!committed.ok() && committed.error().code != ErrorCode::kExists) return committed;
  for (SealedRun& run : runs) {
    if (!committed.ok()) {
      Status put = parts_.store.put(run.name, run.bytes);
      if (!put.ok() && put.error().code == ErrorCode::kExists) {
        // The same frames were sealed before, with another time of receipt: good when they are whole.
        STELE_TRY(Bytes there, parts_.store.read_all(run.name, store::kMaxReadBytes));
        STELE_TRY(format::RunHead old_head, format::parse_run_head(there));
        STELE_TRY(format::RunHead new_head, format::parse_run_head(run.bytes));
        if (!equal(ByteView(there).subspan(old_head.head_size), ByteView(run.bytes).subspan(new_head.head_size))) {
          return put.error().in(run.name).with_hint("the stored run is damaged: the frames stay in the journal");
        }
        run.bytes = std::move(there);
      } else if (!put.ok()) {
        return put;
      }
    }
    STELE_CHECK(parts_.catalog.add_object(run.name, run.bytes, parts_.clock.now()));
    run.database->site.stored += run.bytes.size();
    run.database->metrics.sealed_runs.inc();
  }
  return {};
}

Result<std::uint32_t> Keeper::seal(Database& database, bool everything) {
  std::lock_guard sealing(seal_mutex_);
  std::vector<OpenRun> runs;
  {
    std::lock_guard lock(database.mutex);
    runs = database.runs.take(parts_.clock.now(), options_.seal, everything);
  }
  std::uint32_t count = 0;
  Status failed;
  for (std::size_t i = 0; i < runs.size();) {
    std::vector<SealedRun> group;
    std::size_t bytes = 0, end = i;
    for (; end < runs.size() && (bytes < kMaxBarrierBytes || end == i) && failed.ok(); ++end) {
      auto sealed = read_run(database, runs[end]);
      if (!sealed.ok()) {
        failed = sealed.error();
        break;
      }
      for (SealedRun& run : *sealed) {
        bytes += run.bytes.size();
        group.push_back(std::move(run));
      }
    }
    if (failed.ok()) failed = store_runs(group);
    if (!failed.ok()) end = runs.size();
    std::lock_guard lock(database.mutex);
    if (failed.ok()) {
      for (const SealedRun& run : group) {
        if (auto name = format::parse_run_name(run.name)) database.streams.at(name->stream).sealed(name->range.end);
      }
    }
    for (; i < end; ++i) {
      if (!failed.ok()) {
        database.runs.failed(std::move(runs[i]));
        continue;
      }
      for (const LandedRef& ref : runs[i].frames) journal_->release(ref.record);
      database.runs.done(runs[i]);
    }
    count += static_cast<std::uint32_t>(group.size());
  }
  if (!failed.ok()) {
    parts_.metrics.seal_failures.inc();
    return failed.error();
  }
  return count;
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
