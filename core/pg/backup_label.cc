#include "core/pg/backup_label.h"

#include <fmt/format.h>

#include <charconv>

#include "core/pg/wal_segment.h"

namespace stele::pg {
namespace {

Error damaged(std::string what) { return Error{ErrorCode::kDamaged, "read backup_label: " + std::move(what), ""}; }

template <typename T>
std::optional<T> number(std::string_view text) {
  T v{};
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return v;
}

/// Takes a line off the front; the line end ("\n" or "\r\n") is not part of it.
std::string_view take_line(std::string_view& text) {
  auto end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

Result<BackupLabel> parse_backup_label(std::string_view text) {
  if (text.size() > kMaxBackupLabelSize) return damaged("longer than 64 KiB");
  BackupLabel out;
  bool has_start = false, has_checkpoint = false;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    std::string_view key = line.substr(0, colon), value = line.substr(colon + 2);
    if (key == "START WAL LOCATION") {
      auto space = value.find(" (file ");
      if (space == std::string_view::npos || !value.ends_with(')')) return damaged("START WAL LOCATION without a file");
      auto position = parse_position(value.substr(0, space));
      if (!position.ok()) return damaged("START WAL LOCATION is no position");
      out.start_wal_location = *position;
      out.start_wal_file = value.substr(space + 7, value.size() - space - 8);
      if (classify_wal_file(out.start_wal_file) != WalFileKind::kSegment) return damaged("START WAL LOCATION names no WAL file");
      has_start = true;
    } else if (key == "CHECKPOINT LOCATION") {
      auto position = parse_position(value);
      if (!position.ok()) return damaged("CHECKPOINT LOCATION is no position");
      out.checkpoint_location = *position;
      has_checkpoint = true;
    } else if (key == "BACKUP METHOD") {
      out.backup_method = value;
    } else if (key == "BACKUP FROM") {
      out.backup_from = value;
    } else if (key == "START TIME") {
      out.start_time = value;
    } else if (key == "LABEL") {
      out.label = value;
    } else if (key == "START TIMELINE") {
      auto timeline = number<TimelineId>(value);
      if (!timeline || *timeline == 0) return damaged("START TIMELINE is no timeline");
      out.start_timeline = *timeline;
    } else if (key == "INCREMENTAL FROM LSN") {
      auto position = parse_position(value);
      if (!position.ok()) return damaged("INCREMENTAL FROM LSN is no position");
      out.incremental_from = *position;
    } else if (key == "INCREMENTAL FROM TLI") {
      out.incremental_from_timeline = number<TimelineId>(value);
      if (!out.incremental_from_timeline) return damaged("INCREMENTAL FROM TLI is no timeline");
    }
  }
  if (!has_start) return damaged("no START WAL LOCATION");
  if (!has_checkpoint) return damaged("no CHECKPOINT LOCATION");
  if (out.start_timeline == 0) {
    // The timeline digits do not depend on the segment size.
    STELE_TRY(out.start_timeline, parse_history_file_name(out.start_wal_file.substr(0, 8) + ".history"));
  }
  return out;
}

std::string write_backup_label(const BackupLabel& label) {
  std::string out = fmt::format(
      "START WAL LOCATION: {} (file {})\nCHECKPOINT LOCATION: {}\nBACKUP METHOD: {}\nBACKUP FROM: {}\nSTART TIME: {}\nLABEL: {}\nSTART TIMELINE: {}\n",
      label.start_wal_location.to_string(), label.start_wal_file, label.checkpoint_location.to_string(), label.backup_method, label.backup_from,
      label.start_time, label.label, label.start_timeline);
  if (label.incremental_from) out += fmt::format("INCREMENTAL FROM LSN: {}\n", label.incremental_from->to_string());
  if (label.incremental_from_timeline) out += fmt::format("INCREMENTAL FROM TLI: {}\n", *label.incremental_from_timeline);
  return out;
}

Result<std::map<Oid, std::string>> parse_tablespace_map(std::string_view text) {
  auto bad = [](std::string_view why) { return Error{ErrorCode::kDamaged, fmt::format("read tablespace_map: {}", why), ""}; };
  std::map<Oid, std::string> out;
  std::string line;
  bool escaped = false;
  auto add = [&]() -> Status {
    if (line.empty()) return {};
    auto space = line.find(' ');
    auto oid = number<Oid>(std::string_view(line).substr(0, space));
    if (space == std::string::npos || !oid || *oid == 0 || space + 1 == line.size()) return bad("a line that is not \"OID PATH\"");
    if (!out.emplace(*oid, line.substr(space + 1)).second) return bad(fmt::format("tablespace {} twice", *oid));
    line.clear();
    return {};
  };
  for (char c : text) {
    // A backslash keeps the next character, also a line end, as part of the path.
    if (!escaped && c == '\\') {
      escaped = true;
      continue;
    }
    if (!escaped && (c == '\n' || c == '\r')) {
      STELE_CHECK(add());
    } else if (c == '\0') {
      return bad("a NUL character");
    } else {
      line.push_back(c);
    }
    escaped = false;
  }
  if (escaped) return bad("ends with a backslash");
  STELE_CHECK(add());
  return out;
}

std::string write_tablespace_map(const std::map<Oid, std::string>& tablespaces) {
  std::string out;
  for (const auto& [oid, path] : tablespaces) {
    out += fmt::format("{} ", oid);
    for (char c : path) {
      if (c == '\n' || c == '\r' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('\n');
  }
  return out;
}

}  // namespace stele::pg
