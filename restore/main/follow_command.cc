#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "core/config/log.h"
#include "core/config/values.h"
#include "core/io/durable_file.h"
#include "restore/apply/data_directory.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/output.h"
#include "restore/main/planning.h"
#include "restore/main/stop_signals.h"
#include "restore/postgres/standby_questions.h"
#include "restore/wal/wal_follow.h"

namespace stele::restore {

namespace {

using nlohmann::json;

struct Options {
  StoreOptions store;
  std::string into, interval = "5s", role = "postgres";
  bool once = false, promote = false, status = false, accept_damaged = false;
};

constexpr auto kPromotePatience = std::chrono::minutes(10);

std::string status_path(const std::string& directory) { return directory + ".stele-standby.json"; }

/// What `follow` last did, and what the server says now. `lag_seconds`: how old the newest state of the source is that the standby was given.
json look(const StandbyQuestions& questions, const std::string& directory) {
  io::PosixFileSystem fs;
  json out = {{"directory", directory}};
  auto text = io::read_file(fs, status_path(directory), 64 << 10);
  if (text.ok()) out["follow"] = json::parse(as_text(*text), nullptr, false);
  if (out.contains("follow") && out["follow"].is_object() && out["follow"]["as_of"].is_string()) {
    SystemClock clock;
    if (auto as_of = parse_timestamp(out["follow"]["as_of"].get<std::string>()); as_of.ok()) out["lag_seconds"] = std::max(0.0, static_cast<double>((clock.now() - *as_of).count()) / 1e6);
  }
  auto state = questions.ask();
  if (!state.ok()) {
    out["server"] = {{"answers", false}, {"what", state.error().what}};
  } else {
    out["server"] = {{"answers", true}, {"in_recovery", state->in_recovery}, {"replayed_lsn", state->replayed.to_string()}};
    if (state->last_transaction) out["server"]["last_transaction"] = to_iso8601(*state->last_transaction);
  }
  return out;
}

/// Keeps one standby up to date.
class Follower {
 public:
  Follower(const cli::Common& common, const Options& options, std::string directory) : common_(common), options_(options), directory_(std::move(directory)), staging_(staging_path(directory_)) {}

