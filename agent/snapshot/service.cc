#include "agent/snapshot/service.h"

#include <algorithm>
#include <deque>
#include <set>

#include "agent/snapshot/snapshot_state.h"
#include "agent/snapshot/task.h"
#include "core/config/log.h"

namespace stele::agent {
namespace {

// A clock that was set shows after at most so long.
constexpr auto kLongestWait = std::chrono::seconds(60);
constexpr std::size_t kOutcomesKept = 16;

}  // namespace

struct SnapshotService::State {
  State(Options o, Callbacks c, io::FileSystem& f, Clock& k, RandomSource& r)
      : options(std::move(o)), callbacks(std::move(c)), fs(f), clock(k), random(r) {}

  const Options options;
  const Callbacks callbacks;
  io::FileSystem& fs;
  Clock& clock;
  RandomSource& random;
  SnapshotProgress progress;

  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::optional<SnapshotScheduler> scheduler;
  std::optional<SnapshotState> last_state;
  std::optional<StreamId> stream;
  std::uint64_t next_ticket = 1;
  struct Answer {
    std::uint64_t through;
    Result<SnapshotReport> outcome;
  };
  std::deque<Answer> outcomes;
  SnapshotStatus status;
  SnapshotTask* task = nullptr;  // running
  StreamId task_stream;
  // Only the service's thread:
  std::set<ChunkName> distrusted;
  bool distrust_all = false;
  std::thread thread;

  void loop();
  void take(const SnapshotScheduler::Due& due, std::uint64_t through);
  Result<SnapshotReport> attempt(const SnapshotScheduler::Due& due);
  void finished(Result<SnapshotReport> result, std::uint64_t through);
};

SnapshotService::SnapshotService(Options options, Callbacks callbacks, io::FileSystem& fs, Clock& clock,
                                 RandomSource& random)
    : state_(std::make_unique<State>(std::move(options), std::move(callbacks), fs, clock, random)) {}

Result<std::unique_ptr<SnapshotService>> SnapshotService::create(Options options, Callbacks callbacks,
                                                                 io::FileSystem& fs, Clock& clock,
                                                                 RandomSource& random) {
  std::unique_ptr<SnapshotService> service(
      new SnapshotService(std::move(options), std::move(callbacks), fs, clock, random));
  State& s = *service->state_;
  auto last = load_snapshot_state(fs, s.options.state_directory);
  if (last.ok()) {
    s.last_state = *last;
  } else if (last.error().code == ErrorCode::kDamaged || last.error().code == ErrorCode::kUnsupported) {
    log::warning("the record of the last snapshot cannot be read; one is taken", {{"why", last.error().what}});
  } else {
    return std::move(last).error();
  }
  SnapshotScheduler::Options scheduling;
  scheduling.schedule = s.options.config.schedule;
  scheduling.zone = s.options.config.time_zone;
  scheduling.jitter = config::schedule_jitter(s.options.database, s.options.config.jitter);
  std::optional<Timestamp> success;
  if (s.last_state) success = s.last_state->finished;
  s.scheduler.emplace(std::move(scheduling), clock.now(), success);
  s.status.last_success = success;
  return service;
}

SnapshotService::~SnapshotService() {
  stop();
}

void SnapshotService::start() {
  state_->thread = std::thread([this] { state_->loop(); });
}

void SnapshotService::set_stream(const StreamId& stream) {
  State& s = *state_;
  std::lock_guard lock(s.mutex);
  if (s.stream == stream) return;
  s.stream = stream;
  if (s.task != nullptr && s.task_stream != stream) {
    s.task->cancel({ErrorCode::kTemporary, "snapshot: the database went over to another branch", ""});
  }
  if (s.last_state && s.last_state->stream == stream) return;
  s.status.last_success.reset();
  s.scheduler->request(SnapshotReason::kNewBranch, false, s.clock.now());
  s.wake.notify_all();
}

std::uint64_t SnapshotService::request(SnapshotReason reason, bool full) {
  State& s = *state_;
  std::lock_guard lock(s.mutex);
  s.scheduler->request(reason, full, s.clock.now());
  s.wake.notify_all();
  return s.next_ticket++;
}

std::optional<Result<SnapshotReport>> SnapshotService::outcome(std::uint64_t ticket) const {
  const State& s = *state_;
  std::lock_guard lock(s.mutex);
  for (const State::Answer& answer : s.outcomes) {
    if (ticket <= answer.through) return answer.outcome;
  }
  return std::nullopt;
}

SnapshotStatus SnapshotService::status() const {
  const State& s = *state_;
  std::lock_guard lock(s.mutex);
  SnapshotStatus out = s.status;
  out.running = s.scheduler->running();
  out.next = s.scheduler->next();
  if (out.next) out.next = std::max(*out.next, s.clock.now());  // long due is now
  out.failures = s.scheduler->failures();
  if (out.running) {
    out.phase = s.progress.phase;
    out.raw_bytes = s.progress.raw_bytes;
    out.estimated_bytes = s.progress.estimated_bytes;
    out.new_bytes = s.progress.sealed_bytes;
    out.sent_bytes = s.progress.sent_bytes;
  }
  return out;
}

void SnapshotService::stop() {
  State& s = *state_;
  {
    std::lock_guard lock(s.mutex);
    s.stopping = true;
    if (s.task != nullptr) s.task->cancel({ErrorCode::kCancelled, "snapshot: the agent stops", ""});
  }
  s.wake.notify_all();
  if (s.thread.joinable()) s.thread.join();
}

void SnapshotService::State::loop() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    const Timestamp now = clock.now();
    scheduler->clock_is(now);
    if (status.last_success && *status.last_success > now) status.last_success = now;  // or it would never be late
    if (auto due = scheduler->due(now)) {
      const std::uint64_t through = next_ticket - 1;
      scheduler->begun(now);
      status.begun = now;
      status.reason = due->reason;
      lock.unlock();
      take(*due, through);
      lock.lock();
      continue;
    }
    Duration wait = kLongestWait;
    if (auto next = scheduler->next())
      wait = std::clamp<Duration>(*next - now, std::chrono::milliseconds(1), kLongestWait);
    wake.wait_for(lock, wait);
  }
}

