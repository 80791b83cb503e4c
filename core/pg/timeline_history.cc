#include "core/pg/timeline_history.h"

#include <fmt/format.h>

#include <charconv>

namespace stele::pg {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trim_front(std::string_view text) {
  auto at = text.find_first_not_of(kBlanks);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at);
}

std::string_view take_word(std::string_view& line) {
  line = trim_front(line);
  auto end = line.find_first_of(kBlanks);
  std::string_view word = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view{} : line.substr(end);
  return word;
}

}  // namespace

TimelineId TimelineHistory::timeline_at(Position p) const {
  for (const auto& a : ancestors) {
    if (p < a.end) return a.tli;
  }
  return tli;
}

std::optional<Position> TimelineHistory::switch_point(TimelineId ancestor) const {
  for (const auto& a : ancestors) {
    if (a.tli == ancestor) return a.end;
  }
  return std::nullopt;
}

std::optional<TimelineHistory> TimelineHistory::history_of(TimelineId ancestor) const {
  if (ancestor == tli) return *this;
  for (std::size_t i = 0; i < ancestors.size(); ++i) {
    if (ancestors[i].tli != ancestor) continue;
    return TimelineHistory{ancestor, {ancestors.begin(), ancestors.begin() + static_cast<std::ptrdiff_t>(i)}};
  }
  return std::nullopt;
}

bool TimelineHistory::descends_from(const TimelineHistory& other) const {
  auto mine = history_of(other.tli);
  return mine && *mine == other;
}

Position TimelineHistory::common_end(const TimelineHistory& other) const {
  constexpr Position kEndless{~std::uint64_t{0}};
  auto range = [kEndless](const TimelineHistory& h, std::size_t i) {
    return i < h.ancestors.size() ? TimelineRange{h.ancestors[i].tli, h.ancestors[i].begin, h.ancestors[i].end, {}}
                                  : TimelineRange{h.tli, h.begin(), kEndless, {}};
  };
  Position common{};
  std::size_t n = std::min(ancestors.size(), other.ancestors.size());
  for (std::size_t i = 0; i <= n; ++i) {
    TimelineRange a = range(*this, i), b = range(other, i);
    if (a.tli != b.tli) return common;
    common = std::min(a.end, b.end);
    if (a.end != b.end) return common;
  }
  return common;
}

Result<TimelineHistory> parse_timeline_history(TimelineId tli, std::string_view text) {
  auto damaged = [&](std::size_t number, std::string_view why) {
    return Error{ErrorCode::kDamaged, fmt::format("read {:08X}.history, line {}: {}", tli, number, why), ""};
  };
  if (tli == 0) return damaged(0, "there is no timeline 0");
  if (text.size() > kMaxHistoryFileSize) return damaged(0, "longer than 1 MiB");
  TimelineHistory out;
  out.tli = tli;
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto end = text.find('\n');
    std::string_view line = trim_front(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.empty() || line[0] == '#') continue;
    std::string_view first = take_word(line), second = take_word(line);
    TimelineRange range;
    auto [rest, failed] = std::from_chars(first.data(), first.data() + first.size(), range.tli);
    if (failed != std::errc{} || rest != first.data() + first.size() || range.tli == 0) return damaged(number, "no timeline number");
    auto switched = parse_position(second);
    if (!switched.ok()) return damaged(number, "no position of a switch");
    range.begin = out.begin();
    range.end = *switched;
    range.reason = trim_front(line);
    while (!range.reason.empty() && range.reason.back() == '\r') range.reason.pop_back();
    if (!out.ancestors.empty() && range.tli <= out.ancestors.back().tli) return damaged(number, "timelines do not grow");
    if (range.tli >= tli) return damaged(number, "an ancestor is not older than the timeline itself");
    if (range.end < range.begin) return damaged(number, "a switch point lies before the one above it");
    out.ancestors.push_back(std::move(range));
  }
  return out;
}

std::string write_timeline_history(const TimelineHistory& history) {
  std::string out;
  for (const auto& a : history.ancestors) out += fmt::format("{}\t{}\t{}\n", a.tli, a.end.to_string(), a.reason);
  return out;
}

Bytes canonical_bytes(const TimelineHistory& history) {
  Bytes out;
  ByteWriter w(out);
  w.u8(1);
  w.u32(history.tli);
  w.u32(static_cast<std::uint32_t>(history.ancestors.size()));
  for (const auto& a : history.ancestors) {
    w.u32(a.tli);
    w.u64(a.end.value);
  }
  return out;
}

}  // namespace stele::pg