  Result<int> run() {
    STELE_TRY(const Duration interval, config::parse_duration(options_.interval));
    io::PosixFileSystem fs;
    STELE_TRY(lock_, fs.try_lock(staging_ + "/lock", "stele-restore follow"));
    STELE_TRY([[maybe_unused]] const WalPlan plan, following());
    STELE_TRY(context_, Context::open(common_, options_.store, &signals_.raised()));
    STELE_TRY(database_, context_->database());
    STELE_CHECK(context_->load_keys(true));
    for (;;) {
      auto done = step();
      write_status(done);
      if (options_.promote) {
        if (!done.ok()) return done.error().in("bring the standby up to date before it is promoted");
        if (trouble_ && !options_.accept_damaged) return trouble_->in("the standby is not promoted: it may lack commits");
        return promote(done->end);
      }
      if (options_.once) {
        if (!done.ok()) return done.error();
        if (trouble_) return *trouble_;
        print(common_.json ? status_.dump() + "\n" : fmt::format("{} is at {}, {:.1f} s behind the source\n", directory_, done->end.to_string(), status_.value("lag_seconds", 0.0)));
        return 0;
      }
      if (!done.ok()) {
        // A receiver that is away comes back; a history that was left does not.
        if (!is_temporary(done.error().code)) return done.error();
        log::warning("the standby gets no new log for now", {{"error", done.error().to_string()}});
      } else if (trouble_ && std::exchange(told_, trouble_->to_string()) != told_) {
        log::warning("the standby may lack commits", {{"error", told_}});
      }
      for (Duration waited{0}; waited < interval; waited += std::chrono::milliseconds(100)) {
        if (signals_.raised()) return 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  }

 private:
  Result<WalPlan> following() const {
    STELE_TRY(WalPlan plan, read_wal_plan(staging_));
    if (plan.following.is_zero()) return Error{ErrorCode::kUsage, fmt::format("{} was not restored as a standby", directory_), "`stele-restore run --standby --into DIR` makes one"};
    return plan;
  }

  Result<Followed> step() {
    STELE_TRY(catalog_, context_->load(database_));
    LogReader reader(*catalog_, context_->keys());
    STELE_TRY(Followed done, extend_staging(*catalog_, reader, staging_, context_->workers()));
    trouble_ = std::move(done.stuck);
    for (const Status& complete : {context_->check_known_heads(*catalog_), check_newest(*catalog_, {options_.store.accept_older, options_.accept_damaged})}) {
      if (!complete.ok() && !trouble_) trouble_ = complete.error();
    }
    STELE_TRY([[maybe_unused]] const std::size_t removed, trim_staging(staging_, directory_));
    return done;
  }

  void write_status(const Result<Followed>& done) {
    const Timestamp now = context_->clock().now();
    status_["updated"] = to_iso8601(now);
    status_.erase("error");
    if (done.ok()) {
      if (trouble_) status_["error"] = trouble_->to_string();
      status_["received_lsn"] = done->end.to_string();
      status_["timeline"] = done->timeline;
      status_["as_of"] = done->as_of.is_none() ? json(nullptr) : json(to_iso8601(done->as_of));
      as_of_ = done->as_of;
    } else {
      status_["error"] = done.error().to_string();
    }
    if (!as_of_.is_none()) status_["lag_seconds"] = std::max(0.0, static_cast<double>((now - as_of_).count()) / 1e6);
    io::PosixFileSystem fs;
    Status written = io::write_file_durably(fs, status_path(directory_), as_bytes(status_.dump() + "\n"), io::WriteMode::kReplace);
    if (!written.ok()) log::warning("the standby's status could not be written", {{"error", written.error().to_string()}});
  }

  /// Everything that was fetched is replayed first, and the next timeline's number is taken where others would take theirs.
  Result<int> promote(Position end) {
    STELE_TRY(StandbyQuestions questions, StandbyQuestions::open(context_->config().postgres.bin_directory.string(), context_->config().postgres.user, directory_, options_.role));
    const Instant limit = std::chrono::steady_clock::now() + kPromotePatience;
    LogReader reader(*catalog_, context_->keys());
    STELE_TRY(const Position record, last_record_before(*catalog_, reader, staging_, end));
    for (;;) {
      STELE_TRY(const StandbyState state, questions.ask());
      if (!state.in_recovery) return Error{ErrorCode::kUsage, fmt::format("{} is no standby any more: it was promoted", directory_), ""};
      if (state.replayed >= record) break;
      if (signals_.raised()) return Error{ErrorCode::kCancelled, "stopped before the promotion", ""};
      if (std::chrono::steady_clock::now() > limit) return Error{ErrorCode::kTimeout, fmt::format("the standby replayed {} only, {} was fetched", state.replayed.to_string(), record.to_string()), "look at its log"};
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    recovery::Plan here;
    STELE_TRY(const WalPlan plan, following());
    here.timeline = plan.timelines.back().number;
    STELE_TRY(here.path, recovery::path_to(catalog_->facts(), plan.following));
    STELE_TRY(const auto taken, context_->reserve_timeline(*catalog_, here));
    STELE_CHECK(take_timelines(staging_, taken));
    STELE_TRY(const std::uint32_t timeline, questions.promote(kPromotePatience));
    if (common_.json) print(json{{"directory", directory_}, {"promoted", true}, {"replayed_lsn", record.to_string()}, {"timeline", timeline}}.dump() + "\n");
    else print(fmt::format("{} is promoted at {}, on timeline {}; point its clients to it and give it an agent\n", directory_, record.to_string(), timeline));
    return 0;
  }

  const cli::Common& common_;
  const Options& options_;
  std::string directory_, staging_;
  StopSignals signals_;
  std::unique_ptr<io::FileLock> lock_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<StoreCatalog> catalog_;
  DatabaseName database_;
  json status_ = json::object();
  Timestamp as_of_;
  std::optional<Error> trouble_;  ///< why a promotion now may lack commits
  std::string told_;              ///< of it, in the log
};

Result<int> show_status(const cli::Common& common, const Options& options, const std::string& directory) {
  STELE_TRY(const config::RestoreConfig config, config::load_restore_config(common.config));
  STELE_TRY(const StandbyQuestions questions, StandbyQuestions::open(config.postgres.bin_directory.string(), config.postgres.user, directory, options.role));
  const json out = look(questions, directory);
  if (common.json) {
    print(out.dump() + "\n");
    return 0;
  }
  std::string text;
  if (out.contains("follow") && out["follow"].is_object()) {
    const json& f = out["follow"];
    text += fmt::format("received   {} (timeline {}), fetched {}\n", f.value("received_lsn", "-"), f.value("timeline", 0), f.value("updated", "-"));
    if (out.contains("lag_seconds")) text += fmt::format("lag        {:.1f} s behind the source\n", out["lag_seconds"].get<double>());
    if (f.contains("error")) text += fmt::format("trouble    {}\n", f["error"].get<std::string>());
  } else {
    text += "nothing was fetched yet: `stele-restore follow --into DIR` has not run\n";
  }
  const json& s = out["server"];
  text += s["answers"].get<bool>() ? fmt::format("server     {}, replayed {}\n", s["in_recovery"].get<bool>() ? "a standby" : "promoted", s["replayed_lsn"].get<std::string>()) : fmt::format("server     does not answer: {}\n", s["what"].get<std::string>());
  print(text);
  return 0;
}

}  // namespace

Command add_follow(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("follow", "Keep a standby (`run --standby`) up to date from the store or the receivers, until it is stopped; or promote it");
  add_store_options(*command, options->store);
  command->add_option("--into", options->into, "The standby's data directory")->required()->type_name("DIR");
  command->add_option("--interval", options->interval, "How often new log is looked for")->capture_default_str();
  command->add_flag("--once", options->once, "Fetch what there is, and end");
  command->add_flag("--promote", options->promote, "Fetch and replay what there is, reserve the timeline number, and promote");
  command->add_flag("--accept-damaged", options->accept_damaged, "With --promote: although log that it was not given is damaged or missing")->needs("--promote");
  command->add_flag("--status", options->status, "How far it is: lag in seconds. Needs no key");
  command->add_option("--role", options->role, "A superuser of the database")->capture_default_str();
  cli::add_examples(*command, {"stele-restore follow --into /srv/pg", "stele-restore follow --into /srv/pg --status --json", "stele-restore follow --into /srv/pg --promote"});
  return [options, &common]() -> Result<int> {
    if (options->once + options->promote + options->status > 1) return Error{ErrorCode::kUsage, "one of --once, --promote and --status", ""};
    STELE_TRY(const std::string directory, resolve_target(options->into));
    if (options->status) return show_status(common, *options, directory);
    return Follower(common, *options, directory).run();
  };
}

}  // namespace stele::restore
