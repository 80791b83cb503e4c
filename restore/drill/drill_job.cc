#include "restore/drill/drill_job.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

#include "core/config/log.h"
#include "core/crypto/hash.h"
#include "core/crypto/random.h"
#include "core/format/object_names.h"
#include "restore/drill/checks.h"
#include "restore/drill/guard.h"
#include "restore/drill/isolation.h"
#include "restore/drill/moment.h"
#include "restore/drill/place.h"
#include "restore/main/stop_signals.h"

namespace stele::restore {
namespace {

double seconds_since(Instant begin) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); }

std::string operating_system() {
  std::ifstream in("/etc/os-release");
  for (std::string line; std::getline(in, line);) {
    constexpr std::string_view kName = "PRETTY_NAME=\"";
    if (line.starts_with(kName)) return line.substr(kName.size(), line.rfind('"') - kName.size());
  }
  return "";
}

std::string source_of(const config::RestoreConfig& config) {
  if (!config.store_directory.empty()) return "store " + config.store_directory.string();
  std::string out;
  for (const config::ReceiverEndpoint& receiver : config.receivers) out += fmt::format("{}receiver {}", out.empty() ? "" : ", ", receiver.name);
  return out;
}

class DrillJob {
 public:
  DrillJob(const cli::Common& common, const config::RestoreConfig& config, const DrillOptions& options)
      : common_(common), config_(config), options_(options) {}

  DrillOutcome run() {
    begin();
    if (Status done = steps(); !done.ok()) fail(done.error());
    wipe();
    result().finished = clock_.now();
    return std::move(outcome_);
  }

  DrillOutcome run_not(const Error& why) {
    begin();
    if (Status named = name_database(); !named.ok()) log::log_error(named.error());
    fail(why);
    result().finished = clock_.now();
    return std::move(outcome_);
  }

 private:
  DrillResult& result() { return outcome_.result; }

  void begin() {
    crypto::SodiumRandom random;
    result().id = random.draw<SnapshotId>().hex();
    result().started = clock_.now();
    result().source = source_of(config_);
    result().rto_target = std::chrono::duration<double>(config_.drill.rto_target).count();
    result().rpo_target = std::chrono::duration<double>(config_.drill.rpo_target).count();
    result().interval = std::chrono::duration<double>(config_.drill.interval).count();
  }

  Status name_database() {
    if (options_.store.database.empty()) return {};
    STELE_TRY(result().database, parse_database_name(options_.store.database));
    return {};
  }

  void fail(const Error& error) {
    outcome_.error = guard_why_.empty() ? error : Error{ErrorCode::kDiskFull, guard_why_, "raise [drill] max_bytes or take a place with more room"};
    result().problem = outcome_.error->what;
    result().problem_code = error_name(outcome_.error->code);
    result().ran = false;
  }

  Status steps() {
    STELE_CHECK(name_database());
    STELE_CHECK(read_options());
    WipeProof cleared;
    STELE_TRY(place_, Place::open(fs_, config_.drill.directory.string(), result().id, cleared));
    if (cleared.files != 0) result().notes.push_back(fmt::format("an interrupted drill had left {} files: wiped before this one", cleared.files));
    guard_.emplace(place_->path(), config_.drill.max_bytes, signals_.raised());
    Status done = restore_and_check();
    guard_why_ = guard_->tripped();
    guard_.reset();
    if (done.ok() && !guard_why_.empty()) return Error{ErrorCode::kDiskFull, guard_why_, ""};
    return done;
  }

