#pragma once

#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/config/cron.h"

namespace stele::agent {

/// Why a snapshot is taken. Whatever the reason, it is taken in the same way (TRAPS: one path).
enum class SnapshotReason { kSchedule, kCommand, kNewBranch, kReceiverLost };
std::string_view to_string(SnapshotReason reason);

/// When the next snapshot begins: by cron with this database's fixed delay, at once by command, for a new branch or for a receiver that lost what it had, and
/// again with growing pauses after a failure. A scheduled moment that passed while the agent was down is made up for.
/// Pure.
class SnapshotScheduler {
 public:
  struct Options {
    std::optional<config::CronSchedule> schedule;
    config::TimeZone zone;
    Duration jitter{};  ///< this database's own delay (config::schedule_jitter), added to each scheduled moment
    Duration first_retry = std::chrono::seconds(30);
    Duration longest_retry = std::chrono::minutes(30);
  };
  struct Due {
    SnapshotReason reason = SnapshotReason::kSchedule;
    bool full = false;
    std::uint32_t attempt = 1;  ///< counts the tries since the last success
  };

  /// `last_success`: of the stream that is current now; none where there is none.
  SnapshotScheduler(Options options, Timestamp now, std::optional<Timestamp> last_success);

  /// Wanted at once, whatever the schedule says. Cuts the pause after a failure short, which was another branch's or had another cause;
  /// only a lost receiver does not where the failed one was for a lost receiver already.
  void request(SnapshotReason reason, bool full, Timestamp now);
  /// Says what time it is, often. Where the clock went back, what was planned by the later time is planned anew: else nothing would begin
  /// until that time comes again.
  void clock_is(Timestamp now);
  /// What is to begin now, if anything. While one runs: nothing.
  std::optional<Due> due(Timestamp now) const;
  /// When to ask again: the moment of the next beginning; none while one runs or when nothing is planned.
  std::optional<Timestamp> next() const;

  void begun(Timestamp now);
  void succeeded(Timestamp now);
  /// What needs a person waits the longest pause; everything else the growing one. A request that came while it ran stays, and cuts the
  /// pause as above.
  void failed(const Error& error, Timestamp now);

  bool running() const { return running_; }
  std::uint32_t failures() const { return failures_; }
  std::optional<Timestamp> last_success() const { return last_success_; }

 private:
  Timestamp scheduled_after(Timestamp t) const;
  bool cuts_pause(SnapshotReason reason) const;

  Options options_;
  std::optional<Timestamp> last_success_;
  Timestamp latest_;                    ///< the time as last told
  std::optional<Timestamp> scheduled_;  ///< the next moment of the schedule
  std::optional<Due> wanted_;           ///< asked for, not begun
  std::optional<Due> current_;          ///< begun, or failed and to be tried again
  std::optional<Timestamp> retry_at_;
  std::uint32_t failures_ = 0;
  bool running_ = false;
};

}  // namespace stele::agent
