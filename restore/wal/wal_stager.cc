#include "restore/wal/wal_stager.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/pg/wal_segment.h"
#include "restore/fetch/parallel.h"

namespace stele::restore {

using recovery::LogPiece;
using recovery::Plan;

namespace {

WalPlan make_wal_plan(const Plan& plan) {
  WalPlan out;
  out.segment_size = plan.segment_size;
  out.begin = plan.log_begin;
  out.end = plan.end;
  // Timelines with their switch points, from the history: the path may begin in the middle of it.
  Position begin;
  for (const recovery::SwitchPoint& s : plan.history) {
    out.timelines.push_back({s.timeline, begin});
    begin = s.end;
  }
  out.timelines.push_back({plan.timeline, begin});
  out.segments.insert(plan.segments.begin(), plan.segments.end());
  return out;
}

Status write_small(const BeneathDirectory& directory, const std::string& name, std::string_view text) {
  STELE_TRY(FileDescriptor fd, directory.create_file(name, 0600));
  STELE_CHECK(write_fully(fd.get(), 0, as_bytes(text), name));
  return fd.close(name);
}

/// What a piece must give, checked against what its object gave.
Result<ByteView> piece_bytes(const LogPiece& piece, const DecodedObject& object) {
  if (piece.range.begin < object.begin || piece.range.end > object.end()) {
    return Error{ErrorCode::kDamaged, fmt::format("object {} holds {} to {}, its runs said {} to {}", piece.object.short_hex(), object.begin.to_string(), object.end().to_string(),
                                                  piece.range.begin.to_string(), piece.range.end.to_string()), ""};
  }
  return ByteView(object.bytes).subspan(piece.range.begin - object.begin, piece.range.size());
}

}  // namespace

std::map<std::string, std::string> history_files(const recovery::Facts& facts, const Plan& plan, const std::vector<std::uint32_t>& reserved) {
  std::map<std::string, std::string> out;
  auto add = [&](std::uint32_t timeline, const std::vector<recovery::SwitchPoint>& history) {
    if (!history.empty()) out.try_emplace(pg::history_file_name(timeline), history_text(timeline, history));
  };
  auto add_with_ancestors = [&](std::uint32_t timeline, const std::vector<recovery::SwitchPoint>& history) {
    add(timeline, history);
    for (std::size_t i = 1; i < history.size(); ++i) add(history[i].timeline, {history.begin(), history.begin() + static_cast<std::ptrdiff_t>(i)});
  };
  add_with_ancestors(plan.timeline, plan.history);
  const recovery::BranchFact* head = facts.branch(plan.path.head());
  for (const recovery::BranchFact& b : facts.branches) {
    if (head == nullptr || b.lineage == head->lineage) add_with_ancestors(b.timeline, b.history);
  }
  for (std::uint32_t timeline : reserved) {
    if (timeline > 1) out.try_emplace(pg::history_file_name(timeline), "# reserved for a restored server\n");
  }
  return out;
}

std::map<std::string, std::string> history_files_up_to(std::uint32_t timeline, const std::vector<recovery::SwitchPoint>& history) {
  std::map<std::string, std::string> out;
  for (std::uint32_t number = 2; number <= timeline; ++number) {
    std::string text = "# never written\n";
    const auto ancestor = std::find_if(history.begin(), history.end(), [&](const recovery::SwitchPoint& s) { return s.timeline == number; });
    if (number == timeline) text = history_text(number, history);
    else if (ancestor != history.end()) text = history_text(number, {history.begin(), ancestor});
    out[pg::history_file_name(number)] = std::move(text);
  }
  return out;
}

Status write_log_pieces(LogReader& reader, const std::vector<LogPiece>& pieces, const std::map<std::uint64_t, std::string>& by_number, std::uint64_t segment_size,
                        const BeneathDirectory& root, std::size_t workers, const std::function<void(std::uint64_t)>& progress) {
  for (const auto& [number, name] : by_number) {
    STELE_TRY(const bool there, root.exists(name));
    if (there) continue;
    STELE_TRY(FileDescriptor fd, root.create_file(name, 0600));
    if (::ftruncate(fd.get(), static_cast<off_t>(segment_size)) != 0) return system_error("extend", name, errno);
    STELE_CHECK(fd.close(name));
  }
  std::atomic<std::uint64_t> done{0};
  return parallel_for(pieces.size(), workers, [&](std::size_t i) -> Status {
    const LogPiece& piece = pieces[i];
    STELE_TRY(const DecodedObject object, reader.decode(piece.runs));
    STELE_TRY(ByteView bytes, piece_bytes(piece, object));
    for (Position at = piece.range.begin; !bytes.empty();) {
      const std::uint64_t offset = at.value % segment_size;
      const std::size_t take = std::min<std::uint64_t>(bytes.size(), segment_size - offset);
      auto name = by_number.find(at.value / segment_size);
      if (name == by_number.end()) return Error{ErrorCode::kInternal, fmt::format("log at {} belongs to no planned segment", at.to_string()), ""};
      STELE_TRY(FileDescriptor fd, root.open_file(name->second));
      STELE_CHECK(write_fully(fd.get(), offset, bytes.first(take), name->second));
      STELE_CHECK(fd.close(name->second));
      at = at + take;
      bytes = bytes.subspan(take);
    }
    done += piece.range.size();
    if (progress) progress(done.load());
    return {};
  });
}

Status stage_wal(const StoreCatalog& catalog, LogReader& reader, const Plan& plan, const std::vector<std::uint32_t>& reserved, const std::string& directory,
                 std::size_t workers, const std::function<void(std::uint64_t)>& progress, bool follow) {
  if (::mkdir(directory.c_str(), 0700) != 0) return system_error("make directory", directory, errno);
  STELE_TRY(const BeneathDirectory root, BeneathDirectory::open(directory));
  WalPlan wal = make_wal_plan(plan);
  if (follow) wal.following = plan.path.head();
  std::map<std::uint64_t, std::string> by_number;
  for (const std::string& name : plan.segments) {
    STELE_TRY(const pg::WalSegment segment, pg::parse_wal_file_name(name, static_cast<std::uint32_t>(plan.segment_size)));
    by_number[segment.number] = name;
  }
  STELE_CHECK(write_log_pieces(reader, plan.log, by_number, plan.segment_size, root, workers, progress));
  for (const auto& [name, text] : follow ? history_files_up_to(plan.timeline, plan.history) : history_files(catalog.facts(), plan, reserved)) {
    STELE_CHECK(write_small(root, name, text));
    wal.histories.insert(name);
  }
  STELE_CHECK(root.sync_file_system());
  STELE_CHECK(write_small(root, "plan", wal.encode()));
  return root.sync_file_system();
}

Status compare_overlap(const DecodedObject& a, const DecodedObject& b, std::string_view what) {
  const Position begin = std::max(a.begin, b.begin), end = std::min(a.end(), b.end());
  if (begin >= end) return {};
  const ByteView left = ByteView(a.bytes).subspan(begin - a.begin, end - begin), right = ByteView(b.bytes).subspan(begin - b.begin, end - begin);
  if (equal(left, right)) return {};
  return Error{ErrorCode::kDamaged, fmt::format("{}: two objects hold different bytes between {} and {}", what, begin.to_string(), end.to_string()),
               "two histories under one name: look at the site's agent and at who may have its key"};
}

Result<std::size_t> verify_log(const StoreCatalog& catalog, LogReader& reader, const Plan& plan, std::size_t workers, const std::function<void(std::uint64_t)>& progress) {
  const recovery::LogMap log(catalog.facts());
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::size_t> objects{0};
  STELE_CHECK(parallel_for(plan.log.size(), workers, [&](std::size_t i) -> Status {
    const LogPiece& piece = plan.log[i];
    STELE_TRY(const DecodedObject object, reader.decode(piece.runs));
    STELE_TRY([[maybe_unused]] const ByteView bytes, piece_bytes(piece, object));
    ++objects;
    for (const recovery::ObjectLog& other : log.stream(piece.stream).objects) {
      if (other.object == piece.object || other.range.end <= piece.range.begin || other.range.begin >= piece.range.end) continue;
      STELE_TRY(const DecodedObject overlapping, reader.decode(other.runs));
      STELE_CHECK(compare_overlap(object, overlapping, piece.stream.short_hex()));
      ++objects;
    }
    done += piece.range.size();
    if (progress) progress(done.load());
    return {};
  }));
  return objects.load();
}

}  // namespace stele::restore
