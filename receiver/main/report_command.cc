#include "receiver/main/report_command.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/durable_file.h"
#include "receiver/status/assessment.h"

namespace stele::receiver {

namespace {

constexpr Duration kDefaultPeriod = std::chrono::hours(24 * 30);

Result<Timestamp> day_or_moment(const std::string& text, const char* option) {
  auto t = parse_timestamp(text.size() == 10 ? text + "T00:00:00" : text);
  if (!t.ok()) return Error{ErrorCode::kUsage, std::string(option) + " " + text + ": " + t.error().what, "such as 2026-11-01, or 2026-11-01T08:00:00+08:00"};
  return *t;
}

/// Calls `take` with every line of the months' files "PREFIX-YYYY-MM.tsv" from `first` to `last`.
Status read_lines(const std::filesystem::path& directory, const std::string& prefix, Timestamp first, Timestamp last, const std::function<void(std::string_view)>& take) {
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ec)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix + "-") || !name.ends_with(".tsv")) continue;
    const std::string month = name.substr(prefix.size() + 1, 7);
    if (month < month_of(first) || month > month_of(last)) continue;
    errno = 0;
    std::ifstream in(entry.path());
    if (!in) return system_error("read", entry.path().string(), errno != 0 ? errno : EIO);
    for (std::string line; std::getline(in, line);) take(line);
  }
  // No directory: nothing was kept yet, and the report says so.
  if (ec && ec != std::errc::no_such_file_or_directory) return system_error("read", directory.string(), ec.value());
  return {};
}

}  // namespace

Result<std::vector<std::string>> write_report(const config::ReceiverConfig& config, const nlohmann::json& status, const ReportRequest& request, Timestamp now) {
  Timestamp to = now;
  if (!request.to.empty()) {
    STELE_TRY(to, day_or_moment(request.to, "--to"));
  }
  to = std::min(to, now);  // nobody has seen the rest
  Timestamp from = to + (-kDefaultPeriod);
  if (!request.from.empty()) {
    STELE_TRY(from, day_or_moment(request.from, "--from"));
  }
  if (from >= to) return Error{ErrorCode::kUsage, "the period " + to_iso8601(from) + " to " + to_iso8601(to) + " is empty", "--from is before --to, and not in the future"};

  std::vector<HourRow> hours;
  STELE_CHECK(read_lines(config.history_directory(), "hours", from, to, [&](std::string_view line) {
    if (auto row = parse_hour_line(line); row && row->hour >= from && row->hour < to) hours.push_back(std::move(*row));
  }));
  // What began in earlier months may have lasted: all that was kept is read.
  std::vector<IncidentRow> incidents;
  STELE_CHECK(read_lines(config.history_directory(), "incidents", Timestamp{1}, to, [&](std::string_view line) {
    if (auto row = parse_incident_line(line)) incidents.push_back(std::move(*row));
  }));
  STELE_TRY(const Assessment made, assess(status, hours, incidents, from, to, now));

  io::PosixFileSystem fs;
  STELE_CHECK(io::make_directories_durably(fs, request.directory));
  std::vector<std::string> files;
  for (const auto& [name, text] : {std::pair{"assessment.html", assessment_html(made)}, {"assessment.csv", assessment_csv(made)}, {"incidents.csv", incidents_csv(made)}}) {
    files.push_back(request.directory + "/" + name);
    STELE_CHECK(io::write_file_durably(fs, files.back(), as_bytes(text), io::WriteMode::kReplace));
  }
  return files;
}

}  // namespace stele::receiver
