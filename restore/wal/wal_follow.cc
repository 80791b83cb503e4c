#include "restore/wal/wal_follow.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/io/durable_file.h"
#include "core/pg/control_file.h"
#include "core/pg/wal_segment.h"
#include "core/recovery/windows.h"
#include "restore/apply/beneath.h"
#include "restore/fetch/decoding_log_index.h"
#include "restore/wal/wal_stager.h"

namespace stele::restore {

using recovery::BranchFact;

namespace {

constexpr std::uint64_t kMaxPlan = 256u << 20, kMaxControlFile = 64u << 10;

/// What root adds belongs to the directory's owner, the server's user, who reads it.
Status give_to_owner(const std::string& directory, const std::string& path) {
  struct stat owner {};
  if (::geteuid() != 0) return {};
  if (::stat(directory.c_str(), &owner) != 0) return system_error("look at", directory, errno);
  if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) != 0) return system_error("give away", path, errno);
  return {};
}

/// PostgreSQL sees the old file or the new one, and can read it from the first moment.
Status write_file(const std::string& directory, const std::string& name, std::string_view text) {
  const std::string path = directory + "/" + name, temporary = path + ".new";
  ::unlink(temporary.c_str());
  FileDescriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("create", temporary, errno);
  STELE_CHECK(write_fully(fd.get(), 0, as_bytes(text), temporary));
  if (::fsync(fd.get()) != 0) return system_error("sync", temporary, errno);
  STELE_CHECK(fd.close(temporary));
  STELE_CHECK(give_to_owner(directory, temporary));
  io::PosixFileSystem fs;
  STELE_CHECK(fs.rename(temporary, path));
  return fs.sync_directory(directory);
}

Status write_plan(const std::string& directory, const WalPlan& plan) { return write_file(directory, "plan", plan.encode()); }

Status write_history(const std::string& directory, const std::string& name, std::string_view text, WalPlan& plan) {
  STELE_CHECK(write_file(directory, name, text));
  plan.histories.insert(name);
  return {};
}

std::optional<Error> why_stuck(const recovery::Cover& cover) {
  constexpr std::string_view kHint = "ask another receiver; `stele-restore list` shows what is damaged and missing";
  if (!cover.mismatches.empty() && cover.mismatches.back().position == cover.end) {
    return Error{ErrorCode::kDamaged, fmt::format("two objects of the log that meet at {} belong to different histories", cover.end.to_string()), std::string(kHint)};
  }
  if (!cover.resumes) return std::nullopt;
  return Error{ErrorCode::kGap, fmt::format("the log has a hole at {} and goes on at {}", cover.end.to_string(), cover.resumes->to_string()), std::string(kHint)};
}

}  // namespace

Result<WalPlan> read_wal_plan(const std::string& directory) {
  io::PosixFileSystem fs;
  STELE_TRY(const Bytes text, io::read_file(fs, directory + "/plan", kMaxPlan));
  auto plan = WalPlan::decode(as_text(text));
  if (!plan.ok()) return plan.error().in(directory);
  return plan;
}

Result<Followed> extend_staging(const StoreCatalog& catalog, LogReader& reader, const std::string& directory, std::size_t workers) {
  STELE_TRY(WalPlan plan, read_wal_plan(directory));
  const recovery::Facts& facts = catalog.facts();
  const BranchFact* followed = facts.branch(plan.following);
  if (followed == nullptr) return Error{ErrorCode::kNotFound, fmt::format("the branch {} that this standby follows is not in the store", plan.following.short_hex()), "is it the right store?"};
  const auto head = recovery::current_branch(facts);
  const BranchFact* current = head ? facts.branch(*head) : nullptr;
  if (current == nullptr || current->lineage != followed->lineage) return Error{ErrorCode::kFork, "the store's current history is of another cluster than this standby", "build the standby anew"};
  STELE_TRY(const recovery::BranchPath path, recovery::path_to(facts, current->stream));
  const recovery::PathPart* part = path.part_of(followed->stream);
  if (part == nullptr || plan.end > part->range.end) {
    return Error{ErrorCode::kFork, fmt::format("the source left this standby's history at {}, and the standby has it up to {}", part == nullptr ? "an earlier point" : part->range.end.to_string(), plan.end.to_string()),
                 "the standby cannot go on with the new history: stop it and build it anew with `run --standby --delta`, or promote it as it is"};
  }
  const std::uint64_t size = plan.segment_size;
  // The segment in which a timeline begins has a new name, and the parent's bytes before the switch: it is written from its start, also when
  // an earlier step came up to the switch under the parent's name and nothing of the new timeline was there yet.
  const bool moved = current->stream != followed->stream;
  const bool switch_inside = !current->history.empty() && current->history.back().end.value / size == plan.end.value / size;
  const Position from = moved || switch_inside ? Position{plan.end.value / size * size} : plan.end;
  const recovery::LogMap log(facts);
  const recovery::Cover cover = recovery::cover_path(log, path, from, recovery::kEndOfTime);
  Followed out{plan.end, log.as_of(followed->stream, plan.end), plan.timelines.back().number, 0, why_stuck(cover)};
  if (cover.end <= plan.end) return out;
  STELE_TRY(const BeneathDirectory root, BeneathDirectory::open(directory));
  std::map<std::uint64_t, std::string> by_number;
  for (const std::string& name : recovery::wal_segments(current->timeline, current->history, Position{from.value / size * size}, cover.end, size)) {
    STELE_TRY(const pg::WalSegment segment, pg::parse_wal_file_name(name, static_cast<std::uint32_t>(size)));
    by_number[segment.number] = name;
    plan.segments.insert(name);
  }
  STELE_CHECK(write_log_pieces(reader, cover.pieces, by_number, size, root, workers, {}));
  for (const auto& [number, name] : by_number) STELE_CHECK(give_to_owner(directory, directory + "/" + name));
  if (moved) {
    for (const auto& [name, text] : history_files_up_to(current->timeline, current->history)) {
      if (!plan.histories.contains(name)) STELE_CHECK(write_history(directory, name, text, plan));
    }
    plan.timelines.clear();
    Position begin;
    for (const recovery::SwitchPoint& s : current->history) {
      plan.timelines.push_back({s.timeline, begin});
      begin = s.end;
    }
    plan.timelines.push_back({current->timeline, begin});
    plan.following = current->stream;
  }
  STELE_CHECK(root.sync_file_system());
  out.new_bytes = cover.end - plan.end;
  plan.end = out.end = cover.end;
  out.as_of = log.as_of(current->stream, cover.end);
  out.timeline = current->timeline;
  STELE_CHECK(write_plan(directory, plan));
  return out;
}

