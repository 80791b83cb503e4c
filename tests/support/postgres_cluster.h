#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "tests/support/process.h"

namespace stele::test {

struct PostgresOptions {
  bool data_checksums = true;
  int wal_segment_mb = 16;                ///< initdb --wal-segsize
  bool fsync = true;                      ///< false only where a test says that durability is not its subject
  std::vector<std::string> initdb_args;   ///< more arguments for initdb
  std::string config;                     ///< lines appended to postgresql.conf
};

/// A temporary PostgreSQL server for one test: own directory, unix socket only (so no port can clash), trust authentication,
/// superuser "postgres". Runs as user postgres when the test is root. The server dies with the test program, also when that is
/// killed, and the destructor stops it and removes the directory. Use from the test's main thread.
class PostgresCluster {
 public:
  enum class Stop { kSmart, kFast, kImmediate };

  /// Makes the directory and a new cluster in it (cluster_template.h); the server is not started.
  static Result<std::unique_ptr<PostgresCluster>> create(PostgresOptions options = {});
  /// Makes only the surrounding directory: `data_directory()` does not exist yet and is filled by the caller
  /// (pg_basebackup, a restore) as user postgres before start(). `options.config` is not written.
  static Result<std::unique_ptr<PostgresCluster>> create_empty();
  ~PostgresCluster();
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;

  /// Starts the server and waits until it answers (or, as a standby without hot_standby, until it replays).
  /// kDatabase with the end of the server's log when it stops by itself; kTimeout after `seconds`.
  Status start(int seconds = 300);
  /// Starts without waiting.
  Status launch();
  Status wait_ready(int seconds = 300);
  /// Asks the server to stop and waits; kTimeout after `seconds`, the server then still runs. Not running: success.
  Status stop(Stop mode = Stop::kFast, int seconds = 60);
  /// SIGKILL to the postmaster and to every process it started, as when the host dies (the page cache survives).
  Status kill_hard();
  Status restart() {
    STELE_CHECK(stop());
    return start();
  }
  /// Whether the postmaster lives.
  bool running();
  pid_t postmaster_pid() const { return pid_; }

  /// Runs statements with psql -X -A -t -v ON_ERROR_STOP=1 and gives what it printed without the last line end.
  Result<std::string> psql(std::string_view sql, std::string_view database = "postgres");
  /// Appends lines to postgresql.conf; takes effect on restart or reload.
  Status append_config(std::string_view text);
  Status reload();

  /// A program of this PostgreSQL version, e.g. program("pg_waldump").
  static std::string program(std::string_view name);
  /// Runs such a program as user postgres with PGHOST, PGPORT and PGUSER set; see run_checked.
  Result<std::string> run(std::vector<std::string> argv);

  /// libpq connection string, e.g. "host=/tmp/stele-pg-x port=5432 user=postgres dbname=postgres".
  std::string conninfo(std::string_view database = "postgres") const;
  const std::string& root_directory() const { return root_; }   ///< owned by user postgres; removed by the destructor
  std::string data_directory() const { return root_ + "/data"; }
  std::string socket_directory() const { return root_; }
  int port() const { return 5432; }                             ///< names the socket file; nothing listens on TCP
  std::string log_file() const { return root_ + "/server.log"; }
  std::string log_tail() const;                                 ///< the last 4,000 bytes of the server's log

 private:
  explicit PostgresCluster(std::string root) : root_(std::move(root)) {}
  ProcessOptions client_options() const;
  std::string root_;
  pid_t pid_ = -1;
};

}  // namespace stele::test
