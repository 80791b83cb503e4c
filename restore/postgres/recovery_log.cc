#include "restore/postgres/recovery_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace stele::restore {
namespace {

constexpr std::size_t kMaxLog = 4 << 20;

struct Entry {
  pid_t pid = 0;
  std::optional<Timestamp> time;
  std::string_view severity;
  std::string message;
  std::string detail;
};

constexpr std::array<std::string_view, 6> kSeverities = {"LOG", "WARNING", "ERROR", "FATAL", "PANIC", "INFO"};

template <typename Number>
std::optional<Number> number_at(std::string_view text) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end != text.data() ? std::optional(value) : std::nullopt;
}

/// What follows `start` in `text`.
std::optional<std::string_view> after(std::string_view text, std::string_view start) {
  auto at = text.find(start);
  return at == std::string_view::npos ? std::nullopt : std::optional(text.substr(at + start.size()));
}

std::optional<Position> position_after(std::string_view text, std::string_view start) {
  auto rest = after(text, start);
  if (!rest) return std::nullopt;
  auto p = parse_position(rest->substr(0, rest->find_first_not_of("0123456789ABCDEFabcdef/")));
  return p.ok() ? std::optional(*p) : std::nullopt;
}

/// "2026-11-23 16:14:17.123 UTC"; other zones are not read: their names say nothing certain.
std::optional<Timestamp> log_time(std::string_view text) {
  constexpr std::string_view kZone = " UTC";
  if (!text.ends_with(kZone)) return std::nullopt;
  text.remove_suffix(kZone.size());
  auto time = parse_timestamp(std::string(text) + "Z");
  return time.ok() ? std::optional(*time) : std::nullopt;
}

/// "2026-11-23 16:14:17.123 UTC [123] LOG:  text": time, pid and what follows it.
bool split_prefix(std::string_view line, std::optional<Timestamp>& time, pid_t& pid, std::string_view& rest) {
  if (line.empty() || line[0] < '0' || line[0] > '9') return false;
  auto open = line.find(" [");
  if (open == std::string_view::npos || open > 60) return false;
  auto close = line.find("] ", open);
  if (close == std::string_view::npos) return false;
  auto number = number_at<int>(line.substr(open + 2, close - open - 2));
  if (!number) return false;
  time = log_time(line.substr(0, open));
  pid = *number;
  rest = line.substr(close + 2);
  return true;
}

std::vector<Entry> read_entries(std::string_view text) {
  std::vector<Entry> entries;
  std::string* open = nullptr;  // what a line that begins with a tab continues
  while (!text.empty()) {
    auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.starts_with('\t')) {
      if (open != nullptr) *open += fmt::format(" {}", line.substr(1));
      continue;
    }
    open = nullptr;
    pid_t pid = 0;
    std::optional<Timestamp> time;
    std::string_view rest;
    if (!split_prefix(line, time, pid, rest)) {
      // Before logging is set up PostgreSQL writes "postgres: could not ...".
      if (line.starts_with("postgres: ")) entries.push_back({0, {}, "FATAL", std::string(line.substr(10)), ""});
      continue;
    }
    auto colon = rest.find(":  ");
    if (colon == std::string_view::npos) continue;
    std::string_view word = rest.substr(0, colon), message = rest.substr(colon + 3);
    auto severity = std::find(kSeverities.begin(), kSeverities.end(), word);
    if (severity != kSeverities.end()) {
      entries.push_back({pid, time, *severity, std::string(message), ""});
      open = &entries.back().message;
    } else if (word == "DETAIL" && !entries.empty() && entries.back().pid == pid) {
      entries.back().detail = message;
      open = &entries.back().detail;
    }
  }
  return entries;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// "max_connections = 50 is a lower setting than on the primary server, where its value was 100."
