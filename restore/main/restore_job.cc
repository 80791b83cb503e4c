#include "restore/main/restore_job.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <thread>

#include "core/config/log.h"
#include "core/config/values.h"
#include "restore/fetch/decoding_log_index.h"
#include "restore/fetch/snapshot_reader.h"
#include "restore/main/output.h"
#include "restore/main/planning.h"
#include "restore/main/private_place.h"
#include "restore/postgres/installation.h"
#include "restore/wal/wal_stager.h"

namespace stele::restore {

namespace {

RecoveryTarget to_postgres(const recovery::RecoveryTarget& target) {
  switch (target.kind) {
    case recovery::RecoveryKind::kEndOfLog: return RecoveryTarget::none();
    case recovery::RecoveryKind::kTime: return {RecoveryTarget::Kind::kTime, target.value};
    case recovery::RecoveryKind::kLsn: return {RecoveryTarget::Kind::kLsn, target.value};
    case recovery::RecoveryKind::kXid: return {RecoveryTarget::Kind::kXid, target.value};
    case recovery::RecoveryKind::kName: return {RecoveryTarget::Kind::kName, target.value};
    case recovery::RecoveryKind::kImmediate: return RecoveryTarget::immediate();
  }
  return RecoveryTarget::none();
}

Result<std::string> own_program() {
  std::error_code ec;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", ec);
  if (ec) return Error{ErrorCode::kIo, fmt::format("find this program's own path: {}", ec.message()), ""};
  return path.string();
}

constexpr auto kQuestionPatience = std::chrono::seconds(60);
constexpr auto kStopPatience = std::chrono::minutes(10);

}  // namespace

class RestoreJob::Impl {
 public:
  Impl(const cli::Common& common, const RunOptions& options, std::unique_ptr<Context> context)
      : context_(std::move(context)), common_(common), options_(options), begin_(clock_.steady_now()) {}

  Status decide() {
    STELE_TRY(recovery::Target target, to_target(options_.target));
    TablespaceOptions places = options_.places;
    for (const std::string& text : options_.tablespaces) {
      STELE_TRY(auto pair, parse_tablespace_option(text));
      if (!places.mapped.insert(pair).second) return Error{ErrorCode::kUsage, fmt::format("--tablespace {}: given twice", pair.first), ""};
    }
    if (options_.delta.on) {
      STELE_TRY(existing_, inspect_existing(options_.into));
      report_.directory = existing_.path;
    } else {
      STELE_TRY(report_.directory, check_target(options_.into));
    }
    if (context_ == nullptr) {
      STELE_TRY(context_, Context::open(common_, options_.store));
    }
    STELE_TRY(const DatabaseName database, options_.store.database.empty() ? context_->database() : parse_database_name(options_.store.database));
    if (context_->keys().empty()) STELE_CHECK(context_->load_keys(true));
    STELE_TRY(catalog_, context_->load(database));
    STELE_CHECK(context_->check_known_heads(*catalog_));
    reader_ = std::make_unique<LogReader>(*catalog_, context_->keys());
    DecodingLogIndex index(*catalog_, *reader_);
    if (options_.choose_target) {
      STELE_TRY(target, options_.choose_target(catalog_->facts()));
    }
    STELE_TRY(report_.plan, plan_restore(*catalog_, target, to_plan_options(options_.target), &index));
    report_.facts.database = database;
    report_.problems = catalog_->problems();
    STELE_TRY(snapshot_, SnapshotReader::open(*catalog_, context_->keys(), report_.plan.snapshot.id, context_->workers()));
    STELE_CHECK(check_existing());
    // Where nothing else is said, tablespaces stay where the links of the existing directory lead.
    for (const auto& [oid, directory] : existing_.tablespaces) {
      const auto& known = snapshot_->sealed().tablespaces;
      if (std::any_of(known.begin(), known.end(), [&](const format::TablespaceEntry& t) { return t.oid == oid; })) places.mapped.emplace(oid, directory);
    }
    STELE_TRY(report_.tablespaces, map_tablespaces(snapshot_->sealed().tablespaces, places, report_.directory));
    STELE_CHECK(check_space());
    if (options_.start || options_.side_instance) {
      STELE_TRY(installation_, find_installation(context_->fs(), runner_, static_cast<int>(snapshot_->sealed().server_version), context_->config().postgres.bin_directory.string()));
    }
    STELE_TRY(user_, choose_user(context_->config().postgres.user, report_.directory));
    report_.seconds_plan = seconds();
    return {};
  }

  Status write() {
    STELE_CHECK(write_files());
    STELE_CHECK(write_log());
    STELE_CHECK(configure_server());
    report_.seconds_total = seconds();
    return {};
  }