void SnapshotService::State::take(const SnapshotScheduler::Due& due, std::uint64_t through) {
  log::info("a snapshot begins", {{"reason", to_string(due.reason)}, {"attempt", due.attempt}, {"full", due.full}});
  Result<SnapshotReport> result = attempt(due);
  if (result.ok()) {
    log::info("the snapshot is committed", {{"snapshot", result->snapshot.hex()},
                                            {"start", result->start},
                                            {"stop", result->stop},
                                            {"raw_bytes", result->raw_bytes},
                                            {"new_bytes", result->new_bytes},
                                            {"damaged_pages", result->damaged_pages}});
    for (const std::string& warning : result->warnings) log::warning("about the snapshot", {{"what", warning}});
    const SnapshotState saved{result->stream, result->snapshot, result->stop, result->finished};
    Status kept = save_snapshot_state(fs, options.state_directory, saved);
    if (!kept.ok()) {
      // The snapshot is good all the same; the next start takes one more.
      log::error("the last snapshot could not be noted", {{"why", kept.error().what}});
      result->warn(kept.error().what);
    }
    std::lock_guard lock(mutex);
    last_state = saved;
  } else {
    log::error(
        "the snapshot failed",
        {{"code", error_name(result.error().code)}, {"why", result.error().what}, {"hint", result.error().hint}});
  }
  finished(result, through);
  if (result.ok() && callbacks.on_success) callbacks.on_success(*result);
  if (!result.ok() && callbacks.on_failure) callbacks.on_failure(result.error());
}

Result<SnapshotReport> SnapshotService::State::attempt(const SnapshotScheduler::Due& due) {
  STELE_TRY(SnapshotContext context, callbacks.context());
  STELE_TRY(std::shared_ptr<Interrupt> interrupt, Interrupt::create());
  SnapshotTask::Options task_options;
  task_options.config = options.config;
  task_options.full = due.full || distrust_all;
  task_options.distrusted = distrusted;
  const StreamId on = context.stream;
  SnapshotTask running(std::move(task_options), std::move(context), fs, clock, random, progress, std::move(interrupt));
  {
    std::lock_guard lock(mutex);
    if (stopping) return Error{ErrorCode::kCancelled, "snapshot: the agent stops", ""};
    task = &running;
    task_stream = on;
  }
  Result<SnapshotReport> result = running.run();
  {
    std::lock_guard lock(mutex);
    task = nullptr;
  }
  if (result.ok()) {
    distrusted.clear();
    distrust_all = false;
  } else {
    distrusted.insert(running.lacked().begin(), running.lacked().end());
    distrust_all = distrust_all || running.lacked_too_many();
  }
  return result;
}

void SnapshotService::State::finished(Result<SnapshotReport> result, std::uint64_t through) {
  std::lock_guard lock(mutex);
  const Timestamp now = clock.now();
  if (result.ok()) {
    ++status.succeeded;
    status.last = *result;
    status.last_success = result->finished;
    status.last_error.reset();
    scheduler->succeeded(result->finished);
    // The branch changed at the very end: that snapshot is of the old one.
    if (stream && *stream != result->stream) scheduler->request(SnapshotReason::kNewBranch, false, now);
  } else {
    ++status.failed;
    status.last_error = result.error();
    scheduler->failed(result.error(), now);
  }
  outcomes.push_back({through, std::move(result)});
  if (outcomes.size() > kOutcomesKept) outcomes.pop_front();
}

}  // namespace stele::agent