std::optional<Setting> needed_setting(std::string_view text) {
  auto where = text.find(" is a lower setting than on the primary");
  if (where == std::string_view::npos) return std::nullopt;
  std::string_view head = text.substr(0, where);
  auto equals = head.rfind(" = ");
  if (equals == std::string_view::npos) return std::nullopt;
  std::string_view name = head.substr(0, equals);
  name.remove_prefix(name.rfind(' ') == std::string_view::npos ? 0 : name.rfind(' ') + 1);
  auto was = after(text, "where its value was ");
  auto value = was ? number_at<int>(*was) : std::nullopt;
  if (!value || name.empty()) return std::nullopt;
  return Setting{std::string(name), std::to_string(*value)};
}

StartProblem classify(const Entry& e) {
  std::string both = e.message + " " + e.detail;
  std::string_view m = both;
  if (has(m, "recovery ended before configured recovery target was reached")) return StartProblem::kTargetNotReached;
  if (has(m, "is a lower setting than on the primary") || has(m, "insufficient parameter settings"))
    return StartProblem::kSettingTooLow;
  if (has(m, "could not access file") || has(m, "could not load library")) return StartProblem::kMissingLibrary;
  if (has(m, "Address already in use") || has(m, "could not create any TCP/IP sockets") ||
      has(m, "could not create any Unix-domain sockets") || has(m, ".s.PGSQL."))
    return StartProblem::kPortBusy;
  if (has(m, "lock file") && has(m, "already exists")) return StartProblem::kDirectoryInUse;
  if (has(m, "No space left on device")) return StartProblem::kDiskFull;
  if (has(m, "could not restore file") || has(m, "could not locate required checkpoint record") ||
      has(m, "WAL ends before") || has(m, "is not a child of this server's history") || has(m, "requested timeline") ||
      has(m, "could not locate a valid checkpoint record") || has(m, "recovery target timeline") ||
      has(m, "could not find redo location") ||
      has(m, "requested recovery stop point is before consistent recovery point"))
    return StartProblem::kMissingWal;
  if (has(m, "tablespace")) return StartProblem::kTablespace;
  if (has(m, "invalid permissions") || has(m, "wrong ownership") || has(m, "Permission denied") ||
      has(m, "execution of the PostgreSQL server is not permitted"))
    return StartProblem::kPermission;
  if (has(m, "database files are incompatible with server") ||
      has(m, "The data directory was initialized by PostgreSQL version") || has(m, "incompatible with"))
    return StartProblem::kWrongVersion;
  if (has(m, "shared memory") || has(m, "out of memory") || has(m, "Cannot allocate memory") ||
      has(m, "could not create semaphores") || has(m, "huge pages"))
    return StartProblem::kMemory;
  if (has(m, "configuration file") || has(m, "unrecognized configuration parameter") ||
      has(m, "invalid value for parameter") || has(m, "could not load server certificate") ||
      has(m, "private key file") || has(m, "could not load pg_hba.conf") || has(m, "is not a valid") ||
      has(m, "must specify restore_command") || has(m, "multiple recovery targets") ||
      has(m, "could not load root certificate") || has(m, "outside the valid range") || has(m, "standby mode"))
    return StartProblem::kConfiguration;
  if (e.severity == "PANIC" || has(m, "control file") || has(m, "invalid page") || has(m, "checksum") ||
      has(m, "could not read block") || has(m, "invalid data in file"))
    return StartProblem::kDamagedFiles;
  return StartProblem::kOther;
}

