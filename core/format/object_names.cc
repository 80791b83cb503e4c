#include "core/format/object_names.h"

#include <fmt/format.h>

#include <charconv>

namespace stele::format {

std::string database_prefix(const DatabaseName& database) { return database.to_string() + "/"; }

namespace {
std::string in(const DatabaseName& database, std::string_view folder, const std::string& id, std::string_view suffix) {
  return fmt::format("{}/{}/{}{}", database.to_string(), folder, id, suffix);
}
template <typename T>
bool parse_number(std::string_view text, T& out, int base) {
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return !text.empty() && ec == std::errc() && end == text.data() + text.size();
}
std::string run_file(const RunName& run) {
  return fmt::format("{:016x}-{:016x}-{}-{}-{}.run", run.range.begin.value, run.range.end.value, run.object.hex(), run.first, run.last);
}
}  // namespace

std::string enrolment_name(const DatabaseName& d, const Digest& id) { return in(d, "enrolment", id.hex(), ".rec"); }
std::string withdrawal_name(const DatabaseName& d, const Digest& id) { return in(d, "withdrawal", id.hex(), ".rec"); }
std::string recipients_name(const DatabaseName& d, const Digest& id) { return in(d, "recipients", id.hex(), ".rec"); }
std::string branch_name(const DatabaseName& d, const StreamId& stream) { return in(d, "branch", stream.hex(), ".rec"); }
std::string epoch_name(const DatabaseName& d, const EpochId& epoch) { return in(d, "epoch", epoch.hex(), ".rec"); }
std::string fact_name(const DatabaseName& d, const Digest& id) { return in(d, "fact", id.hex(), ".rec"); }
std::string pack_name(const DatabaseName& d, const ObjectId& pack) { return in(d, "pack", pack.hex(), ".pack"); }
std::string list_name(const DatabaseName& d, const Digest& list) { return in(d, "list", list.hex(), ".list"); }

std::string manifest_name(const DatabaseName& d, Timestamp finished, const SnapshotId& snapshot) {
  return in(d, "snapshot", fmt::format("{:016x}-{}", static_cast<std::uint64_t>(finished.micros), snapshot.hex()), ".manifest");
}

std::string log_prefix(const DatabaseName& d, const StreamId& stream) { return in(d, "log", stream.hex(), "/"); }

std::string run_name(const DatabaseName& d, const RunName& run) {
  return log_prefix(d, run.stream) + run_file(run);
}

std::optional<RunName> parse_run_name(std::string_view name) {
  constexpr std::string_view kSuffix = ".run";
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::string_view file = name.substr(slash + 1), folder = name.substr(0, slash);
  const std::size_t folder_slash = folder.rfind('/');
  if (folder_slash == std::string_view::npos) return std::nullopt;
  const std::string_view stream_hex = folder.substr(folder_slash + 1);
  auto stream = StreamId::parse_hex(stream_hex);
  const std::string_view whole_file = file;
  std::string_view parts[5];
  for (int i = 0; i < 5; ++i) {
    const std::size_t dash = file.find('-');
    if ((dash == std::string_view::npos) != (i == 4)) return std::nullopt;
    parts[i] = file.substr(0, dash);
    if (i < 4) file.remove_prefix(dash + 1);
  }
  auto object = ObjectId::parse_hex(parts[2]);
  RunName run;
  if (!stream.ok() || !object.ok() || !parse_number(parts[0], run.range.begin.value, 16) ||
      !parse_number(parts[1], run.range.end.value, 16) || !parse_number(parts[3], run.first, 10) || !parse_number(parts[4], run.last, 10)) {
    return std::nullopt;
  }
  run.stream = *stream;
  run.object = *object;
  if (run.range.end < run.range.begin || run.last < run.first) return std::nullopt;
  // One run has one name: upper case, missing or leading zeros are other names.
  if (stream_hex != run.stream.hex() || std::string(whole_file) + std::string(kSuffix) != run_file(run)) return std::nullopt;
  return run;
}

std::optional<DatabaseName> database_of(std::string_view name) {
  const std::size_t first = name.find('/');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = name.find('/', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  auto parsed = parse_database_name(name.substr(0, second));
  if (!parsed.ok()) return std::nullopt;
  return *parsed;
}

}  // namespace stele::format
