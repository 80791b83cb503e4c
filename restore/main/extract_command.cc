#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/config/log.h"
#include "core/config/values.h"
#include "core/io/durable_file.h"
#include "restore/main/commands.h"
#include "restore/main/output.h"
#include "restore/main/private_place.h"
#include "restore/main/restore_job.h"
#include "restore/main/stop_signals.h"
#include "restore/postgres/table_dump.h"

namespace stele::restore {

namespace {

namespace fs = std::filesystem;

constexpr auto kQueryPatience = std::chrono::seconds(60);
constexpr auto kCountPatience = std::chrono::hours(24);

struct Options {
  RunOptions run;
  std::vector<std::string> tables;
  std::string database, output, into, place, format = "plain";
  bool data_only = false;
};

Instant in(Duration patience) { return std::chrono::steady_clock::now() + patience; }

/// One extraction: what was asked for is checked, a side instance is made, PostgreSQL's own tools take it from there.
class Extraction {
 public:
  Extraction(const cli::Common& common, Options& options) : common_(common), options_(options) {}

  Result<nlohmann::json> run() {
    STELE_CHECK(check());
    STELE_TRY(PrivatePlace place, PrivatePlace::make(base_, "stele-extract"));
    auto done = in_place(place.path());
    // Also after a failure or a signal; what cannot be removed must be known.
    Status removed = place.remove();
    if (done.ok() && !removed.ok()) return removed.error();
    return done;
  }

 private:
  /// What needs no restore to be refused.
  Status check() {
    if (options_.output.empty() == options_.into.empty()) return Error{ErrorCode::kUsage, "extract needs --output FILE or --into CONNECTION", "one of them"};
    if (options_.tables.empty() && options_.database.empty()) return Error{ErrorCode::kUsage, "extract needs --table or --dbname", "--table registry.member, or --dbname NAME for a whole database"};
    for (const std::string& text : options_.tables) {
      STELE_TRY(TableName name, parse_table_name(text));
      if (std::find(names_.begin(), names_.end(), name) != names_.end()) return Error{ErrorCode::kUsage, fmt::format("--table {}: given twice", text), ""};
      names_.push_back(std::move(name));
    }
    if (!options_.into.empty()) STELE_CHECK(check_connection(options_.into));
    if (!options_.output.empty()) {
      std::error_code ec;
      if (fs::exists(fs::symlink_status(options_.output, ec))) return Error{ErrorCode::kExists, fmt::format("{} exists", options_.output), "choose another name; nothing is overwritten"};
      const fs::path parent = fs::absolute(options_.output, ec).parent_path();
      if (!fs::is_directory(parent, ec)) return Error{ErrorCode::kNotFound, fmt::format("{}: no such directory", parent.string()), "create it first"};
    }
    STELE_TRY(const config::RestoreConfig config, config::load_restore_config(common_.config));
    libraries_ = config.drill.libraries;
    base_ = !options_.place.empty() ? options_.place : !config.work_directory.empty() ? config.work_directory.string() : "/var/tmp";
    std::error_code ec;
    base_ = fs::absolute(base_, ec).lexically_normal().string();
    if (fs::exists(base_, ec)) return {};
    io::PosixFileSystem files;
    return make_passable_directory(files, base_);
  }

  Result<nlohmann::json> in_place(const std::string& place) {
    RunOptions& run = options_.run;
    run.into = place + "/data";
    run.places.root = place + "/tablespaces";
    run.side_instance = true;
    run.cancelled = &signals_.raised();
    run.configuration.listen_addresses = "";
    run.configuration.drop_missing_libraries = true;
    // The copy runs the source's code: a job scheduler among its libraries would do its work once more.
    run.configuration.allowed_libraries = libraries_;
    // It lives for minutes, is read once, and is thrown away.
    run.configuration.forced = {{"fsync", "off"}, {"full_page_writes", "off"}, {"synchronous_commit", "off"}, {"autovacuum", "off"},
                                {"shared_buffers", "128MB"}, {"huge_pages", "off"}, {"logging_collector", "off"}};
    RestoreJob job(common_, run);
    STELE_CHECK(job.decide());
    ServerOptions server = job.server_options();
    STELE_CHECK(check_can_reach(job.runner(), server.user, place));
    DumpTools tools(job.runner(), server.installation, place + "/tools.log", &signals_.raised());
    STELE_CHECK(check_destination(tools));
    if (!common_.json) std::fputs(describe(job.report().plan).c_str(), stderr);
    STELE_CHECK(job.write());
    STELE_CHECK(give_file_to(server.user, place));
    server.private_directory = place + "/s";
    server.detached = false;
    server.isolated = check_isolation(job.runner(), server.user).ok();
    if (!server.isolated) log::warning("this host allows no network namespace: the side instance is not isolated");
    STELE_TRY(auto process, job.recover_to_end(server));
    auto taken = take(job, *process, tools, place);
    // Nothing of it is needed any more.
    STELE_CHECK(process->stop(StopMode::kImmediate, std::chrono::seconds(30)));
    return taken;
  }