void read_milestones(const Entry& e, RecoveryLog& log) {
  std::string_view m = e.message;
  if (auto p = position_after(m, "redo starts at ")) {
    log.redo_start = p;
    log.redo_started = e.time;
  }
  if (auto p = position_after(m, "consistent recovery state reached at ")) log.consistent_at = p;
  if (auto p = position_after(m, "redo done at ")) {
    log.redo_done = p;
    log.redo_ended = e.time;
  }
  if (m.starts_with("recovery stopping ")) {
    log.target_reached = true;
    log.stopping = m;
  }
  if (m.starts_with("pausing at the end of recovery")) log.paused_at_target = true;
  if (auto rest = after(m, "selected new timeline ID: ")) log.new_timeline = number_at<pg::TimelineId>(*rest);
  if (m.starts_with("archive recovery complete")) log.archive_recovery_complete = true;
  if (m.starts_with("database system is ready to accept connections")) log.ready = true;
  if (m.starts_with("database system is ready to accept read")) log.ready_read_only = true;
  if (auto rest = after(m, "last completed transaction was at log time ")) log.last_transaction_time = *rest;
  if (m.starts_with("hot standby is not possible because of insufficient parameter settings")) {
    log.paused_for_setting = true;
    if (auto s = needed_setting(e.detail)) log.needed_setting = s;
  }
}

}  // namespace

std::string_view to_string(StartProblem problem) {
  switch (problem) {
    case StartProblem::kNone:
      return "none";
    case StartProblem::kTargetNotReached:
      return "target_not_reached";
    case StartProblem::kMissingWal:
      return "missing_wal";
    case StartProblem::kSettingTooLow:
      return "setting_too_low";
    case StartProblem::kMissingLibrary:
      return "missing_library";
    case StartProblem::kPortBusy:
      return "port_busy";
    case StartProblem::kDirectoryInUse:
      return "directory_in_use";
    case StartProblem::kPermission:
      return "permission";
    case StartProblem::kConfiguration:
      return "configuration";
    case StartProblem::kWrongVersion:
      return "wrong_version";
    case StartProblem::kDamagedFiles:
      return "damaged_files";
    case StartProblem::kMemory:
      return "memory";
    case StartProblem::kDiskFull:
      return "disk_full";
    case StartProblem::kTablespace:
      return "tablespace";
    case StartProblem::kKilled:
      return "killed";
    case StartProblem::kOther:
      break;
  }
  return "other";
}

RecoveryLog read_recovery_log(std::string_view text, pid_t postmaster) {
  if (text.size() > kMaxLog) text.remove_prefix(text.size() - kMaxLog);
  std::vector<Entry> entries = read_entries(text);
  RecoveryLog log;
  if (postmaster == 0) {
    for (const auto& e : entries) {
      if (e.pid != 0) {
        postmaster = e.pid;
        break;
      }
    }
  }
  // Which process replayed: the postmaster names it when it ends badly.
  pid_t startup = 0;
  std::string killed, ended;
  for (const auto& e : entries) {
    if (e.pid != postmaster) continue;
    if (auto rest = after(e.message, "startup process (PID ")) {
      startup = number_at<int>(*rest).value_or(0);
      if (has(e.message, "was terminated by signal"))
        killed = e.message;
      else
        ended = e.message;
    }
  }
  const Entry* last = nullptr;
  const Entry* hint = nullptr;
  for (const auto& e : entries) {
    read_milestones(e, log);
    bool ours = e.pid == 0 || e.pid == postmaster || (startup != 0 && e.pid == startup);
    if (ours && (e.severity == "FATAL" || e.severity == "PANIC")) last = &e;
    // The line before says more than "could not create any TCP/IP sockets" or "configuration file contains errors".
    if (ours && e.severity == "LOG" &&
        (has(e.message, "could not bind") || has(e.message, "could not create any") ||
         has(e.message, "syntax error in file") || has(e.message, "unrecognized configuration parameter") ||
         has(e.message, "invalid value for parameter") || has(e.message, "could not open configuration")))
      hint = &e;
  }
  if (last != nullptr) {
    log.problem = classify(*last);
    log.reason = last->message;
    if (!last->detail.empty()) log.reason += fmt::format(" ({})", last->detail);
    if (hint != nullptr && (log.problem == StartProblem::kConfiguration || log.problem == StartProblem::kPortBusy ||
                            log.problem == StartProblem::kOther)) {
      if (log.problem == StartProblem::kOther) log.problem = classify(*hint);
      log.reason = fmt::format("{}: {}", hint->message, log.reason);
    }
    if (auto s = needed_setting(last->detail)) log.needed_setting = s;
    if (last->severity == "PANIC" && log.problem == StartProblem::kOther) log.problem = StartProblem::kDamagedFiles;
  } else if (!killed.empty()) {
    log.problem = StartProblem::kKilled;
    log.reason = killed;
  } else if (log.paused_for_setting && !log.ready) {
    log.problem = StartProblem::kSettingTooLow;
    log.reason = "hot standby is not possible because of insufficient parameter settings";
    if (log.needed_setting)
      log.reason += fmt::format(" ({} must be {})", log.needed_setting->name, log.needed_setting->value);
  } else if (!ended.empty() && !log.target_reached) {
    // Without a reason of its own: restore_command was stopped by SIGTERM (access/transam/xlogarchive.c).
    log.problem = StartProblem::kOther;
    log.reason = ended;
  }
  return log;
}

