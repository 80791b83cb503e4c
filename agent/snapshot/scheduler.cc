#include "agent/snapshot/scheduler.h"

#include <algorithm>

namespace stele::agent {
namespace {

constexpr Duration kSetBack = std::chrono::minutes(10);

/// A retry does not help until somebody acts.
bool needs_a_person(ErrorCode code) {
  switch (code) {
    case ErrorCode::kSuperseded:
    case ErrorCode::kUnauthorised:
    case ErrorCode::kForged:
    case ErrorCode::kUnsupported:
    case ErrorCode::kConfig:
    case ErrorCode::kDiskFull:
    case ErrorCode::kLimit:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string_view to_string(SnapshotReason reason) {
  switch (reason) {
    case SnapshotReason::kSchedule:
      return "schedule";
    case SnapshotReason::kCommand:
      return "command";
    case SnapshotReason::kNewBranch:
      return "new_branch";
    case SnapshotReason::kReceiverLost:
      return "receiver_lost";
  }
  return "unknown";
}

SnapshotScheduler::SnapshotScheduler(Options options, Timestamp now, std::optional<Timestamp> last_success)
    : options_(std::move(options)), last_success_(last_success), latest_(now) {
  if (!options_.schedule) return;
  // A last success in the future is a clock that was set back: count from now.
  scheduled_ = scheduled_after(last_success ? std::min(*last_success, now) : now);
}

void SnapshotScheduler::clock_is(Timestamp now) {
  const Duration back = latest_ - now;
  latest_ = now;
  if (back <= Duration(0)) return;
  if (last_success_ && *last_success_ > now) last_success_ = now;
  if (retry_at_) retry_at_ = *retry_at_ + -back;  // the pause stays as long as it was
  // A clock that is only corrected does not make a moment come twice.
  if (scheduled_ && back >= kSetBack) scheduled_ = std::min(*scheduled_, scheduled_after(now));
}

Timestamp SnapshotScheduler::scheduled_after(Timestamp t) const {
  // The delay shifts every moment alike, so that a snapshot that ended within the delay does not hide the moment it was
  // made for.
  return options_.schedule->next({t.micros - options_.jitter.count()}, options_.zone) + options_.jitter;
}

void SnapshotScheduler::request(SnapshotReason reason, bool full, Timestamp now) {
  if (!wanted_) {
    wanted_ = Due{reason, full, 1};
  } else {
    wanted_->full |= full;
    if (reason == SnapshotReason::kCommand) wanted_->reason = reason;
  }
  if (!running_ && retry_at_ && cuts_pause(reason)) retry_at_ = now;
}

/// A receiver that lacks something says so at every connection: what fails for its sake is not tried more often for it.
bool SnapshotScheduler::cuts_pause(SnapshotReason reason) const {
  return reason != SnapshotReason::kReceiverLost || !current_ || current_->reason != SnapshotReason::kReceiverLost;
}

std::optional<SnapshotScheduler::Due> SnapshotScheduler::due(Timestamp now) const {
  if (running_) return std::nullopt;
  if (retry_at_) {
    if (now < *retry_at_) return std::nullopt;
    Due again = *current_;
    again.attempt = failures_ + 1;
    if (wanted_) {
      again.full |= wanted_->full;
      again.reason = wanted_->reason;
    }
    return again;
  }
  if (wanted_) return wanted_;
  if (scheduled_ && now >= *scheduled_) return Due{SnapshotReason::kSchedule, false, 1};
  return std::nullopt;
}

std::optional<Timestamp> SnapshotScheduler::next() const {
  if (running_) return std::nullopt;
  if (retry_at_) return retry_at_;
  if (wanted_) return Timestamp{1};  // long due
  return scheduled_;
}

void SnapshotScheduler::begun(Timestamp now) {
  current_ = due(now).value_or(Due{});
  wanted_.reset();
  retry_at_.reset();
  running_ = true;
  // One snapshot makes up for every moment that has passed.
  if (options_.schedule) scheduled_ = scheduled_after(now);
}

void SnapshotScheduler::succeeded(Timestamp now) {
  running_ = false;
  failures_ = 0;
  last_success_ = now;
  current_.reset();
}

void SnapshotScheduler::failed(const Error& error, Timestamp now) {
  running_ = false;
  ++failures_;
  Duration pause = options_.longest_retry;
  if (!needs_a_person(error.code)) {
    const std::uint32_t doublings = std::min<std::uint32_t>(failures_ - 1, 20);
    pause = std::min(options_.longest_retry, options_.first_retry * (std::int64_t{1} << doublings));
  }
  // What was asked for while it ran is not made to wait.
  retry_at_ = wanted_ && cuts_pause(wanted_->reason) ? now : now + pause;
}

}  // namespace stele::agent