  Status read_options() {
    if (!options_.disaster_time.empty()) {
      STELE_TRY(result().disaster, parse_timestamp(options_.disaster_time));
    }
    if (options_.seed && !options_.random) return Error{ErrorCode::kUsage, "--seed is for --target-random", ""};
    STELE_TRY(target_, to_target(options_.target));
    if (options_.random && target_.kind != recovery::TargetKind::kLatest) return Error{ErrorCode::kUsage, "more than one target", "give --target-random or one of the others"};
    result().asked = options_.random ? "random" : target_.kind == recovery::TargetKind::kLatest ? "latest" : target_.to_string();
    // Nobody is there to choose about an abandoned tail: the current history is drilled.
    if (target_.timeline.empty()) target_.timeline = "latest";
    if (options_.random) {
      crypto::SodiumRandom random;
      result().seed = options_.seed ? *options_.seed : random.u64() >> 16;
    }
    return {};
  }

  Result<recovery::Target> choose(const recovery::Facts& facts) {
    // The moment at which the store was looked at: what comes in later would not be there after a disaster now.
    if (result().disaster.is_none()) result().disaster = clock_.now();
    const recovery::Survey survey = recovery::survey(facts);
    for (const recovery::Window& window : survey.windows) {
      if (window.head != survey.current) continue;
      result().window_from = window.from.time;
      result().window_to = window.to.time;
    }
    if (options_.random) {
      STELE_TRY(target_.time, random_moment(survey, *result().seed));
      target_.kind = recovery::TargetKind::kTime;
      log::info("random target", {{"seed", *result().seed}, {"time", to_iso8601(target_.time)}});
    }
    return target_;
  }

  Status restore_and_check() {
    // Log that the copy writes itself, and its own files.
    constexpr std::uint64_t kServerNeeds = 512u << 20;
    run_.store = options_.store;
    run_.target = options_.target;
    run_.into = place_->data_directory();
    run_.places.root = place_->tablespace_root();
    run_.role = config_.drill.superuser;
    run_.side_instance = true;
    run_.cancelled = &signals_.raised();
    run_.choose_target = [this](const recovery::Facts& facts) { return choose(facts); };
    run_.extra_bytes = kServerNeeds;
    run_.max_bytes = config_.drill.max_bytes;
    run_.configuration.listen_addresses = "";
    run_.configuration.allowed_libraries = config_.drill.libraries;
    for (const auto& [name, value] : config_.drill.settings) run_.configuration.forced.push_back({name, value});
    // No background work that the checks do not ask for.
    run_.configuration.forced.push_back({"autovacuum", "off"});
    run_.configuration.forced.push_back({"cluster_name", "stele-drill"});
    job_.emplace(common_, run_);
    Status decided = job_->decide();
    // Also where it ends here: somebody must hear whose drill failed.
    if (result().database.site.empty()) result().database = job_->report().facts.database;
    STELE_CHECK(decided);
    note_plan();
    ServerOptions server = job_->server_options();
    STELE_CHECK(check_can_reach(job_->runner(), server.user, run_.into));
    STELE_CHECK(check_isolation(job_->runner(), server.user));
    if (runs_servers(server.user.change ? server.user.uid : geteuid())) {
      result().notes.push_back(fmt::format("another PostgreSQL server runs on this host as {}: the copy can reach its unix socket; give drills a host or a user of their own ([postgres] user)", server.user.name));
      log::warning("another PostgreSQL server runs on this host as the drill's user", {{"user", server.user.name}});
    }
    STELE_CHECK(job_->write());
    note_written();
    server = job_->server_options();
    server.private_directory = place_->private_directory();
    server.detached = false;
    server.isolated = true;
    WaitOptions wait;
    wait.deadline = std::chrono::steady_clock::now() + config_.drill.recovery_timeout;
    wait.on_start = [this](pid_t server) { networks_.emplace_back(server); };
    const Instant start = std::chrono::steady_clock::now();
    STELE_TRY(server_, job_->recover_to_end(server, wait));
    note_started(seconds_since(start));
    const Instant checks = std::chrono::steady_clock::now();
    STELE_CHECK(check());
    result().seconds(Phase::kChecks) = seconds_since(checks);
    result().ran = true;
    result().rto = result().usable_seconds + result().seconds(Phase::kChecks);
    return {};
  }

