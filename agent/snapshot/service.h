#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agent/postgres/interrupt.h"
#include "agent/snapshot/context.h"
#include "agent/snapshot/progress.h"
#include "agent/snapshot/scheduler.h"
#include "core/config/agent_config.h"
#include "core/io/file_system.h"

namespace stele::agent {

/// How snapshots stand: a copy for status and metrics.
struct SnapshotStatus {
  bool running = false;
  SnapshotReason reason = SnapshotReason::kSchedule;  ///< of the running or the last one
  SnapshotPhase phase = SnapshotPhase::kIdle;
  std::uint64_t raw_bytes = 0, estimated_bytes = 0, new_bytes = 0, sent_bytes = 0;  ///< of the running one
  Timestamp begun;                                                                  ///< of the running one
  std::optional<Timestamp> next;            ///< when the next one begins; none: nothing is planned
  std::optional<SnapshotReport> last;       ///< since the agent started
  std::optional<Timestamp> last_success;    ///< of the current stream, also from before the agent started
  std::uint32_t failures = 0;               ///< since the last success
  std::optional<Error> last_error;          ///< of the last try, none when it succeeded
  std::uint64_t succeeded = 0, failed = 0;  ///< since the agent started
};

/// The one path by which snapshots are taken: a thread that follows the SnapshotScheduler. Public functions are
/// thread-safe.
class SnapshotService {
 public:
  struct Options {
    DatabaseName database;
    config::AgentConfig::Snapshot config;
    std::string state_directory;  ///< keeps snapshot.state: the last success
  };
  struct Callbacks {
    /// What a try needs; called on the service's thread when it begins. An error is a failed try (for example: no
    /// branch yet).
    std::function<Result<SnapshotContext>()> context;
    std::function<void(const SnapshotReport&)> on_success;  ///< may be empty; on the service's thread
    std::function<void(const Error&)> on_failure;           ///< may be empty
  };

  static Result<std::unique_ptr<SnapshotService>> create(Options options, Callbacks callbacks, io::FileSystem& fs,
                                                         Clock& clock, RandomSource& random);
  /// Stops and joins.
  ~SnapshotService();

  void start();
  /// The log is on this stream now. Without a snapshot of it one begins at once; a running one of another stream is
  /// given up.
  void set_stream(const StreamId& stream);
  /// Asks for one and gives a ticket for outcome(): the one that begins after this call, or that is to begin, answers
  /// it.
  std::uint64_t request(SnapshotReason reason, bool full);
  /// The end of the try that answers the ticket; none while it is not there. A failed try is tried again all the same.
  std::optional<Result<SnapshotReport>> outcome(std::uint64_t ticket) const;
  SnapshotStatus status() const;
  /// Gives up the running one and ends the thread.
  void stop();

 private:
  SnapshotService(Options options, Callbacks callbacks, io::FileSystem& fs, Clock& clock, RandomSource& random);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stele::agent
