#include "restore/postgres/setting_rules.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>

namespace stele::restore {
namespace {

bool is_number(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value <= most;
}

std::string action_word(TargetAction action) {
  switch (action) {
    case TargetAction::kPause:
      return "pause";
    case TargetAction::kShutdown:
      return "shutdown";
    case TargetAction::kPromote:
      break;
  }
  return "promote";
}

}  // namespace

Status check_recovery_settings(const RecoverySettings& recovery) {
  auto refuse = [](std::string what) { return Error{ErrorCode::kConfig, "set up recovery: " + what, ""}; };
  if (recovery.restore_command.empty())
    return refuse("restore_command is empty, and PostgreSQL does not recover without one");
  const auto& value = recovery.target.value;
  switch (recovery.target.kind) {
    case RecoveryTarget::Kind::kNone:
    case RecoveryTarget::Kind::kImmediate:
      if (!value.empty()) return refuse("this target has no value");
      break;
    case RecoveryTarget::Kind::kTime: {
      auto t = parse_timestamp(value);
      if (!t.ok()) return std::move(t).error().in("set up recovery");
      break;
    }
    case RecoveryTarget::Kind::kLsn: {
      auto p = parse_position(value);
      if (!p.ok()) return std::move(p).error().in("set up recovery");
      break;
    }
    case RecoveryTarget::Kind::kXid:
      if (!is_number(value, UINT32_MAX)) return refuse(fmt::format("'{}' is not a transaction id", value));
      break;
    case RecoveryTarget::Kind::kName:
      // access/xlog_internal.h, MAXFNAMELEN
      if (value.empty() || value.size() > 63) return refuse("the name of a restore point has 1 to 63 bytes");
      break;
  }
  if (recovery.timeline != "latest" && recovery.timeline != "current" &&
      (!is_number(recovery.timeline, UINT32_MAX) || recovery.timeline == "0")) {
    return refuse(fmt::format("'{}' is not a timeline", recovery.timeline));
  }
  return {};
}

std::vector<SettingRule> setting_rules(const RecoverySettings& recovery, const ConfigurationOptions& options,
                                       int major) {
  using Kind = RecoveryTarget::Kind;
  const RecoveryTarget& target = recovery.target;
  auto target_value = [&](Kind kind) { return target.kind == kind ? target.value : std::string(); };
  const char* ours = "this recovery has its own";
  std::vector<SettingRule> rules = {
      {"restore_command", recovery.restore_command, "a command of the source's host", true},
      {"recovery_target_inclusive", recovery.inclusive ? "on" : "off", ours},
      {"recovery_target_timeline", recovery.timeline, ours},
      {"recovery_target_action", action_word(recovery.action), ours},
      {"recovery_min_apply_delay", "0", "would hold recovery back"},
      {"hot_standby", "on", "so that progress can be asked and recovery can pause"},
      {"archive_cleanup_command", "", "a command of the source's host", true},
      {"recovery_end_command", "", "a command of the source's host", true},
      {"archive_mode", "off", "would write into the source's archive", false, true},
      {"archive_command", "", "would write into the source's archive", true, true},
      {"synchronous_standby_names", "", "commits would wait for standbys that follow another server", false, true},
      {"primary_conninfo", "", "would follow the source", true, true},
      {"primary_slot_name", "", "would use the source's slot", false, true},
      {"listen_addresses", options.listen_addresses, "addresses of the source's host"},
  };
  // The set one last: an empty one behind it would count as a second target (assign_recovery_target_*).
  std::vector<std::pair<std::string, std::string>> targets = {
      {"recovery_target", target.kind == Kind::kImmediate ? "immediate" : ""},
      {"recovery_target_time", target_value(Kind::kTime)},
      {"recovery_target_lsn", target_value(Kind::kLsn)},
      {"recovery_target_xid", target_value(Kind::kXid)},
      {"recovery_target_name", target_value(Kind::kName)}};
  std::stable_partition(targets.begin(), targets.end(), [](const auto& t) { return t.second.empty(); });
  for (const auto& [name, value] : targets) rules.push_back({name, value, ours});
  // A standby that asked for a file in vain asks again after this time.
  if (recovery.standby) rules.push_back({"wal_retrieve_retry_interval", "500ms", "how soon new log is looked for"});
  if (major >= 15) rules.push_back({"archive_library", "", "would write into the source's archive", false, true});
  if (major <= 15) rules.push_back({"promote_trigger_file", "", "a path of the source's host"});
  if (!options.keep_logical_workers) {
    rules.push_back(
        {"max_logical_replication_workers", "0", "subscriptions would advance the slots of their publishers"});
  }
  if (options.port) rules.push_back({"port", std::to_string(*options.port), "chosen for the restored server"});
  if (options.unix_socket_directories) {
    rules.push_back({"unix_socket_directories", *options.unix_socket_directories, "chosen for the restored server"});
  }
  return rules;
}

Result<std::string> make_postgresql_conf(const SourceFacts& source) {
  std::string text =
      "# Made by stele-restore, because the source keeps its configuration outside the data directory.\n"
      "# Settings for this recovery are in postgresql.auto.conf and win over this file.\n";
  if (!source.extra_files.empty()) text += "# The source's own files came along; merge what you need.\n";
  const auto& c = source.control;
  auto add = [&](const Setting& s) -> Status {
    STELE_TRY(std::string line, config_line(s));
    text += line + "\n";
    return {};
  };
  STELE_CHECK(add({"wal_level", std::string(to_string(
                                    c.wal_level == pg::WalLevel::kLogical ? c.wal_level : pg::WalLevel::kReplica))}));
  for (const auto& [name, value] :
       {std::pair("max_connections", c.max_connections), std::pair("max_worker_processes", c.max_worker_processes),
        std::pair("max_wal_senders", c.max_wal_senders), std::pair("max_prepared_transactions", c.max_prepared_xacts),
        std::pair("max_locks_per_transaction", c.max_locks_per_xact)}) {
    if (value > 0 || std::string_view(name) == "max_prepared_transactions")
      STELE_CHECK(add({name, std::to_string(value)}));
  }
  if (c.track_commit_timestamp) STELE_CHECK(add({"track_commit_timestamp", "on"}));
  // Of the rest only what changes the meaning of data or SQL and cannot keep the server from starting on a smaller
  // host.
  static constexpr const char* kCarried[] = {"shared_preload_libraries",
                                             "TimeZone",
                                             "DateStyle",
                                             "IntervalStyle",
                                             "default_text_search_config",
                                             "password_encryption",
                                             "standard_conforming_strings",
                                             "wal_log_hints"};
  for (const char* name : kCarried) {
    auto found = std::find_if(source.settings.begin(), source.settings.end(),
                              [&](const Setting& s) { return strcasecmp(s.name.c_str(), name) == 0; });
    if (found != source.settings.end() && !found->value.empty()) STELE_CHECK(add({name, found->value}));
  }
  return text;
}

std::string make_pg_hba_conf() {
  return "# Made by stele-restore: only users of this host. The source's rules are outside its data directory.\n"
         "# TYPE  DATABASE  USER  ADDRESS       METHOD\n"
         "local   all       all                 peer\n"
         "host    all       all   127.0.0.1/32  scram-sha-256\n"
         "host    all       all   ::1/128       scram-sha-256\n";
}

std::string make_pg_ident_conf() {
  return "# Made by stele-restore.\n";
}

}  // namespace stele::restore
