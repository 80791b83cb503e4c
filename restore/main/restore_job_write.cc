#include <fmt/format.h>

#include "restore/main/output.h"
#include "restore/main/restore_job_impl.h"
#include "restore/wal/wal_stager.h"

namespace stele::restore {

Status RestoreJob::Impl::write() {
  STELE_CHECK(write_files());
  STELE_CHECK(write_log());
  STELE_CHECK(configure_server());
  report_.seconds_total = seconds();
  return {};
}

Status RestoreJob::Impl::write_files() {
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

Status RestoreJob::Impl::write_log() {
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

Status RestoreJob::Impl::configure_server() {
  RecoverySettings settings;
  settings.target = to_postgres(report_.plan.recovery);
  settings.inclusive = report_.plan.recovery.inclusive;
  settings.timeline = options_.standby ? "latest" : std::to_string(report_.plan.timeline);
  settings.standby = options_.standby;
  if (options_.standby) settings.target = RecoveryTarget::none();
  settings.action = options_.action == "pause" ? TargetAction::kPause : options_.action == "shutdown" ? TargetAction::kShutdown : TargetAction::kPromote;
  STELE_TRY(settings.restore_command, make_restore_command({program_, "wal-fetch", "--staging", report_.staging}));
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

}  // namespace stele::restore
