#include "agent/stream/log_streamer.h"

#include <fmt/format.h>

#include "agent/postgres/slot.h"
#include "agent/stream/branch.h"
#include "core/config/log.h"
#include "core/format/fact.h"

namespace stele::agent {

LogStreamer::LogStreamer(Options options, const AgentKeys& keys, AgentState& state, FrameSpool& spool, AckPolicy::Options policy, Clock& clock,
                         RandomSource& random, Hooks hooks)
    : options_(std::move(options)), keys_(keys), state_(state), spool_(spool), clock_(clock), random_(random), hooks_(std::move(hooks)),
      policy_(policy), recovery_point_(clock.now()) {
  for (const auto& [receiver, log] : state_.facts().lacking) {
    lacking_[receiver] = {log, 0};
    policy_.receiver_lacks(receiver, true, clock_.steady_now());
  }
  standby_slots_ = std::make_unique<StandbySlots>(StandbySlots::Options{options_.hosts, options_.slot, options_.application_name}, clock_,
                                                  [this]() -> std::optional<StandbySlots::Reached> {
    std::lock_guard lock(mutex_);
    // One segment more than is confirmed: the overlap of a position on a boundary is the segment before.
    const Position confirmed = policy_.confirmed();
    if (!status_.streaming || confirmed.value <= status_.segment_size) return std::nullopt;
    return StandbySlots::Reached{status_.host, Position{confirmed.value - status_.segment_size}};
  });
  slot_watch_ = std::make_unique<SlotWatch>(SlotWatch::Options{options_.slot, options_.application_name}, clock_,
                                            [this]() -> std::optional<ServerAddress> {
    std::lock_guard lock(mutex_);
    if (!status_.streaming) return std::nullopt;
    for (const ServerAddress& host : options_.hosts) {
      if (host.label() == status_.host) return host;
    }
    return std::nullopt;
  });
}

LogStreamer::~LogStreamer() { stop(); }

Status LogStreamer::start(Generation generation) {
  generation_ = generation;
  STELE_TRY(interrupt_, Interrupt::create());
  STELE_CHECK(standby_slots_->start());
  STELE_CHECK(slot_watch_->start());
  thread_ = std::thread([this] { run(); });
  return {};
}

void LogStreamer::stop() {
  if (interrupt_) interrupt_->stop();
  if (thread_.joinable()) thread_.join();
  standby_slots_->stop();
  slot_watch_->stop();
}

void LogStreamer::tell(const std::function<void(LogStatus&)>& change) {
  std::lock_guard lock(mutex_);
  change(status_);
}

LogStatus LogStreamer::status() const {
  std::lock_guard lock(mutex_);
  LogStatus out = status_;
  out.confirmed = policy_.confirmed();
  out.degraded = policy_.degraded();
  out.slot = slot_watch_->state();
  return out;
}

Timestamp LogStreamer::reached(Position end) const {
  std::lock_guard lock(mutex_);
  return recovery_point_.reached(end);
}

std::optional<StreamContext> LogStreamer::context() const {
  std::lock_guard lock(mutex_);
  return context_;
}

void LogStreamer::on_spool_durable(const SpoolEntry& last) {
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    const Position before = policy_.confirmed();
    if (last.stream == status_.stream) policy_.spool_durable(last.range.end, clock_.steady_now());
    more = policy_.confirmed() > before;
  }
  // Mostly the receiver's acknowledgement comes later and wakes the thread once for both.
  if (more || waits_for_spool_) interrupt_->wake();
}

void LogStreamer::on_spool_failure(const Error& error) {
  log::log_error(error.in("spool"));
  spool_failed_ = true;
  interrupt_->wake();
}

void LogStreamer::on_receiver_durable(const std::string& receiver, const StreamId& stream, Position end) {
  bool more = false;
  {
    std::lock_guard lock(mutex_);
    const Position before = policy_.confirmed();
    claims_.supersede(receiver, stream);
    policy_.receiver_durable(receiver, stream, end, clock_.steady_now());
    more = policy_.confirmed() > before;
  }
  if (more) interrupt_->wake();
}

Status LogStreamer::record_fact(format::FactKind kind, const StreamId& stream, PositionRange range, std::uint64_t value, std::string note) {
  format::Fact fact;
  fact.database = options_.database;
  fact.stream = stream;
  fact.kind = kind;
  fact.time = clock_.now();
  fact.begin = range.begin;
  fact.end = range.end;
  fact.value = value;
  fact.note = std::move(note);
  STELE_CHECK(state_.update([&](AgentFacts& facts) { fact.serial = facts.next_fact_serial++; }));
  STELE_TRY(format::SignedRecord record, fact.sign(keys_.key.signing));
  log::warning("ledger", {{"fact", format::fact_kind_name(kind)}, {"begin", range.begin}, {"end", range.end}, {"note", fact.note}});
  return spool_.append_fact(record, stream);
}

