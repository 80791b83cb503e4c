#include "agent/stream/log_streamer.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/postgres/slot.h"
#include "core/config/log.h"
#include "core/format/fact.h"

namespace stele::agent {

namespace {
constexpr auto kConnectDeadline = std::chrono::seconds(5);
constexpr auto kQueryDeadline = std::chrono::seconds(10);
constexpr auto kSettleDeadline = std::chrono::seconds(10);
constexpr auto kHoldStep = std::chrono::milliseconds(100);
}  // namespace

/// The branch that is being streamed.
struct LogStreamer::Branch {
  format::BranchRecord record;
  format::SignedRecord signed_record;
  StreamId stream;
  Position begin;                  ///< first position of new frames on this connection
  Position overlap;                ///< where streaming starts
  std::optional<JoinTag> expected; ///< join tag at `begin`
  StreamId expected_of;            ///< as the log of this stream
  std::uint32_t ask_timeline = 0;
  NewEpoch epoch;
  Timestamp epoch_created;
  bool has_epoch = false;
};

LogStreamer::LogStreamer(Options options, const AgentKeys& keys, AgentState& state, FrameSpool& spool, AckPolicy::Options policy, Clock& clock,
                         RandomSource& random, Hooks hooks)
    : options_(std::move(options)), keys_(keys), state_(state), spool_(spool), clock_(clock), random_(random), hooks_(std::move(hooks)),
      policy_(policy), recovery_point_(clock.now()) {
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

void LogStreamer::receiver_holds(const std::string& receiver, std::vector<HeldLog> held) { held_[receiver] = std::move(held); }

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

/// The fact is on the disk before what it tells of is done; kTemporary while the spool has no room for it.
Status LogStreamer::record_before_acting(format::FactKind kind, const StreamId& stream, PositionRange range, std::uint64_t value,
                                         std::string note) {
  const bool again = recorded_ && recorded_->kind == kind && recorded_->stream == stream && recorded_->begin == range.begin;
  if (!again) {
    STELE_CHECK(record_fact(kind, stream, range, value, std::move(note)));
    recorded_.emplace();
    recorded_->kind = kind;
    recorded_->stream = stream;
    recorded_->begin = range.begin;
  }
  spool_.retry();
  if (spool_.settle(clock_.steady_now() + kSettleDeadline) && !spool_.stalled()) return {};
  return Error{ErrorCode::kTemporary, fmt::format("the ledger's entry ({}) waits for room in the spool", format::fact_kind_name(kind)),
               "the receivers are away or too slow"};
}

/// A new branch begins only when the old one's end is where it cannot be lost: nobody streams it again afterwards.
Status LogStreamer::check_old_branch_is_safe() {
  const auto last = spool_.last_frame();
  if (!last) return {};
  spool_.retry();
  if (!spool_.settle(clock_.steady_now() + kSettleDeadline) || spool_.unsynced() > 0) {
    return Error{ErrorCode::kTemporary, "a new branch waits until the spool has room for the old one's end", "the receivers are away or too slow"};
  }
  if (spool_.on_disk()) return {};
  std::lock_guard lock(mutex_);
  if (last->stream == status_.stream && policy_.quorum_end() < last->range.end) {
    return Error{ErrorCode::kTemporary, "without a spool a new branch waits until the receivers hold the old one", "the receivers are away or too slow"};
  }
  return {};
}

void LogStreamer::run() {
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
    tell([&](LogStatus& s) {
      ++s.reconnects[std::string(reconnect_reason_name(reason))];
      s.last_error = ended.ok() ? "" : why.to_string();
    });
    const Instant until = clock_.steady_now() + reconnect_.failed(reason, clock_.steady_now());
    while (!interrupt_->stopped() && clock_.steady_now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
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

Result<ServerFacts> LogStreamer::read_facts(PgConnection& connection, ServerInfo& info) {
  const Instant deadline = clock_.steady_now() + kQueryDeadline;
  STELE_TRY(info, read_server_info(connection, deadline));
  ServerFacts facts;
  facts.system_identifier = info.system_identifier;
  facts.flush = info.flush_position;
  facts.segment_size = info.wal_segment_size;
  facts.history.tli = info.timeline;
  if (info.timeline > 1) {
    STELE_TRY(TimelineHistoryFile file, fetch_timeline_history(connection, info.timeline, deadline));
    STELE_TRY(facts.history, pg::parse_timeline_history(info.timeline, as_text(file.content)));
  }
  return facts;
}

Result<Position> LogStreamer::slot_begin(const PgConnection& connection, const ServerFacts& facts) {
  ConnectOptions options;
  options.application_name = options_.application_name;
  STELE_TRY(PgConnection sql, PgConnection::connect(connection.address(), options, clock_.steady_now() + kConnectDeadline, interrupt_));
  STELE_TRY(SlotState slot, read_slot(sql, options_.slot, clock_.steady_now() + kQueryDeadline));
  const Position from = slot.restart && !slot.invalidated() ? *slot.restart : facts.flush;
  // A slot that was copied with its data directory may point before this timeline, whose files begin with the switch point's segment.
  const Position begin = std::max(from, facts.history.begin());
  return Position{begin.value - begin.value % facts.segment_size};
}

Status LogStreamer::begin_branch(const BranchDecision& decision, const ServerFacts& facts, const ServerInfo& info, Position begin) {
  auto next = std::make_unique<Branch>();
  format::BranchRecord& r = next->record;
  r.suite = keys_.key.signing.suite().id();
  r.database = options_.database;
  r.lineage = facts.system_identifier;
  r.timeline = facts.history.tli;
  r.history = switches_of(facts.history);
  r.nonce = random_.draw<BranchNonce>();
  r.generation = generation_;
  r.enrolment = keys_.enrolment_id;
  r.segment_size = facts.segment_size;
  r.server_version = static_cast<std::uint32_t>(info.version_num);
  using Kind = BranchDecision::Kind;
  r.reason = decision.kind == Kind::kNewTimeline ? format::BranchReason::kTimelineSwitch
             : decision.kind == Kind::kFork      ? format::BranchReason::kFork
                                                 : format::BranchReason::kFirst;
  r.parent = decision.parent.value_or(StreamId{});
  r.fork = begin;
  r.created = clock_.now();
  next->stream = r.stream();
  STELE_TRY(next->signed_record, r.sign(keys_.key.signing));
  next->begin = begin;
  next->overlap = Position{begin.value - begin.value % facts.segment_size};
  next->ask_timeline = facts.history.tli;
  next->expected_of = next->stream;
  // Where the old branch stands is in the spool's last frame; it is noted before the new one takes its place.
  const auto last = spool_.last_frame();
  STELE_CHECK(state_.put_branch(next->signed_record, next->stream));
  STELE_CHECK(state_.update([&](AgentFacts& f) {
    for (BranchMark& mark : f.branches) {
      if (last && mark.stream == last->stream) mark = {last->stream, last->range.end, last->join, true};
    }
    f.branches.push_back({next->stream, begin, {}, false});
    f.current = next->stream;
    f.enrolment = keys_.enrolment_id;
  }));
  branch_ = std::move(next);
  if (hooks_.on_branch) hooks_.on_branch();
  {
    std::lock_guard lock(mutex_);
    policy_.begin_stream(branch_->stream);
    begin_stream_locked();
  }
  log::info("new branch", {{"stream", branch_->stream.short_hex()}, {"timeline", r.timeline}, {"begin", begin}, {"reason", decision.why}});
  return {};
}

void LogStreamer::begin_stream_locked() {
  status_.stream = branch_->stream;
  status_.stream_begin = branch_->record.fork;
  recovery_point_.begin_stream();
}

/// A branch that leaves its parent exactly where that one was streamed to must have the same log before it.
void LogStreamer::expect_parents_join(Branch& branch, const std::vector<KnownBranch>& known) {
  if (branch.record.parent == StreamId{} || branch.begin != branch.record.fork) return;
  for (const KnownBranch& parent : known) {
    if (parent.record.stream() != branch.record.parent || parent.end != branch.begin || !parent.join) continue;
    branch.expected = parent.join;
    branch.expected_of = branch.record.parent;
  }
}

/// The spool has nothing of the branch: it is new, there is no spool, or it was lost. The log goes on from the lowest receiver that
/// PostgreSQL can still serve; peers repair those below.
Status LogStreamer::resume_without_spool(PgConnection& connection, const ServerFacts& facts, KnownBranch& branch) {
  const StreamId stream = branch.record.stream();
  std::vector<HeldLog> ends;
  for (const auto& [receiver, logs] : held_) {
    for (const HeldLog& log : logs) {
      if (log.stream == stream) ends.push_back(log);
    }
  }
  for (const auto& [receiver, mark] : state_.facts().receivers) {
    if (held_.contains(receiver) || mark.stream != stream) continue;
    ends.push_back({stream, mark.end, mark.end == branch.end ? branch.join : std::nullopt});
  }
  std::erase_if(ends, [&](const HeldLog& log) { return log.end <= branch.record.fork; });
  const bool was_streamed = branch.end > branch.record.fork || !ends.empty();
  if (was_streamed && spool_.on_disk() && !spool_.last_frame() && !std::exchange(told_spool_lost_, true)) {
    STELE_CHECK(record_fact(format::FactKind::kStateLost, stream, {branch.end, branch.end}, 0, "the spool was lost"));
  }
  std::sort(ends.begin(), ends.end(), [](const HeldLog& a, const HeldLog& b) { return a.end < b.end; });
  HeldLog chosen{stream, branch.record.fork, std::nullopt};
  if (!ends.empty()) {
    chosen = ends.back();
    if (ends.front().end != ends.back().end) {
      STELE_TRY(const Position served, slot_begin(connection, facts));
      chosen = *std::find_if(ends.begin(), std::prev(ends.end()), [&](const HeldLog& log) { return log.end >= served; });
    }
  }
  branch.end = chosen.end;
  branch.join = chosen.join;
  return {};
}

Status LogStreamer::choose_branch(PgConnection& connection, const ServerFacts& facts, const ServerInfo& info) {
  AgentFacts agent = state_.facts();
  STELE_TRY(std::vector<KnownBranch> known, state_.known_branches());
  const auto last = spool_.last_frame();
  KnownBranch* current = nullptr;
  for (KnownBranch& branch : known) {
    if (last && branch.record.stream() == last->stream) {
      branch.end = last->range.end;
      branch.join = last->join;
    }
    if (agent.current && branch.record.stream() == *agent.current) current = &branch;
  }
  if (current != nullptr && current->record.lineage != facts.system_identifier && agent.enrolment != keys_.enrolment_id) {
    current = nullptr;  // enrolled again for another cluster
    known.clear();
  }
  if (current != nullptr && (!last || last->stream != current->record.stream())) {
    STELE_CHECK(resume_without_spool(connection, facts, *current));
  }
  STELE_TRY(BranchDecision decision, decide_branch(known, current, facts));
  using Kind = BranchDecision::Kind;
  if (force_fork_ && decision.kind == Kind::kContinue) {
    decision.kind = Kind::kFork;
    decision.why = "the server's log differs from the one streamed";
  }
  if (decision.kind == Kind::kContinue || decision.kind == Kind::kFinishOld) {
    if (!branch_ || branch_->stream != current->record.stream()) {
      branch_ = std::make_unique<Branch>();
      branch_->record = current->record;
      branch_->stream = current->record.stream();
      STELE_TRY(branch_->signed_record, state_.read_branch(branch_->stream));
      std::lock_guard lock(mutex_);
      policy_.begin_stream(branch_->stream);
      begin_stream_locked();
      if (auto durable = spool_.last_durable_frame(); durable && durable->stream == branch_->stream) {
        policy_.spool_durable(durable->range.end, clock_.steady_now());
      }
      // Without a spool nothing but the receivers holds what lies before; they hold it up to here.
      if (!spool_.on_disk()) policy_.spool_durable(decision.begin, clock_.steady_now());
    }
    branch_->begin = decision.begin;
    branch_->expected = current->join;
    branch_->expected_of = branch_->stream;
    if (decision.begin == current->record.fork) expect_parents_join(*branch_, known);
    branch_->ask_timeline = decision.timeline;
    const Position first_segment{branch_->record.fork.value - branch_->record.fork.value % facts.segment_size};
    branch_->overlap = std::max(overlap_begin(decision.begin, facts.segment_size), first_segment);
    if (skip_overlap_ || branch_->overlap == branch_->begin) {
      branch_->overlap = Position{branch_->begin.value - branch_->begin.value % facts.segment_size};
      // The new object must join what is held: its tag is the end of the segment before, which only we still know.
      if (branch_->overlap == branch_->begin && branch_->expected_of != branch_->stream) branch_->expected.reset();
    }
    return {};
  }
  STELE_CHECK(check_old_branch_is_safe());
  if (decision.kind == Kind::kFirst || decision.kind == Kind::kFork) {
    STELE_TRY(decision.begin, slot_begin(connection, facts));
  }
  if (decision.kind == Kind::kFork) {
    STELE_CHECK(record_before_acting(format::FactKind::kFork, agent.current.value_or(StreamId{}), {decision.begin, decision.begin}, 0, decision.why));
  }
  if (decision.abandoned) {
    STELE_CHECK(record_before_acting(format::FactKind::kAbandonedBranch, *decision.parent, *decision.abandoned, decision.abandoned->size(),
                                     decision.why));
    tell([](LogStatus& status) { ++status.abandoned; });
  }
  STELE_CHECK(begin_branch(decision, facts, info, decision.begin));
  expect_parents_join(*branch_, known);
  force_fork_ = false;
  if (decision.kind == Kind::kFork) tell([](LogStatus& status) { ++status.forks; });
  wanted_snapshot_ = decision.why;
  return {};
}

Status LogStreamer::renew_epoch() {
  STELE_TRY(NewEpoch epoch, make_epoch(keys_, options_.database, branch_->stream, generation_, clock_.now(), random_));
  STELE_CHECK(state_.put_epoch(epoch.record));
  branch_->epoch = std::move(epoch);
  branch_->epoch_created = clock_.now();
  branch_->has_epoch = true;
  StreamContext context;
  context.stream = branch_->stream;
  context.generation = generation_;
  context.epoch = branch_->epoch.id;
  context.branch_record = branch_->signed_record;
  context.epoch_record = branch_->epoch.record;
  context.log_begin = branch_->record.fork;
  context.system_identifier = branch_->record.lineage;
  auto secrets = std::make_shared<format::EpochSecrets>();
  secrets->data = branch_->epoch.data_key.clone();
  secrets->chunk_name = keys_.key.chunk_name_key.clone();
  secrets->join = keys_.key.join_tag_key.clone();
  context.secrets = std::move(secrets);
  context.timeline = branch_->record.timeline;
  std::lock_guard lock(mutex_);
  context_ = std::move(context);
  status_.epoch = branch_->epoch.id;
  status_.epoch_created = branch_->epoch_created;
  return {};
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
  Status ended = stream_branch(std::move(connection));
  if (ended.ok()) return ended;
  if (ended.error().code == ErrorCode::kFork) {
    force_fork_ = true;
    return ended.error();
  }
  if (ended.error().code == ErrorCode::kGap) return note_gap(ended.error());
  return ended;
}

Status LogStreamer::note_gap(const Error& why) {
  if (!skip_overlap_ && branch_->overlap < Position{branch_->begin.value - branch_->begin.value % branch_->record.segment_size}) {
    skip_overlap_ = true;  // only the segment before an exact boundary is gone, not the log itself
    return why;
  }
  skip_overlap_ = false;
  ConnectOptions options;
  options.mode = ConnectionMode::kReplication;
  options.application_name = options_.application_name;
  STELE_TRY(PgConnection connection, connect_primary());
  ServerInfo info;
  STELE_TRY(ServerFacts facts, read_facts(connection, info));
  STELE_TRY(PgConnection sql, PgConnection::connect(connection.address(), ConnectOptions{.application_name = options_.application_name},
                                                    clock_.steady_now() + kConnectDeadline, interrupt_));
  auto slot = read_slot(sql, options_.slot, clock_.steady_now() + kQueryDeadline);
  const bool invalidated = slot.ok() && slot->invalidated();
  Position lost_from = branch_->begin;
  if (const auto last = spool_.last_frame(); last && last->stream == branch_->stream) lost_from = std::max(lost_from, last->range.end);
  STELE_CHECK(check_old_branch_is_safe());
  if (invalidated) {
    // Where the new slot will begin is not known yet; the log behind `lost_from` is lost either way.
    STELE_CHECK(record_before_acting(format::FactKind::kGap, branch_->stream, {lost_from, facts.flush}, facts.flush - lost_from, why.what));
    STELE_CHECK(drop_slot(connection, options_.slot, clock_.steady_now() + kQueryDeadline));
    STELE_TRY([[maybe_unused]] const SlotCreated made, ensure_slot(connection, options_.slot, clock_.steady_now() + kQueryDeadline));
  }
  STELE_TRY(const Position from, slot_begin(connection, facts));
  if (!invalidated) {
    if (from <= lost_from) return why;  // it can be served after all: try again
    STELE_CHECK(record_before_acting(format::FactKind::kGap, branch_->stream, {lost_from, from}, from - lost_from, why.what));
  }
  tell([](LogStatus& status) { ++status.gaps; });
  BranchDecision decision;
  decision.kind = BranchDecision::Kind::kFork;
  decision.why = fmt::format("the log between {} and {} is lost", lost_from.to_string(), from.to_string());
  STELE_CHECK(begin_branch(decision, facts, info, from));
  wanted_snapshot_ = decision.why;
  return why;
}

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
    {
      std::lock_guard lock(mutex_);
      policy_.tick(clock_.steady_now());
      confirmed = policy_.confirmed();
      if (auto change = policy_.take_transition()) transition_ = change;
      status_.server_end = stream.server_end();
      if (const Timestamp heard = stream.server_time(); heard != status_.server_time) {
        status_.server_time = heard;
        status_.clock_difference = heard - clock_.now();
      }
      if (!pending_since_) recovery_point_.heard(status_.server_end, status_.server_time);
      status_.spool_full = !blocked_.empty() || spool_.stalled();
    }
    if (transition_) {
      STELE_CHECK(record_fact(*transition_ ? format::FactKind::kDegraded : format::FactKind::kDegradedEnd, branch_->stream, {confirmed, confirmed}, 0,
                              *transition_ ? "commits are confirmed by the spool alone" : "the quorum is back"));
      transition_.reset();
    }
    if (spool_failed_.exchange(false)) return Error{ErrorCode::kIo, "the spool failed", "look at the disk of the spool directory"};
    if (confirmed.value != 0) STELE_CHECK(stream.send_status(confirmed));
    if (!blocked_.empty() || spool_.stalled()) {
      STELE_CHECK(drain_blocked(stream));
      continue;
    }
    const Instant now = clock_.steady_now();
    const bool as_of_due = encoder_->resumed() && now - last_frame_at_ >= options_.as_of_interval && options_.as_of_interval.count() > 0;
    if (as_of_due && !pending_since_) {
      // The answer carries the server's clock: only then is the as-of true.
      STELE_CHECK(stream.send_status(confirmed, true));
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
    if (branch_->has_epoch && ((options_.epoch_max_bytes != 0 && encoder_->epoch_bytes() >= options_.epoch_max_bytes) ||
                               (options_.epoch_max_age.count() > 0 && clock_.now() - branch_->epoch_created >= options_.epoch_max_age))) {
      std::vector<format::Frame> frames;
      STELE_CHECK(encoder_->end_object(frames));
      STELE_CHECK(push(std::move(frames)));
      STELE_CHECK(renew_epoch());
      STELE_CHECK(encoder_->change_epoch(branch_->epoch.id, branch_->epoch.data_key.clone()));
    }
  }
  return Error{ErrorCode::kCancelled, "the agent is stopping", ""};
}

Status LogStreamer::take_data(const WalData& data) {
  if (data.start != encoder_->position()) {
    return Error{ErrorCode::kProtocol, fmt::format("the server sent {} where {} was expected", data.start.to_string(),
                                                   encoder_->position().to_string()), ""};
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