  Status start() {
    ServerOptions server = server_options();
    const Instant begin = clock_.steady_now();
    if (options_.standby) return start_standby(server);
    if (options_.action == "promote") {
      STELE_TRY(const PrivatePlace socket, PrivatePlace::make("/tmp", "stele-run"));
      server.private_directory = socket.path();
      server.detached = false;
      STELE_TRY(auto asked, recover_to_end(server, {}));
      STELE_CHECK(asked->stop(StopMode::kFast, kStopPatience));
      server.private_directory.clear();
      server.detached = true;
    } else {
      report_.end_not_checked = fmt::format("the server does not promote (--target-action {})", options_.action);
    }
    WaitOptions wait;
    wait.cancelled = options_.cancelled;
    STELE_TRY(auto process, recover(context_->fs(), runner_, server, wait));
    if (!report_.recovery) {
      STELE_TRY(report_.recovery, process->log());
    }
    report_.started = true;
    // Recovery is over: PostgreSQL has its own log now.
    if (options_.action == "promote") {
      std::error_code ec;
      std::filesystem::remove_all(report_.staging, ec);
      if (!ec) report_.staging.clear();
    }
    report_.seconds_recovery = std::chrono::duration<double>(clock_.steady_now() - begin).count();
    report_.seconds_total = seconds();
    return {};
  }

  ServerOptions server_options() const {
    ServerOptions server;
    server.installation = *installation_;
    server.user = user_;
    server.data_directory = report_.directory;
    server.log_file = report_.directory + ".log";
    server.port = report_.configuration.port;
    server.role = options_.role;
    server.detached = true;
    return server;
  }

  Result<std::unique_ptr<ServerProcess>> recover_to_end(const ServerOptions& server, WaitOptions wait) {
    const Position begin = report_.plan.log_begin;
    SharedProgress progress("replay", report_.plan.end - begin, clock_, common_.json);
    auto tell = std::move(wait.on_progress);
    wait.on_progress = [&](const ServerState& state) {
      if (state.replayed && *state.replayed > begin) progress(*state.replayed - begin);
      if (tell) tell(state);
    };
    if (wait.cancelled == nullptr) wait.cancelled = options_.cancelled;
    STELE_TRY(auto process, recover(context_->fs(), runner_, server, wait));
    STELE_TRY(report_.recovery, process->log());
    if (server.private_directory.empty() || options_.action != "promote") return process;
    ExpectedEnd expected;
    expected.system_identifier = snapshot_->sealed().system_identifier;
    expected.recovered_timeline = report_.plan.timeline;
    expected.target = to_postgres(report_.plan.recovery);
    // Nothing behind the plan's end was given to it.
    expected.replayed_at_most = report_.plan.end;
    const bool known = report_.plan.exact && report_.plan.recovery.inclusive;
    expected.replayed_at_least = known ? report_.plan.reaches.position : report_.plan.snapshot.stop;
    auto end = check_after_start(*process, expected, std::chrono::steady_clock::now() + kQuestionPatience);
    if (end.ok()) {
      report_.end = std::move(*end);
      return process;
    }
    if (!process->stop(StopMode::kImmediate, kStopPatience).ok()) STELE_CHECK(process->kill_hard());
    if (end.error().what.find("role") != std::string::npos) return end.error().with_hint("--role names a superuser of this database");
    return end.error();
  }

  RunReport report_;
  std::unique_ptr<Context> context_;
  PosixProcessRunner runner_;
  std::unique_ptr<StoreCatalog> catalog_;
  std::unique_ptr<SnapshotReader> snapshot_;

 private:
  double seconds() { return std::chrono::duration<double>(clock_.steady_now() - begin_).count(); }

  Status stopped() const {
    if (options_.cancelled == nullptr || !options_.cancelled->load(std::memory_order_relaxed)) return {};
    return Error{ErrorCode::kCancelled, "stopped", ""};
  }