  void note_plan() {
    DrillResult& r = result();
    const RunReport& d = job_->report();
    const recovery::Plan& plan = d.plan;
    recovery::Target shown = plan.target;
    shown.timeline = options_.target.timeline;
    r.target = shown.to_string();
    r.again = plan.target.kind == recovery::TargetKind::kTime  ? "--target-time " + to_iso8601(plan.target.time)
              : plan.target.kind == recovery::TargetKind::kLsn ? "--target-lsn " + plan.target.lsn.to_string()
                                                               : "";
    r.stream = plan.path.head();
    r.snapshot = plan.snapshot.id;
    r.snapshot_finished = plan.snapshot.finished;
    r.reaches_lsn = plan.reaches.position.to_string();
    r.reaches = plan.reaches.time;
    r.log_bytes = plan.log_raw_bytes;
    r.bytes_needed = d.bytes_needed;
    r.system_identifier = job_->snapshot().system_identifier;
    r.notes.insert(r.notes.end(), plan.notes.begin(), plan.notes.end());
    for (const Problem& problem : d.problems) r.notes.push_back(fmt::format("{}: {}", problem.object, problem.error.what));
    r.seconds(Phase::kPlan) = d.seconds_plan;
    // What a disaster at that moment would have lost: everything behind the end of the log that is kept, also when an earlier moment is drilled.
    const Timestamp kept = plan.target.kind == recovery::TargetKind::kLatest ? std::max(r.reaches, r.window_to) : r.window_to;
    if (!kept.is_none()) r.rpo = std::max(0.0, std::chrono::duration<double>(r.disaster - kept).count());
    utsname host{};
    uname(&host);
    r.versions = {{"Stele", STELE_VERSION}, {"Linux", host.release}, {"OS", operating_system()}};
    name_objects();
  }

  /// What the restore stands on: names of objects, and for each a hash that commits to all of it.
  void name_objects() {
    const RunReport& d = job_->report();
    const StoreCatalog& catalog = job_->catalog();
    auto& out = result().objects;
    if (auto manifest = catalog.objects().read_all(d.plan.snapshot.manifest, format::kMaxRecordBytes); manifest.ok()) {
      out.push_back({d.plan.snapshot.manifest, crypto::hash(crypto::default_suite(), *manifest).hex(), manifest->size()});
    }
    for (const Digest& list : job_->manifest().lists) out.push_back({format::list_name(catalog.database(), list), list.hex(), 0});
    for (const std::size_t run : d.plan.runs) {
      const recovery::RunFact& fact = catalog.facts().runs[run];
      out.push_back({fact.name, catalog.run_head(run).signatures.hex(), fact.bytes});
    }
  }

  void note_written() {
    DrillResult& r = result();
    const RunReport& d = job_->report();
    r.files = d.files;
    r.file_bytes = d.file_bytes;
    r.stored_bytes = d.stored_bytes_read + d.plan.log_stored_bytes;
    r.seconds(Phase::kWrite) = d.seconds_write;
    r.seconds(Phase::kFetch) = std::max(0.0, d.seconds_total - d.seconds_plan - d.seconds_write);
    outcome_.keys = job_->context().keys().proofs();
    for (const KeyProof& key : outcome_.keys) {
      r.keys.push_back({key.label.empty() ? to_hex(key.public_key).substr(0, 12) : key.label, crypto::hash(crypto::default_suite(), key.public_key), key.newest_epoch});
    }
  }

  void note_started(double seconds) {
    DrillResult& r = result();
    const auto& log = job_->report().recovery;
    if (log && log->redo_started && log->redo_ended) {
      r.seconds(Phase::kReplay) = std::clamp(std::chrono::duration<double>(*log->redo_ended - *log->redo_started).count(), 0.0, seconds);
    }
    r.seconds(Phase::kStart) = seconds - r.seconds(Phase::kReplay);
    for (const Phase phase : kPhases) r.usable_seconds += phase == Phase::kChecks ? 0 : r.seconds(phase);
  }

