#include "restore/wal/wal_plan.h"

#include <fmt/format.h>

#include <charconv>

#include "core/pg/timeline_history.h"
#include "core/pg/wal_segment.h"

namespace stele::restore {

namespace {

constexpr std::string_view kFirstLine = "stele-wal-plan 1";
constexpr std::size_t kMaxLines = 5'000'000;

template <typename T>
Result<T> number(std::string_view text) {
  T out{};
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || ec != std::errc() || end != text.data() + text.size()) return Error{ErrorCode::kDamaged, fmt::format("plan: {} is not a number", text), ""};
  return out;
}

}  // namespace

std::string WalPlan::encode() const {
  std::string out = fmt::format("{}\nsegment_size {}\nbegin {}\nend {}\n", kFirstLine, segment_size, begin.to_string(), end.to_string());
  for (const Timeline& t : timelines) out += fmt::format("timeline {} {}\n", t.number, t.begin.to_string());
  if (!following.is_zero()) out += fmt::format("following {}\n", following.hex());
  for (const std::string& s : segments) out += fmt::format("segment {}\n", s);
  for (const std::string& h : histories) out += fmt::format("history {}\n", h);
  return out;
}

Result<WalPlan> WalPlan::decode(std::string_view text) {
  WalPlan out;
  std::size_t lines = 0;
  bool end_seen = false;
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) return Error{ErrorCode::kDamaged, "plan: its last line is not complete", ""};
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    if (++lines > kMaxLines) return Error{ErrorCode::kDamaged, "plan: too many lines", ""};
    if (lines == 1) {
      if (line != kFirstLine) return Error{ErrorCode::kUnsupported, "plan: not of this version", "run the restore again with this stele-restore"};
      continue;
    }
    const std::size_t space = line.find(' ');
    const std::string_view key = line.substr(0, space), value = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
    if (key == "segment_size") {
      STELE_TRY(out.segment_size, number<std::uint64_t>(value));
      STELE_CHECK(pg::check_wal_segment_size(out.segment_size));
    } else if (key == "begin") {
      STELE_TRY(out.begin, parse_position(value));
    } else if (key == "end") {
      STELE_TRY(out.end, parse_position(value));
      end_seen = true;
    } else if (key == "timeline") {
      const std::size_t middle = value.find(' ');
      if (middle == std::string_view::npos) return Error{ErrorCode::kDamaged, "plan: a timeline without a position", ""};
      Timeline t;
      STELE_TRY(t.number, number<std::uint32_t>(value.substr(0, middle)));
      STELE_TRY(t.begin, parse_position(value.substr(middle + 1)));
      out.timelines.push_back(t);
    } else if (key == "following") {
      STELE_TRY(out.following, StreamId::parse_hex(value));
    } else if (key == "segment") {
      out.segments.emplace(value);
    } else if (key == "history") {
      out.histories.emplace(value);
    } else {
      return Error{ErrorCode::kDamaged, fmt::format("plan: unknown line \"{}\"", line.substr(0, 80)), ""};
    }
  }
  if (out.segment_size == 0 || !end_seen || out.timelines.empty()) return Error{ErrorCode::kDamaged, "plan: not complete", ""};
  return out;
}

WalPlan::Answer WalPlan::answer(const std::string& name) const {
  if (segments.contains(name) || histories.contains(name)) return Answer::kDeliver;
  if (!following.is_zero()) {
    switch (pg::classify_wal_file(name)) {
      case pg::WalFileKind::kHistory: {
        // Those of this history are here; a promotion asks once more for its parent's, when standby.signal is gone already.
        const auto timeline = pg::parse_history_file_name(name);
        return timeline.ok() && *timeline <= timelines.back().number ? Answer::kPastEnd : Answer::kNotYet;
      }
      case pg::WalFileKind::kSegment: return Answer::kNotYet;
      default: return Answer::kUnknown;
    }
  }
  switch (pg::classify_wal_file(name)) {
    // Every history file there is lies here: another timeline does not exist.
    case pg::WalFileKind::kHistory: return Answer::kPastEnd;
    case pg::WalFileKind::kSegment: {
      auto segment = pg::parse_wal_file_name(name, static_cast<std::uint32_t>(segment_size));
      if (!segment.ok()) return Answer::kUnknown;
      const Position first{segment->number * segment_size};
      if (first >= end) return Answer::kPastEnd;
      for (std::size_t i = 0; i + 1 < timelines.size(); ++i) {
        // The segment in which the next timeline begins carries that one's number.
        if (timelines[i].number == segment->timeline && first >= begin && first + segment_size > timelines[i + 1].begin) return Answer::kPastEnd;
      }
      return Answer::kUnknown;
    }
    case pg::WalFileKind::kBackupHistory:
    case pg::WalFileKind::kPartial:
    case pg::WalFileKind::kOther: return Answer::kUnknown;
  }
  return Answer::kUnknown;
}

std::string history_text(std::uint32_t timeline, const std::vector<recovery::SwitchPoint>& history) {
  pg::TimelineHistory out;
  out.tli = timeline;
  Position begin;
  for (const recovery::SwitchPoint& s : history) {
    out.ancestors.push_back({s.timeline, begin, s.end, "no reason kept"});
    begin = s.end;
  }
  return pg::write_timeline_history(out);
}

}  // namespace stele::restore