Result<Position> last_record_before(const StoreCatalog& catalog, LogReader& reader, const std::string& directory, Position end) {
  STELE_TRY(const WalPlan plan, read_wal_plan(directory));
  STELE_TRY(const recovery::BranchPath path, recovery::path_to(catalog.facts(), plan.following));
  const recovery::LogMap log(catalog.facts());
  // Retention may have taken what was staged long ago: the last stretch without a hole is enough.
  Position from = plan.begin;
  recovery::Cover cover = recovery::cover_path(log, path, from, end);
  while (cover.end < end && cover.resumes && *cover.resumes < end) {
    from = *cover.resumes;
    cover = recovery::cover_path(log, path, from, end);
  }
  DecodingLogIndex index(catalog, reader);
  std::optional<recovery::RecordPlace> place;
  if (cover.end == end) {
    STELE_TRY(place, index.last_record(cover.pieces, from));
  }
  if (!place) return Error{ErrorCode::kGap, fmt::format("the store does not hold the log before {}, which this standby was given", end.to_string()), "is it the right store?"};
  return place->end;
}

Result<std::size_t> trim_staging(const std::string& directory, const std::string& data_directory) {
  io::PosixFileSystem fs;
  // Until the first start recovery begins where backup_label says. That may lie before the redo position of pg_control, which was copied last:
  // a restart point of the standby that the snapshot was taken from is newer than the snapshot's checkpoint.
  STELE_TRY(const bool labelled, fs.exists(data_directory + "/backup_label"));
  if (labelled) return std::size_t{0};
  const auto bytes = io::read_file(fs, data_directory + "/global/pg_control", kMaxControlFile);
  if (!bytes.ok()) return std::size_t{0};
  // Read while the server may write it: a wrong checksum says nothing, the next look will do.
  const auto control = pg::parse_control_file(*bytes);
  if (!control.ok()) return std::size_t{0};
  const Position needed = control->checkpoint_copy.redo;
  STELE_TRY(WalPlan plan, read_wal_plan(directory));
  std::vector<std::string> old;
  for (const std::string& name : plan.segments) {
    STELE_TRY(const pg::WalSegment segment, pg::parse_wal_file_name(name, static_cast<std::uint32_t>(plan.segment_size)));
    if ((segment.number + 1) * plan.segment_size <= needed.value) old.push_back(name);
  }
  if (old.empty()) return std::size_t{0};
  for (const std::string& name : old) plan.segments.erase(name);
  plan.begin = std::max(plan.begin, Position{needed.value / plan.segment_size * plan.segment_size});
  STELE_CHECK(write_plan(directory, plan));
  for (const std::string& name : old) {
    const std::string path = directory + "/" + name;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove", path, errno);
  }
  return old.size();
}

Status take_timelines(const std::string& directory, const std::vector<std::uint32_t>& numbers) {
  STELE_TRY(WalPlan plan, read_wal_plan(directory));
  for (const std::uint32_t number : numbers) {
    if (plan.histories.contains(pg::history_file_name(number))) continue;
    STELE_CHECK(write_history(directory, pg::history_file_name(number), "# reserved for a restored server\n", plan));
  }
  return write_plan(directory, plan);
}

}  // namespace stele::restore