void LogStreamer::run() {
  // Killed while the slot was released: the primary still comes first.
  if (options_.release_after && state_.facts().released && !spool_.has_room()) release_slot();
  while (!interrupt_->stopped()) {
    Status ended = connect_and_stream();
    encoder_.reset();
    pending_since_.reset();
    blocked_.clear();  // not in the spool, so not confirmed: the server has it still
    tell([](LogStatus& s) { s.streaming = false; });
    if (interrupt_->stopped()) break;
    const Error why = ended.ok() ? Error{ErrorCode::kClosed, "the server ended the stream", ""} : ended.error();
    ReconnectReason reason = ended.ok() ? ReconnectReason::kTimelineEnd : reconnect_reason(why);
    if (std::exchange(server_stops_, false)) reason = ReconnectReason::kShuttingDown;
    // No host was a primary, or a branch or a fact waits: it can change at any moment, and commits may be waiting.
    if (!ended.ok() && why.code == ErrorCode::kTemporary && reason == ReconnectReason::kOther) reason = ReconnectReason::kStartingUp;
    // Decided already: the next attempt begins the new branch.
    if (force_fork_ || (!ended.ok() && why.code == ErrorCode::kGap)) reason = ReconnectReason::kLost;
    if (!ended.ok() && why.to_string() != status().last_error) log::log_error(why);
    if (std::exchange(releasing_, false)) release_slot();
    tell([&](LogStatus& s) {
      ++s.reconnects[std::string(reconnect_reason_name(reason))];
      s.last_error = ended.ok() ? "" : why.to_string();
    });
    const Instant until = clock_.steady_now() + reconnect_.failed(reason, clock_.steady_now());
    pause_until(until);
  }
}

void LogStreamer::pause_until(Instant until) {
  while (!interrupt_->stopped() && clock_.steady_now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

Result<PgConnection> LogStreamer::connect_primary() {
  ConnectOptions options;
  options.mode = ConnectionMode::kReplication;
  options.application_name = options_.application_name;
  options.wal_sender_timeout_ms = options_.wal_sender_timeout_ms;
  std::size_t chosen = 0;
  if (options_.hosts.size() > 1) {
    STELE_TRY(std::vector<HostState> hosts, survey_hosts(options_.hosts, options, kConnectDeadline, interrupt_));
    STELE_TRY(chosen, choose_primary(hosts));
  }
  primary_label_ = options_.hosts[chosen].label();
  return PgConnection::connect(options_.hosts[chosen], options, clock_.steady_now() + kConnectDeadline, interrupt_);
}

Result<ServerAddress> LogStreamer::primary_address() const {
  for (const ServerAddress& host : options_.hosts) {
    if (host.label() == primary_label_) return host;
  }
  return Error{ErrorCode::kInternal, "no primary was chosen", ""};
}

Status LogStreamer::connect_and_stream() {
  // Where to go on is where the spool ends, so it must know what became of the last batch.
  spool_.retry();
  if (!spool_.settle(clock_.steady_now() + kSettleDeadline)) {
    return Error{ErrorCode::kTemporary, "the spool's disk does not answer", "look at the disk of the spool directory"};
  }
  spool_failed_ = false;
  STELE_TRY(PgConnection connection, connect_primary());
  ServerInfo info;
  STELE_TRY(ServerFacts facts, read_facts(connection, info));
  STELE_TRY([[maybe_unused]] const SlotCreated made, ensure_slot(connection, options_.slot, clock_.steady_now() + kQueryDeadline));
  STELE_CHECK(choose_branch(connection, facts, info));
  if (!branch_->has_epoch) STELE_CHECK(renew_epoch());
  // Only now is there an epoch that a snapshot could use.
  if (wanted_snapshot_ && hooks_.need_snapshot) hooks_.need_snapshot(*wanted_snapshot_);
  wanted_snapshot_.reset();
  LogEncoderOptions encoding = options_.encoding;
  encoding.suite = &keys_.key.signing.suite();
  encoding.stream = branch_->stream;
  encoding.generation = generation_;
  encoding.epoch = branch_->epoch.id;
  encoding.segment_size = static_cast<std::uint32_t>(facts.segment_size);
  encoding.major = info.version_num / 10000;
  encoding.system_identifier = facts.system_identifier;
  encoding.on_record = hooks_.on_record;
  STELE_TRY(encoder_, LogEncoder::create(encoding, branch_->epoch.data_key, keys_.key.join_tag_key, branch_->overlap, branch_->begin, random_));
  const bool kept = branch_->expected_of == branch_->stream;
  if (branch_->expected && (kept || branch_->overlap < branch_->begin)) encoder_->expect_join(*branch_->expected, branch_->expected_of);
  tell([&](LogStatus& s) {
    s.host = primary_label_;
    s.timeline = branch_->ask_timeline;
    s.system_identifier = facts.system_identifier;
    s.segment_size = facts.segment_size;
    s.server_version = info.version_num;
    s.sealed_end = branch_->begin;
  });
  released_ = state_.facts().released.has_value();
  Status ended = stream_branch(std::move(connection));
  if (ended.ok()) return ended;
  if (ended.error().code == ErrorCode::kFork) {
    force_fork_ = true;
    return ended.error();
  }
  if (ended.error().code == ErrorCode::kGap) return note_gap(ended.error());
  return ended;
}

}  // namespace stele::agent