Error start_error(const RecoveryLog& log, std::string_view data_directory, std::string_view log_file) {
  Error error{ErrorCode::kDatabase,
              fmt::format("recover {}: {}", data_directory,
                          log.reason.empty() ? "PostgreSQL ended and its log does not say why" : log.reason),
              fmt::format("see {}", log_file)};
  switch (log.problem) {
    case StartProblem::kTargetNotReached:
      error.code = ErrorCode::kGap;
      error.hint =
          "the log that was at hand ends before the target; ask `stele-restore plan` what is reachable and restore "
          "again";
      break;
    case StartProblem::kMissingWal:
      error.code = ErrorCode::kGap;
      error.hint = fmt::format(
          "a part of the log that recovery needs could not be had; see {} and run `stele-restore verify`", log_file);
      break;
    case StartProblem::kSettingTooLow:
      if (log.needed_setting)
        error.hint = fmt::format("set {} to at least {} in postgresql.auto.conf and start again",
                                 log.needed_setting->name, log.needed_setting->value);
      break;
    case StartProblem::kMissingLibrary:
      error.hint = "install the extension's package on this host, or take the library out of shared_preload_libraries";
      break;
    case StartProblem::kPortBusy:
      error.hint = "another server has this port or socket: stop it, or choose another with --port";
      break;
    case StartProblem::kDirectoryInUse:
      error.code = ErrorCode::kExists;
      error.hint = "another PostgreSQL runs on this directory; stop it first";
      break;
    case StartProblem::kPermission:
      error.code = ErrorCode::kIo;
      error.hint =
          "the data directory must belong to the server's user, with mode 0700, and every directory above must let it "
          "pass";
      break;
    case StartProblem::kConfiguration:
      error.hint = "correct the setting in the data directory's configuration files and start again";
      break;
    case StartProblem::kWrongVersion:
      error.code = ErrorCode::kUnsupported;
      error.hint = "set [postgres] bin_directory to the source's major version";
      break;
    case StartProblem::kDamagedFiles:
      error.code = ErrorCode::kDamaged;
      error.hint = "restore again from another snapshot or receiver, and run `stele-restore verify`";
      break;
    case StartProblem::kMemory:
      error.hint = "this host has less memory than the source: lower shared_buffers or turn huge_pages off";
      break;
    case StartProblem::kDiskFull:
      error.code = ErrorCode::kDiskFull;
      error.hint = "make room on the file system of the data directory and start again";
      break;
    case StartProblem::kTablespace:
      error.hint = "a tablespace's directory is missing or not the server's: map it with --tablespace OID=DIR";
      break;
    case StartProblem::kKilled:
      error.hint = "a signal ended it; out of memory? see the kernel's log";
      break;
    case StartProblem::kNone:
    case StartProblem::kOther:
      break;
  }
  return error;
}

}  // namespace stele::restore
