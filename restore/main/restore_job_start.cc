#include <fmt/format.h>

#include <filesystem>

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
  const bool promote = options_.action == "promote" && !options_.standby, shut_down = options_.action == "shutdown";
  // First privately: nobody writes before the check, and what it logs is where and how it can be read, whatever the source's settings are.
  STELE_TRY(const PrivatePlace socket, PrivatePlace::make("/tmp", "stele-run"));
  ServerOptions hidden = server;
  hidden.private_directory = socket.path();
  hidden.detached = false;
  WaitOptions wait;
  wait.cancelled = options_.cancelled;
  wait.until_hot_standby = options_.standby;
  STELE_TRY(auto asked, recover_to_end(hidden, wait));
  if (!shut_down) STELE_CHECK(asked->stop(StopMode::kFast, kStopPatience));
  if (promote) {
    STELE_CHECK(clear_recovery_target(context_->fs(), report_.directory));
    STELE_CHECK(give_file_to(user_, report_.directory + "/postgresql.auto.conf"));
  }
  if (shut_down) report_.end_not_checked = "the server shut down at its target (--target-action shutdown)";
  if (options_.standby) report_.end_not_checked = "it is a standby and goes on";
  // A server that was stopped while it was paused answers again when it is back where it was (minRecoveryPoint).
  wait.until_hot_standby = !promote;
  if (!shut_down) STELE_CHECK(recover(context_->fs(), runner_, server, wait));
  report_.started = true;
  // Recovery is over: PostgreSQL has its own log now.
  if (promote) {
    std::error_code ec;
    std::filesystem::remove_all(report_.staging, ec);
    if (!ec) report_.staging.clear();
  }
  report_.seconds_recovery = std::chrono::duration<double>(clock_.steady_now() - begin).count();
  report_.seconds_total = seconds();
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
  if (options_.standby || options_.action == "shutdown") return process;
  ExpectedEnd expected;
  expected.system_identifier = snapshot_->sealed().system_identifier;
  expected.recovered_timeline = report_.plan.timeline;
  expected.target = to_postgres(report_.plan.recovery);
  expected.paused = options_.action == "pause";
  // Nothing behind the plan's end was given to it.
  expected.replayed_at_most = report_.plan.end;
  const bool known = report_.plan.exact && report_.plan.recovery.inclusive;
  expected.replayed_at_least = known ? report_.plan.reaches.position : report_.plan.snapshot.stop;
  auto end = ask_where_it_ended(*process, std::chrono::steady_clock::now() + kQuestionPatience);
  const Status right = end.ok() ? check_end(*end, expected) : Status(end.error());
  if (right.ok()) {
    report_.end = std::move(*end);
    return process;
  }
  if (!process->stop(StopMode::kImmediate, kStopPatience).ok()) STELE_CHECK(process->kill_hard());
  // A directory that is not what was asked for must not be started by whoever comes next.
  if (end.ok() && !options_.side_instance) STELE_CHECK(mark_incomplete(report_.directory, expected.system_identifier));
  if (right.error().what.find("role") != std::string::npos) return right.error().with_hint("--role names a superuser of this database");
  return right.error();
}

}  // namespace stele::restore
