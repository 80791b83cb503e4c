#include <fmt/format.h>

#include <algorithm>

#include "agent/stream/branch.h"
#include "core/config/log.h"
#include "core/format/fact.h"

namespace stele::agent {

// LogStreamer: the server's bytes into frames, frames into the spool, confirmations back.

namespace {
constexpr auto kHoldStep = std::chrono::milliseconds(100);
constexpr auto kNoteDeadline = std::chrono::seconds(1);  // less than wal_sender_timeout
constexpr auto kEpochRetry = std::chrono::minutes(1);
}  // namespace

Status LogStreamer::stream_branch(PgConnection connection) {
  WalStreamOptions options;
  options.slot = options_.slot;
  options.start = branch_->overlap;
  options.timeline = branch_->ask_timeline;
  auto started = WalStream::start(std::move(connection), options, clock_, clock_.steady_now() + kQueryDeadline);
  if (!started.ok()) return std::move(started).error();
  WalStream stream = std::move(*started);
  skip_overlap_ = false;
  log::info("streaming", {{"host", primary_label_}, {"timeline", branch_->ask_timeline}, {"from", branch_->overlap}, {"resume", branch_->begin}});
  tell([](LogStatus& s) { s.streaming = true; });
  last_frame_at_ = clock_.steady_now();
  Status ended = pump_events(stream);
  // What was read is the server's log, also when it dies now: it is sealed and sent, unless the log or the spool itself is what failed.
  const bool broken = !ended.ok() && (ended.error().code == ErrorCode::kFork || ended.error().code == ErrorCode::kDamaged ||
                                      ended.error().code == ErrorCode::kUnsupported || ended.error().code == ErrorCode::kProtocol);
  if (broken || spool_failed_ || !encoder_->resumed()) return ended;
  std::vector<format::Frame> frames;
  Status sealed = encoder_->end_object(frames);
  if (sealed.ok()) sealed = push(std::move(frames));
  return ended.ok() ? sealed : ended;
}

Status LogStreamer::pump_events(WalStream& stream) {
  while (!interrupt_->stopped()) {
    Position confirmed;
    bool compare = false;
    {
      std::lock_guard lock(mutex_);
      policy_.tick(clock_.steady_now());
      confirmed = policy_.confirmed();
      compare = claims_told_ || !fork_told_.empty();
      if (!transition_) transition_ = policy_.take_transition();
      status_.server_end = stream.server_end();
      if (const Timestamp heard = stream.server_time(); heard != status_.server_time) {
        status_.server_time = heard;
        status_.clock_difference = heard - clock_.now();
      }
      if (!pending_since_) recovery_point_.heard(status_.server_end, status_.server_time);
      status_.spool_full = !blocked_.empty() || spool_.stalled();
    }
    if (compare) return Error{ErrorCode::kTemporary, "a receiver holds log that this agent does not remember: it is compared", ""};
    bool may_confirm = encoder_->resumed();  // before the overlap was compared this may be another server's log
    if (transition_) {
      STELE_TRY(const bool noted, note_transition(confirmed));
      may_confirm = may_confirm && noted;
    }
    if (spool_failed_.exchange(false)) return Error{ErrorCode::kIo, "the spool failed", "look at the disk of the spool directory"};
    if (may_confirm && confirmed.value != 0) STELE_CHECK(stream.send_status(confirmed));
    if (!blocked_.empty() || spool_.stalled()) {
      STELE_CHECK(drain_blocked(stream));
      if (full_for_too_long()) {
        releasing_ = true;
        return Error{ErrorCode::kTemporary, "the spool is full and its time is over: the slot is released", "the receivers are away or too slow"};
      }
      continue;
    }
    full_since_.reset();
    const Instant now = clock_.steady_now();
    const bool as_of_due = encoder_->resumed() && now - last_frame_at_ >= options_.as_of_interval && options_.as_of_interval.count() > 0;
    if (as_of_due && !pending_since_) {
      // The answer carries the server's clock: only then is the as-of true.
      STELE_CHECK(stream.send_status(may_confirm ? confirmed : Position{}, true));
    }
    Instant deadline = now + std::chrono::milliseconds(500);
    waits_for_spool_ = pending_since_.has_value();  // before it is asked: what becomes durable afterwards wakes us
    if (pending_since_) deadline = spool_.unsynced() == 0 ? now : *pending_since_ + options_.frame_delay;
    STELE_TRY(WalEvent event, stream.next(deadline));
    if (auto* data = std::get_if<WalData>(&event)) {
      STELE_CHECK(take_data(*data));
      reconnect_.streaming(clock_.steady_now());
      STELE_CHECK(flush_if_due(false));
    } else if (auto* keepalive = std::get_if<WalKeepalive>(&event)) {
      reconnect_.streaming(clock_.steady_now());
      if (as_of_due && !pending_since_ && keepalive->server_end <= encoder_->position()) {
        std::vector<format::Frame> frames;
        STELE_CHECK(encoder_->as_of(keepalive->server_time, frames));
        STELE_CHECK(push(std::move(frames)));
      }
    } else if (auto* end = std::get_if<EndOfTimeline>(&event)) {
      log::info("timeline ended", {{"next", end->next_timeline}, {"switch_point", end->switch_point}});
      return {};
    } else if (std::get_if<ServerShutdown>(&event) != nullptr) {
      server_stops_ = true;
      return Error{ErrorCode::kTemporary, "the server is shutting down", ""};
    }
    STELE_CHECK(flush_if_due(true));
    if (epoch_is_over()) STELE_CHECK(change_epoch());
  }
  return Error{ErrorCode::kCancelled, "the agent is stopping", ""};
}

/// The ledger says that the policy degrades, or that the quorum is back, before a commit is confirmed by it. False: not durable yet.
Result<bool> LogStreamer::note_transition(Position confirmed) {
  if (!std::exchange(transition_told_, true)) {
    STELE_CHECK(record_fact(*transition_ ? format::FactKind::kDegraded : format::FactKind::kDegradedEnd, branch_->stream, {confirmed, confirmed}, 0,
                            *transition_ ? "commits are confirmed by the spool alone" : "the quorum is back"));
  }
  spool_.retry();
  if (!spool_.settle(clock_.steady_now() + kNoteDeadline) || spool_.stalled()) return false;
  transition_.reset();
  transition_told_ = false;
  return true;
}

bool LogStreamer::epoch_is_over() const {
  const Instant now = clock_.steady_now();
  if (now < epoch_retry_at_) return false;
  return (options_.epoch_max_bytes != 0 && encoder_->epoch_bytes() >= options_.epoch_max_bytes) ||
         (options_.epoch_max_age.count() > 0 && now - branch_->epoch_begun >= options_.epoch_max_age);
}

/// Where the new epoch cannot be made durable (a full disk) the old one goes on: the log comes first.
Status LogStreamer::change_epoch() {
  if (Status renewed = renew_epoch(); !renewed.ok()) {
    log::log_error(renewed.error().in("the epoch is not renewed, the old one goes on"));
    epoch_retry_at_ = clock_.steady_now() + kEpochRetry;
    return {};
  }
  std::vector<format::Frame> frames;
  STELE_CHECK(encoder_->end_object(frames));
  STELE_CHECK(push(std::move(frames)));
  return encoder_->change_epoch(branch_->epoch.id, branch_->epoch.data_key.clone());
}

Status LogStreamer::take_data(const WalData& data) {
  if (data.start != encoder_->position()) {
    return Error{ErrorCode::kProtocol, fmt::format("the server sent {} where {} was expected", data.start.to_string(),
                                                   encoder_->position().to_string()), ""};
  }
  if (released_) {
    log::info("the server still has the log that was released: it goes on without a gap");
    STELE_CHECK(state_.update([](AgentFacts& f) { f.released.reset(); }));
    released_ = false;
  }
  std::vector<format::Frame> frames;
  STELE_CHECK(encoder_->feed(data.bytes, data.server_time, frames));
  tell([&](LogStatus& s) { s.raw_bytes += data.bytes.size(); });
  STELE_CHECK(push(std::move(frames)));
  if (encoder_->pending_bytes() == 0) {
    pending_since_.reset();
  } else if (!pending_since_) {
    pending_since_ = clock_.steady_now();
  }
  return {};
}

Status LogStreamer::flush_if_due(bool drained) {
  if (!pending_since_) return {};
  // While a sync is under way more may join the next batch; without one, waiting would only add latency.
  const bool idle_disk = drained && spool_.unsynced() == 0;
  if (!idle_disk && clock_.steady_now() - *pending_since_ < options_.frame_delay) return {};
  std::vector<format::Frame> frames;
  STELE_CHECK(encoder_->flush(frames));
  pending_since_.reset();
  return push(std::move(frames));
}

Status LogStreamer::push(std::vector<format::Frame> frames) {
  if (frames.empty()) return {};
  format::sign_batch(frames.back(), keys_.key.signing);
  last_frame_at_ = clock_.steady_now();
  std::uint64_t bytes = 0;
  Timestamp last_commit;
  for (const format::Frame& frame : frames) {
    bytes += frame.encoded_size();
    last_commit = std::max(last_commit, frame.header().max_commit);
  }
  tell([&](LogStatus& s) {
    s.frames += frames.size();
    s.sealed_bytes += bytes;
    s.sealed_end = frames.back().header().end;
    s.last_commit = std::max(s.last_commit, last_commit);
    recovery_point_.sealed(s.sealed_end, last_commit, s.server_end, s.server_time);
  });
  if (!blocked_.empty()) {
    for (format::Frame& frame : frames) blocked_.push_back(std::move(frame));
    return {};
  }
  Status taken = spool_.append(frames);
  if (!taken.ok() && (taken.error().code == ErrorCode::kLimit || taken.error().code == ErrorCode::kDiskFull)) {
    blocked_ = std::move(frames);
    return {};
  }
  return taken;
}

/// Nothing left the spool for release_after.
bool LogStreamer::full_for_too_long() {
  if (!options_.release_after) return false;
  const Instant now = clock_.steady_now();
  const std::uint64_t first = spool_.first_sequence();
  if (!full_since_ || full_since_->second != first) full_since_ = {now, first};
  return now - full_since_->first >= *options_.release_after;
}

Status LogStreamer::drain_blocked(WalStream& stream) {
  waits_for_spool_ = true;
  spool_.retry();
  Status taken = spool_.append(blocked_);
  if (taken.ok()) {
    blocked_.clear();
    if (!spool_.stalled()) return {};
  } else if (taken.error().code != ErrorCode::kLimit && taken.error().code != ErrorCode::kDiskFull) {
    return taken;
  }
  // Never drop: nothing more is read, so nothing more is confirmed, until there is room again.
  STELE_TRY([[maybe_unused]] WalEvent event, stream.hold(clock_.steady_now() + kHoldStep));
  if (std::get_if<ServerShutdown>(&event) != nullptr) {
    server_stops_ = true;
    return Error{ErrorCode::kTemporary, "the server is shutting down", ""};
  }
  return {};
}

}  // namespace stele::agent
