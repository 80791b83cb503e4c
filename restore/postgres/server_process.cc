#include "restore/postgres/server_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/io/durable_file.h"
#include "core/pg/control_file.h"
#include "restore/postgres/recovery_setup.h"

namespace stele::restore {
namespace {

constexpr auto kPollEvery = std::chrono::milliseconds(50);
constexpr auto kTellEvery = std::chrono::milliseconds(500);
constexpr std::uint64_t kMaxLogRead = 4 << 20;
constexpr int kMaxRaises = 10;

/// A directory that only the server's user (and root) can enter, with rules that let exactly those in.
Status prepare_private_directory(io::FileSystem& fs, const ServerOptions& options) {
  const std::string& directory = options.private_directory;
  // sockaddr_un holds 107 bytes; "/.s.PGSQL.65535.lock" takes 20.
  if (!directory.starts_with('/') || directory.size() > 86) {
    return Error{
        ErrorCode::kConfig,
        fmt::format("use {} for the server's socket: it must be absolute and have at most 86 bytes", directory),
        "choose a shorter work directory"};
  }
  auto made = fs.make_directory(directory);
  if (!made.ok() && made.error().code != ErrorCode::kExists) return made;
  struct stat info {};
  if (lstat(directory.c_str(), &info) != 0) return system_error("look at", directory, errno);
  uid_t server = options.user.change ? options.user.uid : geteuid();
  if (!S_ISDIR(info.st_mode) || (info.st_mode & 077) != 0 || (info.st_uid != geteuid() && info.st_uid != server)) {
    return Error{ErrorCode::kUnauthorised,
                 fmt::format("use {} for the server's socket: others may enter it", directory),
                 "remove it, it is made again"};
  }
  STELE_CHECK(io::write_file_durably(fs, directory + "/pg_hba.conf", as_bytes("local all all trust\n"),
                                     io::WriteMode::kReplace));
  STELE_CHECK(io::write_file_durably(fs, directory + "/pg_ident.conf", {}, io::WriteMode::kReplace));
  return give_tree_to(options.user, directory);
}

std::vector<std::string> command_line(const ServerOptions& options) {
  std::vector<std::string> argv = {options.installation.program("postgres"), "-D", options.data_directory};
  auto set = [&](std::string_view name, std::string_view value) {
    argv.push_back("-c");
    argv.push_back(fmt::format("{}={}", name, value));
  };
  if (!options.private_directory.empty()) {
    set("listen_addresses", "");
    set("unix_socket_directories", join_list({options.private_directory}));
    set("unix_socket_permissions", "0700");
    set("unix_socket_group", "");
    set("port", std::to_string(options.port));
    set("hba_file", options.private_directory + "/pg_hba.conf");
    set("ident_file", options.private_directory + "/pg_ident.conf");
    set("ssl", "off");
    // So that recovery_log.h can read what it says.
    set("logging_collector", "off");
    set("log_destination", "stderr");
    set("lc_messages", "C");
    set("log_line_prefix", "%m [%p] ");
    set("log_timezone", "UTC");
    set("log_error_verbosity", "default");
    set("log_min_messages", "info");
  }
  for (const auto& s : options.settings) set(s.name, s.value);
  return argv;
}

}  // namespace

Result<std::unique_ptr<ServerProcess>> ServerProcess::start(io::FileSystem& fs, ProcessRunner& runner,
                                                            ServerOptions options) {
  if (!options.private_directory.empty()) STELE_CHECK(prepare_private_directory(fs, options));
  std::unique_ptr<ServerProcess> server(new ServerProcess(fs, std::move(options)));
  auto info = fs.info(server->options_.log_file);
  if (info.ok()) server->log_begin_ = info->size;
  ProcessSpec spec;
  spec.argv = command_line(server->options_);
  spec.user = server->options_.user;
  spec.output_file = server->options_.log_file;
  spec.detached = server->options_.detached;
  spec.isolated = server->options_.isolated;
  auto child = runner.start(spec);
  if (!child.ok()) return std::move(child).error().in("start PostgreSQL");
  server->child_ = std::move(child).value();
  return server;
}

ServerProcess::~ServerProcess() {
  session_.reset();
  if (child_ == nullptr || options_.detached) return;
  if (stop(StopMode::kImmediate, std::chrono::seconds(10)).ok()) return;
  if (!kill_hard().ok()) return;
  Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    auto state = child_->poll();
    if (!state.ok() || state->has_value() || std::chrono::steady_clock::now() > end) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

pid_t ServerProcess::pid() const {
  return child_->pid();
}
SqlAddress ServerProcess::address() const {
  return {options_.private_directory, options_.port, options_.role};
}

Result<std::unique_ptr<SqlSession>> ServerProcess::connect(std::string_view database, Instant deadline,
                                                           const std::atomic<bool>* cancelled) {
  if (options_.private_directory.empty())
    return Error{ErrorCode::kInternal, "connect to the restored server: it was not started privately", ""};
  return SqlSession::connect(address(), database, deadline, cancelled);
}

Result<std::unique_ptr<SqlSession>> ServerProcess::connect_anywhere(Instant deadline,
                                                                    const std::atomic<bool>* cancelled) {
  auto session = connect("postgres", deadline, cancelled);
  // Whoever dropped it, or closed it for connections, has template1, from which databases are made.
  if (session.ok() || session.error().what.find("database \"postgres\"") == std::string::npos) return session;
  return connect("template1", deadline, cancelled);
}

/// Line 8 of postmaster.pid (miscadmin.h, LOCK_FILE_LINE_PM_STATUS), when the file is of this process: "starting",
/// "stopping", "ready" (also for a hot standby), "standby" (recovers without answering).
std::string ServerProcess::postmaster_status() {
  auto bytes = io::read_file(fs_, options_.data_directory + "/postmaster.pid", 64 * 1024);
  if (!bytes.ok()) return "";
  std::string_view text = as_text(*bytes);
  for (int line = 1; !text.empty(); ++line) {
    auto end = text.find('\n');
    std::string_view content = text.substr(0, end);
    if (line == 1 && content != std::to_string(pid())) return "";
    if (line == 8) {
      while (content.ends_with(' ')) content.remove_suffix(1);
      return std::string(content);
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return "";
}

/// How far replay is. Not being able to ask is no failure: what decides comes from pg_control and the log.
void ServerProcess::ask(ServerState& state) {
  Instant deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  if (session_ == nullptr) {
    auto session = connect_anywhere(deadline);
    if (!session.ok()) return;
    session_ = std::move(session).value();
  }
  auto rows = session_->query("SELECT pg_last_wal_replay_lsn()", deadline);
  if (!rows.ok()) {
    session_.reset();
    return;
  }
  if (rows->rows.size() != 1 || rows->rows[0].size() != 1 || !rows->rows[0][0]) return;
  auto position = parse_position(*rows->rows[0][0]);
  if (position.ok()) state.replayed = *position;
}

Result<ServerState> ServerProcess::state() {
  ServerState state;
  STELE_TRY(state.end, child_->poll());
  state.running = !state.end.has_value();
  if (!state.running) return state;
  if (postmaster_status() != "ready") return state;
  auto bytes = io::read_file(fs_, options_.data_directory + "/global/pg_control", 64 * 1024);
  if (!bytes.ok()) return state;
  // Read while the server may write it: a wrong checksum says nothing, the next look will do.
  auto control = pg::parse_control_file(*bytes);
  if (!control.ok()) return state;
  state.accepting = control->state == pg::DatabaseState::kInProduction;
  state.hot_standby = !state.accepting;
  if (!options_.private_directory.empty()) ask(state);
  if (state.hot_standby) {
    STELE_TRY(RecoveryLog log, this->log());
    state.paused = log.paused_at_target;
  }
  return state;
}

Result<RecoveryLog> ServerProcess::log() {
  auto file = fs_.open(options_.log_file, io::OpenMode::kRead);
  if (!file.ok()) return std::move(file).error();
  STELE_TRY(std::uint64_t size, (*file)->size());
  std::uint64_t begin = std::max(log_begin_, size > kMaxLogRead ? size - kMaxLogRead : 0);
  if (begin >= size) return RecoveryLog();
  Bytes bytes(size - begin);
  STELE_TRY(std::size_t n, (*file)->read_at(begin, bytes));
  bytes.resize(n);
  return read_recovery_log(as_text(bytes), pid());
}

Result<ServerState> ServerProcess::wait_recovered(const WaitOptions& options) {
  Instant told = {}, looked = {};
  for (;;) {
    STELE_TRY(ServerState now, state());
    Instant moment = std::chrono::steady_clock::now();
    if (options.on_progress && moment - told >= kTellEvery) {
      options.on_progress(now);
      told = moment;
    }
    if (now.accepting || now.paused || (options.until_hot_standby && now.hot_standby)) return now;
    if (!now.running || moment - looked >= kTellEvery) {
      looked = moment;
      STELE_TRY(RecoveryLog said, log());
      bool shut_down_at_target = !now.running && said.target_reached && said.problem == StartProblem::kNone;
      if (shut_down_at_target) return now;
      if (!now.running || said.paused_for_setting) {
        if (said.reason.empty() && now.end) said.reason = fmt::format("PostgreSQL ended with {}", now.end->to_string());
        return start_error(said, options_.data_directory, options_.log_file);
      }
    }
    if (options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed))
      return Error{ErrorCode::kCancelled, fmt::format("recover {}: stopped", options_.data_directory), ""};
    if (options.deadline && moment >= *options.deadline) {
      return Error{ErrorCode::kTimeout, fmt::format("recover {}: not finished in time", options_.data_directory),
                   fmt::format("it still runs; see {}", options_.log_file)};
    }
    std::this_thread::sleep_for(kPollEvery);
  }
}

Status ServerProcess::stop(StopMode mode, Duration timeout) {
  session_.reset();
  STELE_CHECK(child_->send_signal(mode == StopMode::kSmart ? SIGTERM : mode == StopMode::kFast ? SIGINT : SIGQUIT));
  Instant end = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    STELE_TRY(auto finished, child_->poll());
    if (finished) return {};
    if (std::chrono::steady_clock::now() >= end)
      return Error{ErrorCode::kTimeout, fmt::format("stop PostgreSQL on {}: it still runs", options_.data_directory),
                   ""};
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Status ServerProcess::kill_hard() {
  return child_->send_signal(SIGKILL);
}

Result<std::unique_ptr<ServerProcess>> recover(io::FileSystem& fs, ProcessRunner& runner, const ServerOptions& options,
                                               const WaitOptions& wait) {
  for (int raises = 0;; ++raises) {
    STELE_TRY(auto server, ServerProcess::start(fs, runner, options));
    if (wait.on_start) wait.on_start(server->pid());
    auto done = server->wait_recovered(wait);
    if (done.ok()) return server;
    auto log = server->log();
    // A server that survives this program is not left behind half recovered.
    auto stopped = server->stop(StopMode::kImmediate, std::chrono::seconds(30));
    if (!stopped.ok()) STELE_CHECK(server->kill_hard());
    if (!log.ok() || !log->needed_setting || raises == kMaxRaises) return std::move(done).error();
    STELE_CHECK(raise_setting(fs, options.data_directory, *log->needed_setting));
    STELE_CHECK(give_file_to(options.user, options.data_directory + "/postgresql.auto.conf"));
  }
}

}  // namespace stele::restore
