#include "core/config/drill_config.h"

#include <limits>

namespace stele::config {
namespace {

/// "shared_buffers = 1GB".
Result<std::pair<std::string, std::string>> parse_setting(std::string_view text) {
  const auto trim = [](std::string_view t) {
    while (!t.empty() && t.front() == ' ') t.remove_prefix(1);
    while (!t.empty() && t.back() == ' ') t.remove_suffix(1);
    return std::string(t);
  };
  const std::size_t equals = text.find('=');
  std::string name = trim(text.substr(0, equals));
  if (equals == std::string_view::npos || name.empty() ||
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_.0123456789") != std::string::npos) {
    return Error{ErrorCode::kConfig, "expected settings such as \"shared_buffers = 1GB\"", ""};
  }
  return std::pair(std::move(name), trim(text.substr(equals + 1)));
}

}  // namespace

DrillConfig read_drill(TableReader table) {
  constexpr Duration kShortest = std::chrono::seconds(1), kLongest = std::chrono::hours(24 * 366);
  DrillConfig out;
  out.database = table.string("database", "", "SITE/DATABASE to drill; \"\": the store's only one.");
  if (!out.database.empty()) (void)table.parsed("database", parse_database_name(out.database));
  out.directory = table.path("directory", "/var/lib/stele/drill",
                             "The copies lie below it while they are drilled; on an encrypted disk. Short: at most 40 characters.");
  out.max_bytes = table.bytes("max_bytes", "0", 0, std::numeric_limits<std::int64_t>::max(),
                              "What one copy may take, checked before and watched while it runs; 0: what is free.");
  out.assertions = table.path("assertions", "", "Folder of .sql files that must hold in the copy; \"\": none.");
  out.assertion_database =
      table.string("assertion_database", "postgres", "The SQL database for assertions that do not name one.");
  out.count_tolerance_percent = static_cast<int>(
      table.integer("count_tolerance_percent", 20, 0, 100,
                    "How much smaller a table of the copy may be than its estimate when the snapshot was taken; 100: it need only exist."));
  out.count_ignore = table.strings("count_ignore", false, "Tables whose counts do not matter: \"schema.table\", \"schema.*\".");
  for (const std::string& name : out.count_ignore) {
    const std::size_t dot = name.find('.');
    if (dot == 0 || dot == std::string::npos || dot + 1 == name.size()) table.fail("count_ignore", "expected \"schema.table\" or \"schema.*\"");
  }
  out.superuser = table.string("superuser", "postgres", "A superuser role of the drilled server.");
  out.libraries = table.strings("libraries", false, "Preload libraries that copies (also those of `extract`) may load; all others are taken out.");
  for (const std::string& text : table.strings("settings", false, "Settings of the copy, such as \"shared_buffers = 1GB\".")) {
    if (auto setting = table.parsed("settings", parse_setting(text))) out.settings.push_back(std::move(*setting));
  }
  out.recovery_timeout = table.duration("recovery_timeout", "24h", kShortest, kLongest, "Longest recovery.");
  out.check_timeout = table.duration("check_timeout", "12h", kShortest, kLongest, "Longest single check.");
  out.reports = table.path("reports", "/var/lib/stele/reports", "HTML report and signed JSON of every drill.");
  out.signing_key = table.path("signing_key", "/etc/stele/keys/restore-host.key",
                               "This host's signing key, mode 0600: `stele-restore keygen --restore-host`.");
  out.rto_target = table.duration("rto_target", "4h", kShortest, kLongest, "Longest time to a checked database.");
  out.rpo_target = table.duration("rpo_target", "15m", kShortest, kLongest, "Longest time whose commits may be lost.");
  out.interval = table.duration("interval", "7d", kShortest, kLongest, "How often drills are due; for alerts.");
  out.textfile_directory = table.path("textfile_directory", "", "node_exporter's textfile directory; \"\": none.");
  out.pushgateway = table.endpoint("pushgateway", "", "A Prometheus Pushgateway; \"\": none.");
  return out;
}

}  // namespace stele::config