  Status check() {
    CopyChecks checks(*job_, *server_, config_.drill, place_->path(), signals_.raised());
    auto& out = result().checks;
    std::optional<RecoveredState> state;
    out.push_back(checks.recovery_end(state));
    if (state) {
      result().last_commit = state->last_transaction.value_or(Timestamp{});
      result().versions.emplace_back("PostgreSQL", state->server_version);
    }
    out.push_back(checks.isolation(result().isolation));
    STELE_CHECK(checks.prepare(result().id));
    out.push_back(checks.amcheck());
    out.push_back(checks.counts(result().counts));
    const std::string folder = options_.assertions.empty() ? config_.drill.assertions.string() : options_.assertions;
    if (folder.empty()) {
      out.push_back({"assertions", "业务断言", "Assertions", CheckResult::kSkipped, "no folder is configured ([drill] assertions)", 0, "未配置断言目录 ([drill] assertions)"});
    } else {
      for (Check& one : checks.assertions(folder)) out.push_back(std::move(one));
    }
    STELE_CHECK(server_->stop(StopMode::kFast, std::chrono::minutes(10)));
    out.push_back(checks.page_checksums());
    if (signals_.raised()) return Error{ErrorCode::kCancelled, "the drill was stopped before its end", ""};
    return {};
  }

  /// Whatever happened: no server, no copy.
  void wipe() {
    server_.reset();
    if (!place_) return;
    const Instant begin = std::chrono::steady_clock::now();
    Status done = place_->wipe(result().wipe);
    result().wipe.processes_left = processes_left();
    if (!done.ok() && !outcome_.error) fail(done.error());
    Check check{"wiped", "演练副本已清除", "The copy is wiped", CheckResult::kFailed, "", seconds_since(begin), ""};
    const WipeProof& proof = result().wipe;
    if (proof.nothing_left && proof.processes_left == 0) check.result = CheckResult::kPassed;
    check.detail = done.ok() ? fmt::format("{} files, {} bytes removed; processes left: {}", proof.files, proof.bytes, proof.processes_left < 0 ? "not known" : std::to_string(proof.processes_left)) : done.error().what;
    if (done.ok()) check.detail_zh = fmt::format("已删除 {} 个文件、{} 字节；残留进程：{}", proof.files, proof.bytes, proof.processes_left < 0 ? "未知" : std::to_string(proof.processes_left));
    result().checks.push_back(std::move(check));
  }

  /// Of every server that was started; -1 where one's namespace could not be held. Children of a killed one end by themselves, soon.
  int processes_left() const {
    constexpr auto kPatience = std::chrono::seconds(10);
    const Instant end = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      int count = 0;
      for (const HeldNetwork& network : networks_) {
        if (!network.held()) return -1;
        count += network.processes();
      }
      if (count == 0 || std::chrono::steady_clock::now() >= end) return count;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  const cli::Common& common_;
  const config::RestoreConfig& config_;
  const DrillOptions& options_;
  StopSignals signals_;  ///< the first one ends the drill with everything wiped
  SystemClock clock_;
  io::PosixFileSystem fs_;
  DrillOutcome outcome_;
  recovery::Target target_;
  std::unique_ptr<Place> place_;
  std::optional<DiskGuard> guard_;
  std::string guard_why_;
  RunOptions run_;
  std::optional<RestoreJob> job_;
  std::unique_ptr<ServerProcess> server_;
  std::vector<HeldNetwork> networks_;  ///< of every server that was started
};

}  // namespace

DrillOutcome failed_drill(const config::RestoreConfig& config, const DrillOptions& options, const Error& why) {
  const cli::Common common;
  return DrillJob(common, config, options).run_not(why);
}

DrillOutcome run_drill(const cli::Common& common, const config::RestoreConfig& config, const DrillOptions& options) {
  return DrillJob(common, config, options).run();
}

}  // namespace stele::restore
