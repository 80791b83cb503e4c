#include "agent/stream/slot_watch.h"

#include "core/config/log.h"

namespace stele::agent {

namespace {
constexpr auto kConnectDeadline = std::chrono::seconds(5);
constexpr auto kQueryDeadline = std::chrono::seconds(10);
}  // namespace

SlotWatch::SlotWatch(Options options, Clock& clock, Primary primary) : options_(std::move(options)), clock_(clock), primary_(std::move(primary)) {}

SlotWatch::~SlotWatch() { stop(); }

Status SlotWatch::start() {
  STELE_TRY(interrupt_, Interrupt::create());
  thread_ = std::thread([this] { run(); });
  return {};
}

void SlotWatch::stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);  // else the thread could look just before and sleep through the wake-up
    interrupt_->stop();
  }
  wake_.notify_all();
  thread_.join();
}

std::optional<SlotState> SlotWatch::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void SlotWatch::run() {
  std::string told;
  while (!interrupt_->stopped()) {
    auto seen = look();
    // That the log is not streaming, or the server is starting up, is told elsewhere.
    const bool quiet = seen.ok() || seen.error().code == ErrorCode::kNotFound || seen.error().code == ErrorCode::kTemporary;
    const std::string problem = quiet ? "" : seen.error().to_string();
    if (!problem.empty() && problem != told && !interrupt_->stopped()) log::warning("the replication slot cannot be looked at", {{"reason", problem}});
    told = problem;
    std::unique_lock lock(mutex_);
    if (seen.ok()) {
      state_ = std::move(*seen);
    } else if (seen.error().code == ErrorCode::kNotFound) {
      state_ = SlotState{};
    } else {
      state_.reset();
    }
    wake_.wait_for(lock, options_.interval, [this] { return interrupt_->stopped(); });
  }
}

Result<SlotState> SlotWatch::look() {
  const std::optional<ServerAddress> primary = primary_();
  if (!primary) return Error{ErrorCode::kTemporary, "the log is not streaming", ""};
  ConnectOptions options;
  options.application_name = options_.application_name;
  // A new connection each time: one that stays would keep a smart shutdown waiting.
  STELE_TRY(PgConnection sql, PgConnection::connect(*primary, options, clock_.steady_now() + kConnectDeadline, interrupt_));
  return read_slot(sql, options_.slot, clock_.steady_now() + kQueryDeadline);
}

}  // namespace stele::agent
