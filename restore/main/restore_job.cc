#include "restore/main/restore_job.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "core/config/log.h"
#include "core/config/values.h"
#include "restore/fetch/decoding_log_index.h"
#include "restore/fetch/snapshot_reader.h"
#include "restore/main/output.h"
#include "restore/main/planning.h"
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

}  // namespace

class RestoreJob::Impl {
 public:
  Impl(const cli::Common& common, const RunOptions& options) : common_(common), options_(options), begin_(clock_.steady_now()) {}

  Status decide() {
    STELE_TRY(recovery::Target target, to_target(options_.target));
    TablespaceOptions places = options_.places;
    for (const std::string& text : options_.tablespaces) {
      STELE_TRY(auto pair, parse_tablespace_option(text));
      if (!places.mapped.insert(pair).second) return Error{ErrorCode::kUsage, fmt::format("--tablespace {}: given twice", pair.first), ""};
    }
    STELE_TRY(report_.directory, check_target(options_.into));
    STELE_TRY(context_, Context::open(common_, options_.store));
    STELE_TRY(const DatabaseName database, context_->database());
    STELE_CHECK(context_->load_keys(true));
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
    STELE_TRY(auto process, recover_to_end(server_options(), {}));
    report_.started = true;
    // Recovery is over: PostgreSQL has its own log now.
    if (options_.action == "promote") {
      std::error_code ec;
      std::filesystem::remove_all(report_.staging, ec);
      if (!ec) report_.staging.clear();
    }
    report_.seconds_recovery = seconds() - report_.seconds_total;
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
    if (wait.cancelled == nullptr) wait.cancelled = options_.cancelled;
    STELE_TRY(auto process, recover(context_->fs(), runner_, server, wait));
    STELE_TRY(report_.recovery, process->log());
    return process;
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

  /// Each file system gets what will be written to it; directories on one file system are counted together.
  Status check_space() {
    std::map<std::string, std::uint64_t> bytes;
    const std::uint64_t log = report_.plan.segments.size() * report_.plan.segment_size;
    bytes[report_.directory] = log;
    for (const format::FileEntry& e : snapshot_->files()) {
      std::string place = report_.directory;
      for (const TablespaceTarget& t : report_.tablespaces) {
        if (t.oid == e.tablespace && !t.in_place) place = t.directory;
      }
      bytes[place] += e.size;
    }
    bytes[report_.directory] += options_.extra_bytes;
    for (const auto& [place, need] : bytes) report_.bytes_needed += need;
    if (options_.max_bytes != 0 && report_.bytes_needed > options_.max_bytes) {
      return Error{ErrorCode::kDiskFull,
                   fmt::format("the restore may take {}, it needs {} ({} bytes)", config::format_bytes(options_.max_bytes), config::format_bytes(report_.bytes_needed), report_.bytes_needed),
                   "raise the limit; nothing was written"};
    }
    for (const auto& [place, need] : bytes) STELE_CHECK(check_free_space(place, need));
    return {};
  }

  Status write_files() {
    STELE_TRY(directory_, DataDirectory::begin(report_.directory, snapshot_->files(), report_.tablespaces));
    {
      SharedProgress progress("restore files", snapshot_->raw_bytes(), clock_);
      STELE_CHECK(snapshot_->read_files(
          context_->workers(),
          [&](std::size_t file, std::uint64_t offset, ByteView bytes) -> Status {
            STELE_CHECK(stopped());
            const Instant begin = clock_.steady_now();
            Status written = directory_->write_file(file, offset, bytes);
            write_nanos_ += (clock_.steady_now() - begin).count();
            return written;
          },
          [&](std::uint64_t done) { progress(done); }));
    }
    const Instant sync = clock_.steady_now();
    STELE_CHECK(directory_->finish_files(snapshot_->sealed().backup_label));
    report_.seconds_write = static_cast<double>(write_nanos_) / 1e9 / static_cast<double>(context_->workers()) +
                            std::chrono::duration<double>(clock_.steady_now() - sync).count();
    report_.files = snapshot_->files().size();
    report_.file_bytes = snapshot_->raw_bytes();
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
    if (!options_.side_instance) {
      STELE_TRY(reserved, context_->reserve_timeline(*catalog_, report_.plan));
    }
    SharedProgress progress("restore log", report_.plan.log_raw_bytes, clock_);
    STELE_CHECK(stage_wal(*catalog_, *reader_, report_.plan, reserved, report_.staging, context_->workers(), [&](std::uint64_t done) { progress(done); }));
    report_.seconds_log = seconds() - begin;
    return stopped();
  }

  Status configure_server() {
    STELE_TRY(const std::string program, own_program());
    RecoverySettings settings;
    settings.target = to_postgres(report_.plan.recovery);
    settings.inclusive = report_.plan.recovery.inclusive;
    settings.timeline = std::to_string(report_.plan.timeline);
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
  std::unique_ptr<LogReader> reader_;
  std::unique_ptr<DataDirectory> directory_;
  std::optional<Installation> installation_;
  OsUser user_;
};

RestoreJob::RestoreJob(const cli::Common& common, const RunOptions& options) : impl_(std::make_unique<Impl>(common, options)) {}
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

Result<RunReport> run_restore(const cli::Common& common, const RunOptions& options) {
  RestoreJob job(common, options);
  STELE_CHECK(job.decide());
  if (!common.json) std::fputs(describe(job.report().plan).c_str(), stderr);
  STELE_CHECK(job.write());
  if (options.start) STELE_CHECK(job.start());
  return job.report();
}

}  // namespace stele::restore