  /// --into is tried before hours are spent on a restore.
  Status check_destination(DumpTools& tools) {
    if (options_.into.empty()) return {};
    STELE_TRY([[maybe_unused]] const std::string version, tools.ask(options_.into, "SELECT current_setting('server_version')"));
    if (options_.data_only) return {};
    for (const TableName& name : names_) {
      STELE_TRY(const std::string there, tools.ask(options_.into, fmt::format("SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                                                                              "WHERE n.nspname = {} AND c.relname = {}", sql_literal(name.schema), sql_literal(name.table))));
      if (there != "0") {
        return Error{ErrorCode::kExists, fmt::format("--into: {} is there already", name.to_string()), "--data-only adds its rows to it; or take it into another database and compare"};
      }
    }
    return {};
  }

  /// Where the tables are: in the database that was named, or in the only one that has all of them.
  Result<std::vector<FoundTable>> look_up(ServerProcess& process, std::string& database) {
    std::vector<std::string> databases = {database};
    STELE_TRY(auto first, process.connect_anywhere(in(kQueryPatience), &signals_.raised()));
    STELE_TRY(const SqlRows all, first->query("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1", in(kQueryPatience)));
    std::string known;
    bool there = database.empty();
    for (const SqlRow& row : all.rows) {
      known += (known.empty() ? "" : ", ") + *row[0];
      there = there || *row[0] == database;
    }
    if (!there) return Error{ErrorCode::kNotFound, fmt::format("--dbname {}: no such database at that moment", database), "there are: " + known};
    if (names_.empty()) return std::vector<FoundTable>();
    if (database.empty()) {
      databases.clear();
      for (const SqlRow& row : all.rows) databases.push_back(*row[0]);
    }
    std::vector<std::pair<std::string, std::vector<FoundTable>>> complete;
    std::string missing, near;
    for (const std::string& name : databases) {
      STELE_TRY(auto session, process.connect(name, in(kQueryPatience), &signals_.raised()));
      STELE_TRY(auto found, find_tables(*session, names_, in(kQueryPatience)));
      std::vector<FoundTable> tables;
      std::string lacking;
      for (std::size_t i = 0; i < names_.size(); ++i) {
        if (found[i]) tables.push_back(std::move(*found[i]));
        else lacking += (lacking.empty() ? "" : ", ") + names_[i].to_string();
      }
      if (lacking.empty()) {
        complete.emplace_back(name, std::move(tables));
        continue;
      }
      if (missing.empty() || !tables.empty()) missing = lacking;
      for (std::size_t i = 0; i < names_.size(); ++i) {
        if (found[i]) continue;
        STELE_TRY(const auto others, near_tables(*session, names_[i], in(kQueryPatience)));
        for (const TableName& other : others) near += fmt::format("{}{} (database {})", near.empty() ? "" : ", ", other.to_string(), name);
        break;
      }
    }
    if (complete.empty()) {
      return Error{ErrorCode::kNotFound, fmt::format("no such table at that moment: {}", missing), near.empty() ? "there were no tables yet: take a later target" : "there are: " + near};
    }
    if (complete.size() > 1) return Error{ErrorCode::kUsage, fmt::format("{} is in several databases: {}, {}", names_.front().to_string(), complete[0].first, complete[1].first), "say which with --dbname"};
    database = complete.front().first;
    return std::move(complete.front().second);
  }

  Result<nlohmann::json> take(RestoreJob& job, ServerProcess& process, DumpTools& tools, const std::string& place) {
    std::string database = options_.database;
    STELE_TRY(const std::vector<FoundTable> tables, look_up(process, database));
    STELE_TRY(auto session, process.connect(database, in(kQueryPatience), &signals_.raised()));
    DumpTools::Dump dump;
    dump.from = process.address();
    dump.database = database;
    dump.data_only = options_.data_only;
    dump.custom = !options_.into.empty() || options_.format == "custom";
    nlohmann::json listed = nlohmann::json::array();
    for (const FoundTable& table : tables) {
      STELE_TRY(const SqlRows rows, session->query(fmt::format("SELECT count(*) FROM {}", quoted(table.name)), in(kCountPatience)));
      STELE_TRY(const std::string count, rows.single("the number of rows"));
      listed.push_back({{"table", table.name.to_string()}, {"rows", std::stoll(count)}, {"partitions", table.children.size()}});
      dump.tables.push_back(table.name);
      dump.tables.insert(dump.tables.end(), table.children.begin(), table.children.end());
    }
    dump.file = options_.into.empty() ? options_.output + ".stele-part" : place + "/dump";
    STELE_TRY(const std::uint64_t bytes, write_dump(tools, dump));
    if (!options_.into.empty()) {
      if (!options_.data_only) {
        for (const TableName& table : dump.tables) {
          STELE_TRY([[maybe_unused]] const std::string made, tools.ask(options_.into, "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS " + quoted_name(table.schema)));
        }
      }
      STELE_CHECK(tools.load(dump.file, options_.into, options_.data_only));
    }
    const RunReport& report = job.report();
    nlohmann::json out = {{"database", report.facts.database.to_string()}, {"target", report.plan.target.to_string()}, {"reaches", to_json(report.plan.reaches)}, {"dbname", database},
                          {"tables", std::move(listed)}, {"bytes", bytes}, {"format", dump.custom ? "custom" : "plain"}};
    if (report.end) out["end"] = {{"lsn", report.end->replayed.to_string()}, {"last_transaction", report.end->last_transaction ? nlohmann::json(to_iso8601(*report.end->last_transaction)) : nlohmann::json(nullptr)}};
    if (options_.into.empty()) out["output"] = options_.output;
    else out["loaded"] = true;
    out["problems"] = to_json(report.problems);
    return out;
  }

  /// Under a name of its own until it is whole; readable by nobody else, for it holds people's data.
  Result<std::uint64_t> write_dump(DumpTools& tools, const DumpTools::Dump& dump) {
    const int fd = ::open(dump.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return system_error("create", dump.file, errno);
    Status done = tools.dump(dump);
    struct stat info {};
    if (done.ok() && (::fsync(fd) != 0 || ::fstat(fd, &info) != 0)) done = system_error("sync", dump.file, errno);
    ::close(fd);
    if (done.ok() && options_.into.empty()) {
      // link: a file that appeared meanwhile is not overwritten.
      if (::link(dump.file.c_str(), options_.output.c_str()) != 0) done = system_error("name", options_.output, errno);
      ::unlink(dump.file.c_str());
      io::PosixFileSystem files;
      if (done.ok()) done = files.sync_directory(io::parent_directory(options_.output));
    }
    if (!done.ok()) {
      ::unlink(dump.file.c_str());
      return done.error();
    }
    return static_cast<std::uint64_t>(info.st_size);
  }

  static std::string quoted_name(const std::string& name) {
    std::string out = "\"";
    for (char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
  }
  static std::string quoted(const TableName& name) { return quoted_name(name.schema) + "." + quoted_name(name.table); }

  const cli::Common& common_;
  Options& options_;
  StopSignals signals_;
  std::string base_;
  std::vector<std::string> libraries_;  ///< that the side instance may load
  std::vector<TableName> names_;
};

std::string to_text(const nlohmann::json& done) {
  std::string out;
  for (const auto& table : done["tables"]) out += fmt::format("extracted  {} of database {}: {} rows\n", table["table"].get<std::string>(), done["dbname"].get<std::string>(), table["rows"].get<std::int64_t>());
  if (done["tables"].empty()) out += fmt::format("extracted  database {}\n", done["dbname"].get<std::string>());
  const std::string size = config::format_bytes(done["bytes"].get<std::uint64_t>());
  out += done.contains("output") ? fmt::format("written    {}, {} ({})\n", done["output"].get<std::string>(), size, done["format"].get<std::string>()) : fmt::format("loaded     {} into the given connection\n", size);
  return out;
}

}  // namespace

Command add_extract(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("extract", "Take tables or one database, as they were at a moment, out of the store: into a file or a running server");
  add_store_options(*command, options->run.store);
  add_target_options(*command, options->run.target);
  command->add_option("--table", options->tables, "SCHEMA.TABLE, with its partitions; give it several times")->type_name("SCHEMA.TABLE");
  command->add_option("--dbname", options->database, "The database inside the cluster: of the tables, or taken as a whole")->type_name("NAME");
  command->add_option("--output", options->output, "A new file for what pg_dump writes (mode 0600)")->type_name("FILE");
  command->add_option("--format", options->format, "Of --output: plain (SQL) or custom (for pg_restore)")->capture_default_str()->check(CLI::IsMember({"plain", "custom"}));
  command->add_option("--into", options->into, "A libpq connection string, loaded in one transaction, without owners and privileges")->type_name("CONNECTION");
  command->add_flag("--data-only", options->data_only, "Rows only, no definitions: for tables that exist");
  command->add_option("--place", options->place, "Where the side instance is made and removed again; needs the room of a whole restore (default: work_directory)")->type_name("DIR");
  command->add_option("--role", options->run.role, "A superuser of the database")->capture_default_str();
  cli::add_examples(*command, {"stele-restore extract --table registry.member --target-time '2026-11-23 15:33:45+08' --output member.sql",
                               "stele-restore extract --dbname registry --output registry.dump --format custom",
                               "stele-restore extract --table registry.member --into 'host=db1 dbname=rescue user=postgres'"});
  return [options, &common]() -> Result<int> {
    STELE_TRY(const nlohmann::json done, Extraction(common, *options).run());
    print(common.json ? done.dump() + "\n" : to_text(done));
    return 0;
  };
}

}  // namespace stele::restore
