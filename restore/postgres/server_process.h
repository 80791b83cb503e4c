#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/io/file_system.h"
#include "restore/postgres/installation.h"
#include "restore/postgres/recovery_log.h"
#include "restore/postgres/sql_session.h"

namespace stele::restore {

struct ServerOptions {
  Installation installation;
  OsUser user;                 ///< from choose_user
  std::string data_directory;  ///< absolute
  std::string log_file;        ///< appended to; beside the data directory, e.g. DIR.log
  /// A private start: sockets only, in this directory (absolute, at most 86 bytes; created with mode 0700), trust for
  /// whoever may open them (the user and root), no TCP, none of the source's pg_hba.conf. Empty: as the configuration
  /// files say; progress then has no positions and `connect` is not possible.
  std::string private_directory;
  std::string role = "postgres";  ///< superuser role for `connect`
  int port = 5432;                ///< private start: names the socket file
  bool detached = false;          ///< the server survives this program
  bool isolated = false;          ///< in a network namespace of its own (ProcessSpec::isolated)
  std::vector<Setting> settings;  ///< on the command line: win over every file
};

/// How far a server is.
struct ServerState {
  bool running = true;
  bool accepting = false;            ///< for reading and writing: recovery is finished
  bool hot_standby = false;          ///< answers, replays
  bool paused = false;               ///< at the target (recovery_target_action = pause)
  std::optional<Position> replayed;  ///< pg_last_wal_replay_lsn; private start only
  std::optional<ProcessEnd> end;     ///< when it does not run
};

struct WaitOptions {
  std::optional<Instant> deadline;  ///< nothing: as long as it takes
  const std::atomic<bool>* cancelled = nullptr;
  std::function<void(const ServerState&)> on_progress;  ///< about twice a second
  std::function<void(pid_t)> on_start;  ///< of `recover`: a server process was started
  bool until_hot_standby = false;       ///< it answers while it recovers: enough
};

enum class StopMode { kSmart, kFast, kImmediate };

/// A PostgreSQL server on a restored data directory, a child of this program. Blocking, one thread at a time; the
/// server that is not detached dies with the thread that started it. Destroying the object stops it (immediate) unless
/// detached.
class ServerProcess {
 public:
  /// Starts it and does not wait. kIo when the program cannot be run.
  static Result<std::unique_ptr<ServerProcess>> start(io::FileSystem& fs, ProcessRunner& runner, ServerOptions options);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  Result<ServerState> state();
  /// Waits until recovery has ended (the server takes writes), is paused at its target, or as `options` say. kDatabase (or a better code)
  /// with PostgreSQL's reason and a hint when the server ended by itself or cannot go on; `log()` has the details.
  /// kTimeout and kCancelled leave it running.
  Result<ServerState> wait_recovered(const WaitOptions& options);
  /// What its log says since this start.
  Result<RecoveryLog> log();

  /// kTimeout: it still runs. Success when it does not run.
  Status stop(StopMode mode, Duration timeout);
  /// SIGKILL to the postmaster; its children end by themselves. For a server that does not stop.
  Status kill_hard();
  pid_t pid() const;

  /// Private start only.
  Result<std::unique_ptr<SqlSession>> connect(std::string_view database, Instant deadline,
                                              const std::atomic<bool>* cancelled = nullptr);
  /// To a database that every cluster has: postgres, else template1.
  Result<std::unique_ptr<SqlSession>> connect_anywhere(Instant deadline, const std::atomic<bool>* cancelled = nullptr);
  SqlAddress address() const;

 private:
  ServerProcess(io::FileSystem& fs, ServerOptions options) : fs_(fs), options_(std::move(options)) {}
  std::string postmaster_status();
  void ask(ServerState& state);
  io::FileSystem& fs_;
  ServerOptions options_;
  std::unique_ptr<ChildProcess> child_;
  std::uint64_t log_begin_ = 0;  ///< where this start's lines begin in the log file
  std::unique_ptr<SqlSession> session_;
};

/// start + wait_recovered, and when recovery asks for a higher max_connections (or the like) than pg_control knew:
/// stop, raise, again. At most ten times together. After an error no server is left running.
Result<std::unique_ptr<ServerProcess>> recover(io::FileSystem& fs, ProcessRunner& runner, const ServerOptions& options,
                                               const WaitOptions& wait);

}  // namespace stele::restore