  /// Until it answers as a hot standby.
  Status start_standby(const ServerOptions& server) {
    STELE_TRY(auto process, ServerProcess::start(context_->fs(), runner_, server));
    for (;;) {
      STELE_TRY(const ServerState now, process->state());
      if (now.running && now.hot_standby) break;
      STELE_CHECK(stopped());
      if (!now.running) {
        STELE_TRY(const RecoveryLog said, process->log());
        return start_error(said, server.data_directory, server.log_file);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    STELE_TRY(report_.recovery, process->log());
    report_.started = true;
    report_.end_not_checked = "it is a standby and goes on";
    return {};
  }

  Status check_existing() const {
    if (existing_.system_identifier == 0 || existing_.system_identifier == snapshot_->sealed().system_identifier || options_.delta.other_cluster) return {};
    return Error{ErrorCode::kExists, fmt::format("{} holds the cluster {}, the snapshot is of {}", existing_.path, existing_.system_identifier, snapshot_->sealed().system_identifier),
                 "is it the right directory? --accept-other-cluster writes over it"};
  }

  /// Each file system gets what will be written to it; directories on one file system are counted together.
  Status check_space() {
    std::map<std::string, std::uint64_t> bytes;
    bytes[report_.directory] = report_.plan.segments.size() * report_.plan.segment_size;
    for (const format::FileEntry& e : snapshot_->files()) {
      std::string place = report_.directory;
      for (const TablespaceTarget& t : report_.tablespaces) {
        if (t.oid == e.tablespace && !t.in_place) place = t.directory;
      }
      std::uint64_t there = 0;
      if (existing_.there && e.type == format::FileType::kFile) {
        std::error_code ec;
        const std::uint64_t size = std::filesystem::file_size(std::filesystem::path(place) / e.path, ec);
        if (!ec) there = std::min<std::uint64_t>(size, e.size);
      }
      bytes[place] += e.size - there;
    }
    bytes[report_.directory] += options_.extra_bytes;
    for (const auto& [place, need] : bytes) report_.bytes_needed += need;
    if (options_.max_bytes != 0 && report_.bytes_needed > options_.max_bytes) {
      return Error{ErrorCode::kDiskFull,
                   fmt::format("the restore may take {}, it needs {} ({} bytes)", config::format_bytes(options_.max_bytes), config::format_bytes(report_.bytes_needed), report_.bytes_needed),
                   "raise the limit; nothing was written"};
    }
    return check_free_space(bytes);
  }

  Status write_files() {
    const std::uint64_t identifier = snapshot_->sealed().system_identifier;
    const bool over = existing_.there || existing_.incomplete;
    if (over) {
      STELE_TRY(directory_, DataDirectory::begin_over(existing_, snapshot_->files(), report_.tablespaces, identifier));
    } else {
      STELE_TRY(directory_, DataDirectory::begin(report_.directory, snapshot_->files(), report_.tablespaces, identifier));
    }
    std::vector<bool> have;
    if (over) {
      SharedProgress progress("compare files", snapshot_->raw_bytes(), clock_, common_.json);
      STELE_TRY(have, snapshot_->find_existing(
                          context_->workers(),
                          [&](std::size_t file, std::uint64_t offset, MutableByteView out) -> Result<std::size_t> {
                            STELE_CHECK(stopped());
                            return directory_->read_existing(file, offset, out);
                          },
                          [&](std::uint64_t done) { progress(done); }));
    }
    std::atomic<std::uint64_t> written{0};
    {
      SharedProgress progress("restore files", snapshot_->raw_bytes(), clock_, common_.json);
      auto write = [&](std::size_t file, std::uint64_t offset, ByteView bytes) -> Status {
        STELE_CHECK(stopped());
        written += bytes.size();
        const Instant begin = clock_.steady_now();
        Status done = directory_->write_file(file, offset, bytes);
        write_nanos_ += (clock_.steady_now() - begin).count();
        return done;
      };
      auto tell = [&](std::uint64_t done) { progress(done); };
      STELE_CHECK(have.empty() ? snapshot_->read_files(context_->workers(), write, tell) : snapshot_->read_missing(have, context_->workers(), write, tell));
    }
    const Instant sync = clock_.steady_now();
    STELE_CHECK(directory_->finish_files(snapshot_->sealed().backup_label));
    report_.seconds_write = static_cast<double>(write_nanos_) / 1e9 / static_cast<double>(context_->workers()) +
                            std::chrono::duration<double>(clock_.steady_now() - sync).count();
    report_.files = snapshot_->files().size();
    report_.file_bytes = snapshot_->raw_bytes();
    if (options_.delta.on) report_.delta = DeltaReport{report_.file_bytes - written.load(), written.load(), directory_->removed()};
    report_.stored_bytes_read = snapshot_->fetcher().bytes_read();
    report_.seconds_files = seconds() - report_.seconds_plan;
    for (std::vector<Problem> more : {snapshot_->problems(), snapshot_->fetcher().take_problems()}) report_.problems.insert(report_.problems.end(), more.begin(), more.end());
    if (!directory_->extra_files().empty()) report_.extra_directory = extra_files_path(report_.directory);
    return {};
  }

  Status write_log() {
    report_.staging = staging_path(report_.directory);
    const double begin = seconds();
    std::vector<std::uint32_t> reserved;
    // A standby chooses its number when it is promoted.
    if (!options_.side_instance && !options_.standby) {
      STELE_TRY(reserved, context_->reserve_timeline(*catalog_, report_.plan));
    }
    SharedProgress progress("restore log", report_.plan.log_raw_bytes, clock_, common_.json);
    STELE_CHECK(stage_wal(*catalog_, *reader_, report_.plan, reserved, report_.staging, context_->workers(), [&](std::uint64_t done) { progress(done); }, options_.standby));
    report_.seconds_log = seconds() - begin;
    return stopped();
  }

  Status configure_server() {
    STELE_TRY(const std::string program, own_program());
    RecoverySettings settings;
    settings.target = to_postgres(report_.plan.recovery);
    settings.inclusive = report_.plan.recovery.inclusive;
    settings.timeline = options_.standby ? "latest" : std::to_string(report_.plan.timeline);
    settings.standby = options_.standby;
    if (options_.standby) settings.target = RecoveryTarget::none();
    settings.action = options_.action == "pause" ? TargetAction::kPause : options_.action == "shutdown" ? TargetAction::kShutdown : TargetAction::kPromote;
    STELE_TRY(settings.restore_command, make_restore_command({program, "wal-fetch", "--staging", report_.staging}));
    SourceFacts source;
    source.server_version = static_cast<int>(snapshot_->sealed().server_version);
    STELE_TRY(source.control, pg::parse_control_file(directory_->control_file()));
    if (source.control.system_identifier != snapshot_->sealed().system_identifier) {
      return Error{ErrorCode::kForged, "global/pg_control belongs to another cluster than the manifest says", ""};
    }
    constexpr std::string_view kSetting = "setting/";
    for (const format::NamedText& text : snapshot_->sealed().texts) {
      if (text.name.starts_with(kSetting)) source.settings.push_back({text.name.substr(kSetting.size()), text.text});
    }
    source.extra_files = directory_->extra_files();
    ConfigurationOptions configuration = options_.configuration;
    if (options_.port != 0) configuration.port = options_.port;
    STELE_TRY(report_.configuration, configure(context_->fs(), report_.directory, settings, source, configuration, installation_ ? &*installation_ : nullptr));
    for (const std::string& path : {report_.directory, report_.staging}) STELE_CHECK(give_tree_to(user_, path));
    for (const TablespaceTarget& t : report_.tablespaces) {
      if (!t.in_place) STELE_CHECK(give_tree_to(user_, t.directory));
    }
    std::optional<std::pair<uid_t, gid_t>> owner;
    if (user_.change) owner.emplace(user_.uid, user_.gid);
    return directory_->complete(owner);
  }

  const cli::Common& common_;
  const RunOptions& options_;
  SystemClock clock_;
  Instant begin_;
  std::atomic<std::int64_t> write_nanos_{0};
  ExistingDirectory existing_;
  std::unique_ptr<LogReader> reader_;
  std::unique_ptr<DataDirectory> directory_;
  std::optional<Installation> installation_;
  OsUser user_;
};

RestoreJob::RestoreJob(const cli::Common& common, const RunOptions& options) : RestoreJob(common, options, nullptr) {}
RestoreJob::RestoreJob(const cli::Common& common, const RunOptions& options, std::unique_ptr<Context> context)
    : impl_(std::make_unique<Impl>(common, options, std::move(context))) {}
RestoreJob::~RestoreJob() = default;
Status RestoreJob::decide() { return impl_->decide(); }
Status RestoreJob::write() { return impl_->write(); }
Status RestoreJob::start() { return impl_->start(); }
ServerOptions RestoreJob::server_options() const { return impl_->server_options(); }
Result<std::unique_ptr<ServerProcess>> RestoreJob::recover_to_end(const ServerOptions& server, WaitOptions wait) { return impl_->recover_to_end(server, std::move(wait)); }
const RunReport& RestoreJob::report() const { return impl_->report_; }
const format::ManifestSealed& RestoreJob::snapshot() const { return impl_->snapshot_->sealed(); }
const format::ManifestReference& RestoreJob::manifest() const { return impl_->snapshot_->manifest().reference; }
const StoreCatalog& RestoreJob::catalog() const { return *impl_->catalog_; }
Context& RestoreJob::context() { return *impl_->context_; }
ProcessRunner& RestoreJob::runner() { return impl_->runner_; }
std::unique_ptr<Context> RestoreJob::take_context() {
  std::unique_ptr<Context> context = std::move(impl_->context_);
  impl_.reset();
  return context;
}

Result<RunReport> run_restore(const cli::Common& common, const RunOptions& options) {
  RestoreJob job(common, options);
  STELE_CHECK(job.decide());
  if (!common.json) std::fputs(describe(job.report().plan).c_str(), stderr);
  STELE_CHECK(job.write());
  if (options.start) STELE_CHECK(job.start());
  return job.report();
}

}  // namespace stele::restore
