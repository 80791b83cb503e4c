#pragma once

#include <memory>
#include <mutex>
#include <set>

#include "agent/postgres/interrupt.h"
#include "agent/snapshot/context.h"
#include "agent/snapshot/pipeline.h"
#include "agent/snapshot/progress.h"
#include "agent/snapshot/sender.h"
#include "core/config/agent_config.h"
#include "core/io/file_system.h"

namespace stele::agent {

/// One try of one snapshot, from BASE_BACKUP to the committed manifest. Used once; run() blocks, cancel() comes from
/// another thread.
class SnapshotTask {
 public:
  struct Options {
    config::AgentConfig::Snapshot config;
    bool full = false;
    std::set<ChunkName> distrusted;  ///< chunks that a receiver had said it holds, and lacked at the commit
    SnapshotSender::Timing timing;
    Duration connect_patience = std::chrono::seconds(30);  ///< for a receiver that cannot be reached at the beginning
    Duration commit_patience = std::chrono::minutes(15);   ///< for the log to reach the stop position
    Duration read_patience = std::chrono::minutes(10);     ///< for the next byte of the server
  };
  SnapshotTask(Options options, SnapshotContext context, io::FileSystem& fs, Clock& clock, RandomSource& random,
               SnapshotProgress& progress, std::shared_ptr<Interrupt> interrupt);
  ~SnapshotTask();

  /// kTemporary and its like: try again. kFork: the server is not the one of the context's stream.
  Result<SnapshotReport> run();
  /// Makes run() end soon with this error.
  void cancel(const Error& why);
  /// After a failed run: the chunks that a receiver lacked at the commit, to be distrusted at the next try.
  const std::set<ChunkName>& lacked() const { return lacked_; }
  bool lacked_too_many() const { return lacked_too_many_; }

 private:
  struct Reading;
  Result<SnapshotReport> run_uncancelled();
  Status connect_receivers(SnapshotReport& report);
  Status read_server(Reading& reading, SnapshotReport& report);
  void start_pipeline(Reading& reading);
  Status read_archives(Reading& reading);
  Status add_extra_files(Reading& reading, SnapshotReport& report);
  Status judge_suspects(Reading& reading, const SnapshotPipeline::Outcome& outcome, SnapshotReport& report);
  Result<format::SignedRecord> make_record(const Reading& reading, const SnapshotPipeline::Outcome& outcome,
                                           SnapshotReport& report);
  Status commit(const format::SignedRecord& manifest, const std::vector<SnapshotTarget*>& complete,
                SnapshotReport& report);
  Status commit_at(SnapshotSender& sender, const format::SignedRecord& manifest, Instant deadline);
  std::optional<Error> cancelled() const;

  const Options options_;
  const SnapshotContext context_;
  io::FileSystem& fs_;
  Clock& clock_;
  RandomSource& random_;
  SnapshotProgress& progress_;
  const std::shared_ptr<Interrupt> interrupt_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Error> cancelled_;
  std::vector<std::unique_ptr<SnapshotSender>> senders_;
  std::vector<SnapshotSender*> connected_;
  Digest previous_;
  std::unique_ptr<SnapshotPipeline> pipeline_;
  std::set<ChunkName> lacked_;
  bool lacked_too_many_ = false;
};

}  // namespace stele::agent
