#include <fmt/format.h>

#include <filesystem>
#include <thread>

#include "restore/main/output.h"
#include "restore/main/private_place.h"
#include "restore/main/restore_job_impl.h"

namespace stele::restore {
namespace {

constexpr auto kQuestionPatience = std::chrono::seconds(60);
constexpr auto kStopPatience = std::chrono::minutes(10);

}  // namespace

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

Status RestoreJob::Impl::start() {
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

Status RestoreJob::Impl::start_standby(const ServerOptions& server) {
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

ServerOptions RestoreJob::Impl::server_options() const {
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

Result<std::unique_ptr<ServerProcess>> RestoreJob::Impl::recover_to_end(const ServerOptions& server, WaitOptions wait) {
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

}  // namespace stele::restore
