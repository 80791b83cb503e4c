#include <fmt/format.h>

#include <algorithm>

#include "agent/postgres/slot.h"
#include "agent/stream/branch.h"
#include "core/config/log.h"
#include "core/format/fact.h"

namespace stele::agent {

// LogStreamer: which branch is streamed from where, and what becomes of the one before.

namespace {
constexpr auto kReleaseStep = std::chrono::seconds(1);
}  // namespace

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
  if (last->stream == status_.stream && policy_.stored_end() < last->range.end) {
    return Error{ErrorCode::kTemporary, "without a spool a new branch waits until the receivers hold the old one", "the receivers are away or too slow"};
  }
  return {};
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
    f.released.reset();
    f.enrolment = keys_.enrolment_id;
  }));
  branch_ = std::move(next);
  if (hooks_.on_branch) hooks_.on_branch();
  {
    std::lock_guard lock(mutex_);
    policy_.begin_stream(branch_->stream);
    claims_.begin_stream(branch_->stream);
    claims_told_ = false;
    fork_told_.clear();
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
  }
  if (current != nullptr && (!last || last->stream != current->record.stream())) {
    STELE_CHECK(resume_without_spool(connection, facts, *current));
  }
  STELE_TRY(BranchDecision decision, decide_branch(known, current, facts));
  using Kind = BranchDecision::Kind;
  std::optional<std::string> differs;
  if (force_fork_) {
    differs = "the server's log differs from the one streamed";
  } else if (decision.kind == Kind::kContinue || decision.kind == Kind::kFinishOld) {
    STELE_TRY(differs, compare_claims(decision, *current, facts));
  }
  if (differs && decision.kind != Kind::kFirst && decision.kind != Kind::kFork) {
    force_fork_ = true;
    decision.kind = Kind::kFork;
    decision.why = *differs;
    decision.parent.reset();
    decision.abandoned.reset();
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
  branch_->epoch_begun = clock_.steady_now();
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

/// The spool is full and the primary comes first: the slot follows the server's log until half of the spool is free again. The state says
/// so before the slot moves; whether log is really lost shows when streaming goes on (note_gap), for the server may still have it.
void LogStreamer::release_slot() {
  full_since_.reset();
  if (!state_.facts().released) {
    const auto last = spool_.last_frame();
    const ReleasedLog released{branch_->stream, last && last->stream == branch_->stream ? last->range.end : branch_->begin};
    if (Status noted = state_.update([&](AgentFacts& f) { f.released = released; }); !noted.ok()) {
      log::log_error(noted.error().in("the slot is not released"));
      return;
    }
  }
  log::error("the spool is full: the slot is released, log behind this position may be lost", {{"end", state_.facts().released->end}});
  tell([](LogStatus& s) { s.released = s.spool_full = true; });
  std::string told;
  while (!interrupt_->stopped()) {
    spool_.retry();
    if (spool_.has_room()) break;
    Status moved = advance_released_slot();
    const std::string failure = moved.ok() ? "" : moved.error().to_string();
    if (!moved.ok() && failure != told) log::log_error(moved.error().in("release the slot"));
    told = failure;
    pause_until(clock_.steady_now() + kReleaseStep);
  }
  tell([](LogStatus& s) { s.released = false; });
}

Status LogStreamer::advance_released_slot() {
  STELE_TRY(PgConnection connection, connect_primary());
  STELE_TRY(PgConnection sql, PgConnection::connect(connection.address(), ConnectOptions{.application_name = options_.application_name},
                                                    clock_.steady_now() + kConnectDeadline, interrupt_));
  STELE_TRY([[maybe_unused]] const Position now, advance_slot(sql, options_.slot, Position{~std::uint64_t{0}}, clock_.steady_now() + kQueryDeadline));
  return {};
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
  const std::string note = (state_.facts().released ? "released because the spool was full: " : "") + why.what;
  Position lost_from = branch_->begin;
  if (const auto last = spool_.last_frame(); last && last->stream == branch_->stream) lost_from = std::max(lost_from, last->range.end);
  STELE_CHECK(check_old_branch_is_safe());
  if (invalidated) {
    // Where the new slot will begin is not known yet; the log behind `lost_from` is lost either way.
    STELE_CHECK(record_before_acting(format::FactKind::kGap, branch_->stream, {lost_from, facts.flush}, facts.flush - lost_from, note));
    STELE_CHECK(drop_slot(connection, options_.slot, clock_.steady_now() + kQueryDeadline));
    STELE_TRY([[maybe_unused]] const SlotCreated made, ensure_slot(connection, options_.slot, clock_.steady_now() + kQueryDeadline));
  }
  STELE_TRY(const Position from, slot_begin(connection, facts));
  if (!invalidated) {
    if (from <= lost_from) return why;  // it can be served after all: try again
    STELE_CHECK(record_before_acting(format::FactKind::kGap, branch_->stream, {lost_from, from}, from - lost_from, note));
  }
  tell([](LogStatus& status) { ++status.gaps; });
  BranchDecision decision;
  decision.kind = BranchDecision::Kind::kFork;
  decision.why = fmt::format("the log between {} and {} is lost", lost_from.to_string(), from.to_string());
  STELE_CHECK(begin_branch(decision, facts, info, from));
  wanted_snapshot_ = decision.why;
  return why;
}

}  // namespace stele::agent
