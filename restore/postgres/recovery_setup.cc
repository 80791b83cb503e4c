#include "restore/postgres/recovery_setup.h"

#include <fmt/format.h>
#include <locale.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "core/io/durable_file.h"
#include "restore/postgres/config_tree.h"
#include "restore/postgres/setting_rules.h"

namespace stele::restore {
namespace {

constexpr std::string_view kBegin = "# --- stele-restore begin: these settings win over all above ---";
constexpr std::string_view kEnd = "# --- stele-restore end ---";
constexpr std::string_view kAutoConf = "postgresql.auto.conf";

using Place = ConfigTree::Place;

std::optional<long long> integer(std::string_view text) {
  long long value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Collects what will be written, and what that means for the operator.
class Setup {
 public:
  Setup(io::FileSystem& fs, const std::string& directory, const RecoverySettings& recovery, const SourceFacts& source,
        const ConfigurationOptions& options, const Installation* installation)
      : fs_(fs),
        directory_(directory),
        recovery_(recovery),
        source_(source),
        options_(options),
        installation_(installation) {}

  Result<ConfigurationReport> run() {
    STELE_CHECK(check_recovery_settings(recovery_));
    STELE_CHECK(check_directory());
    STELE_CHECK(make_missing_files());
    STELE_TRY(ConfigTree tree, ConfigTree::load(fs_, directory_));
    STELE_CHECK(read_auto_conf());
    effective_ = tree.settings();
    effective_.insert(effective_.end(), kept_.begin(), kept_.end());
    for (const auto& d : tree.disabled()) tell(d.place, "removed", d.reason, true);
    for (const auto& rule : setting_rules(recovery_, options_, major_of(source_.server_version))) apply(rule);
    raise_minima();
    STELE_CHECK(judge_libraries());
    STELE_CHECK(judge_ssl());
    STELE_CHECK(judge_paths());
    judge_locales();
    for (const auto& s : options_.forced) force(s.name, s.value, "forced for this restore");
    // Only now, after everything has been understood, anything is changed.
    STELE_TRY(report_.edited_files, tree.rewrite(fs_, directory_));
    STELE_CHECK(remove_foreign_signals());
    STELE_CHECK(write_auto_conf());
    STELE_CHECK(io::write_file_durably(fs_, path(recovery_.standby ? "standby.signal" : "recovery.signal"), {}, io::WriteMode::kReplace));
    report_.listen_addresses = value_of("listen_addresses").value_or("");
    report_.unix_socket_directories = value_of("unix_socket_directories").value_or("");
    report_.port = static_cast<int>(integer(value_of("port").value_or("")).value_or(5432));
    return std::move(report_);
  }

 private:
  std::string path(std::string_view name) const { return directory_ + "/" + std::string(name); }

  Status check_directory() {
    STELE_TRY(bool pid_file, fs_.exists(path("postmaster.pid")));
    if (pid_file) {
      return Error{ErrorCode::kExists, fmt::format("configure {}: postmaster.pid is there", directory_),
                   "stop the server that runs on this directory; when none runs, remove the file"};
    }
    STELE_TRY(bool map, fs_.exists(path("tablespace_map")));
    if (map) {
      return Error{ErrorCode::kDamaged,
                   fmt::format("configure {}: tablespace_map is still there, PostgreSQL would recreate the links to "
                               "the source's directories",
                               directory_),
                   "restore again with --tablespace-root; do not start this directory"};
    }
    STELE_TRY(bool label, fs_.exists(path("backup_label")));
    STELE_TRY(bool old_label, fs_.exists(path("backup_label.old")));
    if (!label && !old_label) {
      return Error{ErrorCode::kDamaged,
                   fmt::format("configure {}: there is no backup_label, PostgreSQL would start from a wrong position "
                               "and corrupt the data",
                               directory_),
                   "restore again"};
    }
    return {};
  }

  Status make_missing_files() {
    STELE_TRY(std::string made_conf, make_postgresql_conf(source_));
    const std::pair<const char*, std::string> files[] = {
        {"postgresql.conf", options_.postgresql_conf.empty() ? made_conf : options_.postgresql_conf},
        {"pg_hba.conf", options_.pg_hba_conf.empty() ? make_pg_hba_conf() : options_.pg_hba_conf},
        {"pg_ident.conf", options_.pg_ident_conf.empty() ? make_pg_ident_conf() : options_.pg_ident_conf},
    };
    for (const auto& [name, text] : files) {
      auto info = fs_.info(path(name));
      if (info.ok()) {
        if (info->kind == io::FileKind::kFile) continue;
        return Error{ErrorCode::kDamaged, fmt::format("configure {}: {} is not a file", directory_, name), ""};
      }
      if (info.error().code != ErrorCode::kNotFound) return std::move(info).error();
      STELE_CHECK(io::write_file_durably(fs_, path(name), as_bytes(text), io::WriteMode::kOnce));
      report_.made_files.push_back(name);
    }
    return {};
  }

  /// The source's ALTER SYSTEM settings; a block of an earlier call is left out, but its minima are kept.
  Status read_auto_conf() {
    auto bytes = io::read_file(fs_, path(kAutoConf), kMaxConfigFileSize);
    if (!bytes.ok()) return bytes.error().code == ErrorCode::kNotFound ? Status() : Status(std::move(bytes).error());
    bool ours = false;
    for (const auto& line : parse_config(as_text(*bytes))) {
      if (line.text == kBegin) ours = true;
      if (!ours && line.kind != ConfigLineKind::kEmpty) {
        Place place{line.name, line.value, std::string(kAutoConf), line.number};
        if (line.kind != ConfigLineKind::kSetting)
          drop(place, line.text, "not what ALTER SYSTEM writes");
        else if (is_location_setting(line.name))
          drop(place, line.text, "names a place on the source's host");
        else
          kept_.push_back(std::move(place));
      } else if (!ours && line.text.starts_with("#source: ")) {
        comments_ += line.text + "\n";  // dropped by an earlier call
      } else if (ours && line.kind == ConfigLineKind::kSetting) {
        before_.push_back({line.name, line.value});
      }
      if (line.text == kEnd) ours = false;
    }
    return {};
  }

  void drop(const Place& place, const std::string& text, std::string reason) {
    std::string comment = text;
    std::replace(comment.begin(), comment.end(), '\0', ' ');
    comments_ += "#source: " + comment + "\n";
    tell(place, "removed", std::move(reason), true);
  }

  std::optional<Place> source_place(std::string_view name) const {
    auto found = std::find_if(effective_.rbegin(), effective_.rend(), [&](const Place& p) { return p.name == name; });
    return found == effective_.rend() ? std::nullopt : std::optional<Place>(*found);
  }

  std::optional<std::string> value_of(std::string_view name) const {
    auto ours = std::find_if(ours_.begin(), ours_.end(), [&](const Setting& s) { return s.name == name; });
    if (ours != ours_.end()) return ours->value;
    auto place = source_place(name);
    return place ? std::optional(place->value) : std::nullopt;
  }

  void tell(const Place& place, std::string now, std::string reason, bool secret) {
    // Paths and directives are shown; everything else that is not known to be harmless may hold a secret.
    bool shown = !secret || is_location_setting(place.name) || place.name.starts_with("include");
    report_.neutralised.push_back({place.name.empty() ? "(line)" : place.name, shown ? place.value : "(not shown)",
                                   std::move(now), place.where(), std::move(reason)});
  }

  void put(std::string name, std::string value) {
    std::erase_if(ours_, [&](const Setting& s) { return s.name == name; });
    ours_.push_back({std::move(name), std::move(value)});
  }

  void force(const std::string& name, const std::string& value, const std::string& reason, bool secret = false) {
    auto place = source_place(name);
    if (place && place->value != value)
      tell(*place, secret ? "(ours)" : value, reason, secret && !place->value.empty());
    put(name, value);
  }

  void apply(const SettingRule& rule) {
    force(rule.name, rule.value, rule.reason, rule.secret);
    if (!rule.from_facts || source_place(rule.name)) return;
    auto fact = std::find_if(source_.settings.begin(), source_.settings.end(),
                             [&](const Setting& s) { return strcasecmp(s.name.c_str(), rule.name.c_str()) == 0; });
    if (fact == source_.settings.end() || fact->value.empty() || fact->value == rule.value ||
        fact->value == "(disabled)")
      return;
    report_.neutralised.push_back(
        {rule.name, rule.secret ? "(not shown)" : fact->value, rule.value, "the source's settings", rule.reason});
  }

  /// access/transam/xlogrecovery.c, CheckRequiredParameterValues: a standby may not have less than the primary that
  /// wrote the log.
  void raise_minima() {
    const auto& c = source_.control;
    struct Minimum {
      const char* name;
      long long source, built_in;
    };
    for (const Minimum& m :
         {Minimum{"max_connections", c.max_connections, 100},
          Minimum{"max_worker_processes", c.max_worker_processes, 8}, Minimum{"max_wal_senders", c.max_wal_senders, 10},
          Minimum{"max_prepared_transactions", c.max_prepared_xacts, 0},
          Minimum{"max_locks_per_transaction", c.max_locks_per_xact, 64}}) {
      long long least = m.source;
      for (const auto& s : before_) {
        if (s.name == m.name) least = std::max(least, integer(s.value).value_or(0));
      }
      auto place = source_place(m.name);
      long long effective = place ? integer(place->value).value_or(0) : m.built_in;
      if (effective >= least) continue;
      put(m.name, std::to_string(least));
      report_.raised.push_back({m.name, std::to_string(least)});
    }
  }

  Status judge_libraries() {
    for (const char* name : {"shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"}) {
      auto place = source_place(name);
      if (!place || place->value.empty()) continue;
      auto words = split_list(place->value);
      if (!words) {
        force(name, "", "not a list of libraries");
        continue;
      }
      std::vector<std::string> missing;
      if (installation_ != nullptr) {
        STELE_TRY(missing, missing_libraries(fs_, *installation_, place->value));
        report_.missing_libraries.insert(report_.missing_libraries.end(), missing.begin(), missing.end());
      }
      std::string reason;
      std::erase_if(*words, [&](const std::string& word) {
        std::string_view why;
        if ((word.starts_with('/') || word.find("..") != std::string::npos))
          why = "a library outside PostgreSQL's own directory";
        else if (options_.allowed_libraries &&
                 std::find(options_.allowed_libraries->begin(), options_.allowed_libraries->end(), word) ==
                     options_.allowed_libraries->end())
          why = "a library that is not on the allow-list";
        else if (options_.drop_missing_libraries && std::find(missing.begin(), missing.end(), word) != missing.end())
          why = "a library this host does not have";
        if (!why.empty()) reason = why;
        return !why.empty();
      });
      if (!reason.empty()) force(name, join_list(*words), reason);
    }
    if (auto place = source_place("dynamic_library_path"); place && place->value != "$libdir")
      force("dynamic_library_path", "$libdir", "paths of the source's host");
    if (auto place = source_place("jit_provider"); place && place->value != "llvmjit")
      force("jit_provider", "llvmjit", "a library outside PostgreSQL's own directory");
    return {};
  }

  /// A path as the server would see it: relative ones begin at the data directory.
  std::string server_path(const std::string& value) const { return value.starts_with('/') ? value : path(value); }
  bool beneath(const std::string& value) const {
    return value.find("..") == std::string::npos && (!value.starts_with('/') || value.starts_with(directory_ + "/"));
  }

  Status judge_ssl() {
    if (auto place = source_place("ssl_passphrase_command"); place && !place->value.empty()) {
      force("ssl_passphrase_command", "", "a command of the source's host", true);
    }
    auto ssl = source_place("ssl");
    if (!ssl || !parse_bool(ssl->value).value_or(false)) return {};
    for (const auto& [name, built_in] :
         {std::pair("ssl_cert_file", "server.crt"), std::pair("ssl_key_file", "server.key"),
          std::pair("ssl_ca_file", ""), std::pair("ssl_crl_file", ""), std::pair("ssl_crl_dir", ""),
          std::pair("ssl_dh_params_file", "")}) {
      std::string value = value_of(name).value_or(built_in);
      if (value.empty()) continue;
      STELE_TRY(bool there, fs_.exists(server_path(value)));
      if (there) continue;
      force("ssl", "off", fmt::format("{} '{}' does not exist on this host", name, value));
      return {};
    }
    return {};
  }

  Status judge_paths() {
    for (const auto& [name, value] :
         {std::pair("log_directory", "log"), std::pair("stats_temp_directory", "pg_stat_tmp")}) {
      auto place = source_place(name);
      if (place && !beneath(place->value)) force(name, value, "a path of the source's host");
    }
    auto place = source_place("unix_socket_directories");
    if (!place || options_.unix_socket_directories) return {};
    auto words = split_list(place->value);
    bool good = words.has_value();
    for (const auto& word : words.value_or(std::vector<std::string>())) {
      if (word.starts_with('@')) continue;
      STELE_TRY(bool there, fs_.exists(server_path(word)));
      good = good && there;
    }
    if (good) return {};
    STELE_TRY(bool usual, fs_.exists("/var/run/postgresql"));
    force("unix_socket_directories", usual ? "/var/run/postgresql" : "/tmp", "a directory this host does not have");
    return {};
  }

  /// A locale that is not installed keeps the server from starting (commands/variable.c and utils/adt/pg_locale.c).
  void judge_locales() {
    for (const char* name : {"lc_messages", "lc_monetary", "lc_numeric", "lc_time"}) {
      auto place = source_place(name);
      if (!place || place->value.empty()) continue;
      locale_t locale = newlocale(LC_ALL_MASK, place->value.c_str(), static_cast<locale_t>(nullptr));
      if (locale == static_cast<locale_t>(nullptr))
        force(name, "C", "a locale this host does not have");
      else
        freelocale(locale);
    }
  }

  /// standby.signal wins over recovery.signal and would recover for ever; recovery.conf (before PostgreSQL 12) keeps
  /// the server from starting.
  Status remove_foreign_signals() {
    for (const char* name : {recovery_.standby ? "recovery.signal" : "standby.signal", "recovery.conf"}) {
      auto removed = fs_.unlink(path(name));
      if (removed.ok())
        report_.removed_files.push_back(name);
      else if (removed.error().code != ErrorCode::kNotFound)
        return removed;
    }
    return fs_.sync_directory(directory_);
  }

  Status write_auto_conf() {
    std::string text =
        "# Written by stele-restore. First the source's own ALTER SYSTEM settings (those with \"#source\" do not apply "
        "here), then ours.\n"
        "# When the server is to serve again, take back what you need: ALTER SYSTEM RESET archive_mode, "
        "synchronous_standby_names, ...\n";
    for (const auto& place : kept_) {
      STELE_TRY(std::string line, config_line({place.name, place.value}));
      bool replaced = std::any_of(ours_.begin(), ours_.end(), [&](const Setting& s) { return s.name == place.name; });
      (replaced ? comments_ : text) += (replaced ? "#source: " : "") + line + "\n";
    }
    text += comments_;
    text += std::string(kBegin) + "\n";
    for (const auto& setting : ours_) {
      STELE_TRY(std::string line, config_line(setting));
      text += line + "\n";
    }
    text += std::string(kEnd) + "\n";
    return io::write_file_durably(fs_, path(kAutoConf), as_bytes(text), io::WriteMode::kReplace);
  }

  io::FileSystem& fs_;
  const std::string& directory_;
  const RecoverySettings& recovery_;
  const SourceFacts& source_;
  const ConfigurationOptions& options_;
  const Installation* installation_;
  std::vector<Place> effective_;  ///< the source's settings in the order in which they count
  std::vector<Place> kept_;       ///< those of postgresql.auto.conf
  std::vector<Setting> before_;   ///< ours of an earlier call
  std::vector<Setting> ours_;
  std::string comments_;
  ConfigurationReport report_;
};

}  // namespace

Result<ConfigurationReport> configure(io::FileSystem& fs, const std::string& data_directory,
                                      const RecoverySettings& recovery, const SourceFacts& source,
                                      const ConfigurationOptions& options, const Installation* installation) {
  return Setup(fs, data_directory, recovery, source, options, installation).run();
}

namespace {

/// Rewrites our block of postgresql.auto.conf: `change` gives what stands for a setting (null: nothing); `added` comes last in it.
Status rewrite_ours(io::FileSystem& fs, const std::string& data_directory, std::string_view what,
                    const std::function<std::optional<Setting>(Setting)>& change,
                    const std::optional<Setting>& added) {
  std::string path = data_directory + "/" + std::string(kAutoConf);
  STELE_TRY(Bytes bytes, io::read_file(fs, path, kMaxConfigFileSize));
  std::string text;
  bool ours = false, written = false;
  for (const auto& old : parse_config(as_text(bytes))) {
    if (old.text == kBegin) ours = true;
    if (ours && old.text == kEnd) {
      if (added) {
        STELE_TRY(std::string line, config_line(*added));
        text += line + "\n";
      }
      ours = false;
      written = true;
    }
    if (ours && old.kind == ConfigLineKind::kSetting) {
      auto now = change({old.name, old.value});
      if (!now) continue;
      STELE_TRY(std::string line, config_line(*now));
      text += line + "\n";
    } else {
      text += old.text + "\n";
    }
  }
  if (!written)
    return Error{ErrorCode::kConfig, fmt::format("{} in {}: our settings are not there", what, path),
                 "configure the directory again"};
  return io::write_file_durably(fs, path, as_bytes(text), io::WriteMode::kReplace);
}

}  // namespace

Status raise_setting(io::FileSystem& fs, const std::string& data_directory, const Setting& setting) {
  return rewrite_ours(
      fs, data_directory, "raise " + setting.name,
      [&](Setting old) { return old.name == setting.name ? std::nullopt : std::optional<Setting>(std::move(old)); },
      setting);
}

Status clear_recovery_target(io::FileSystem& fs, const std::string& data_directory) {
  return rewrite_ours(
      fs, data_directory, "clear the recovery target",
      [](Setting setting) {
        // Empty rather than gone: the source's own must not count again.
        if (setting.name == "recovery_target_timeline")
          setting.value = "latest";
        else if (setting.name == "restore_command" || setting.name == "recovery_target" ||
                 setting.name == "recovery_target_time" || setting.name == "recovery_target_lsn" ||
                 setting.name == "recovery_target_xid" || setting.name == "recovery_target_name")
          setting.value = "";
        return std::optional<Setting>(std::move(setting));
      },
      std::nullopt);
}

}  // namespace stele::restore
