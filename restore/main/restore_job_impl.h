#pragma once

#include <atomic>

#include "restore/fetch/snapshot_reader.h"
#include "restore/main/restore_job.h"
#include "restore/postgres/installation.h"

namespace stele::restore {

/// What a RestoreJob is made of: deciding (restore_job.cc), writing (restore_job_write.cc), starting (restore_job_start.cc).
class RestoreJob::Impl {
 public:
  Impl(const cli::Common& common, const RunOptions& options, std::unique_ptr<Context> context)
      : context_(std::move(context)), common_(common), options_(options), begin_(clock_.steady_now()) {}

  Status decide();
  Status write();
  Status start();
  ServerOptions server_options() const;
  Result<std::unique_ptr<ServerProcess>> recover_to_end(const ServerOptions& server, WaitOptions wait);

  RunReport report_;
  std::unique_ptr<Context> context_;
  PosixProcessRunner runner_;
  std::unique_ptr<StoreCatalog> catalog_;
  std::unique_ptr<SnapshotReader> snapshot_;

 private:
  double seconds() { return std::chrono::duration<double>(clock_.steady_now() - begin_).count(); }
  /// kCancelled once the caller gave up.
  Status stopped() const;
  Status check_existing() const;
  /// Each file system gets what will be written to it; directories on one file system are counted together.
  Status check_space();
  Status write_files();
  Status write_log();
  Status configure_server();

  const cli::Common& common_;
  std::string program_;  ///< what PostgreSQL runs as its restore_command
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

/// The plan's end in PostgreSQL's words.
RecoveryTarget to_postgres(const recovery::RecoveryTarget& target);

}  // namespace stele::restore
