#include <fmt/format.h>

#include "agent/stream/branch.h"
#include "core/config/log.h"

namespace stele::agent {

// LogStreamer: does what receivers hold count? Log beyond our own memory may be another server's; log behind a hole restores nothing.

void LogStreamer::receiver_holds(const std::string& receiver, std::vector<HeldLog> held) {
  for (const HeldLog& log : held) on_receiver_claims(receiver, log);
  held_[receiver] = std::move(held);
}

void LogStreamer::on_receiver_claims(const std::string& receiver, const HeldLog& held) {
  {
    std::lock_guard lock(mutex_);
    claims_.tell(receiver, held);
    if (held.stream != claims_.stream()) return;
    count_claims_locked();
    if (claims_.open().empty()) return;
    claims_told_ = true;
  }
  if (interrupt_) interrupt_->wake();
}

bool LogStreamer::on_receiver_fork(const std::string& receiver, const StreamId& stream) {
  {
    std::lock_guard lock(mutex_);
    if (stream == claims_.stream()) {
      if (!claims_.inherited()) return false;
      fork_told_ = receiver;
    }
  }
  if (interrupt_) interrupt_->wake();
  return true;
}

void LogStreamer::count_claims_locked() {
  for (const std::string& receiver : claims_.receivers()) {
    policy_.receiver_durable(receiver, claims_.stream(), *claims_.counted(receiver), clock_.steady_now());
  }
}

/// A reason to leave the current stream, if a receiver holds log of it that is not this server's. Asked before anything is sealed.
Result<std::optional<std::string>> LogStreamer::compare_claims(const BranchDecision& decision, const KnownBranch& current, const ServerFacts& facts) {
  const StreamId stream = current.record.stream();
  std::vector<ReceiverClaims::Claim> open;
  {
    std::lock_guard lock(mutex_);
    claims_.continue_stream(stream, decision.begin);
    claims_told_ = false;
    count_claims_locked();
    open = claims_.open();
    if (const std::string receiver = std::exchange(fork_told_, {}); !receiver.empty()) {
      return std::optional(fmt::format("receiver {} holds another log of this branch", receiver));
    }
  }
  for (const ReceiverClaims::Claim& claim : open) {
    const Position end = claim.held.end;
    const std::string held = fmt::format("the {} that receiver {} holds", end.to_string(), claim.receiver);
    const bool other_timeline = decision.kind == BranchDecision::Kind::kFinishOld && end > decision.switch_point;
    if (!other_timeline) {
      if (facts.flush < end) return std::optional(fmt::format("the server's log ends at {}, behind {}", facts.flush.to_string(), held));
      auto tag = server_tag(current.record, decision.timeline, end);
      if (!tag.ok() && tag.error().code == ErrorCode::kGap) {
        return std::optional(fmt::format("the server has no log any more to compare with {}", held));
      }
      if (!tag.ok()) return tag.error().in("compare with what receiver " + claim.receiver + " holds");
      if (*tag != *claim.held.join) return std::optional(fmt::format("the server's log differs from the one up to {}", held));
      log::info("a receiver holds more than the spool did, and it is the server's log", {{"receiver", claim.receiver}, {"end", end}});
    }
    std::lock_guard lock(mutex_);
    // What the new primary left behind is not compared: nothing of it will be confirmed.
    other_timeline ? claims_.set_aside(claim) : claims_.confirm(claim);
    count_claims_locked();
  }
  return std::optional<std::string>{};
}

/// The join tag that the server's log has at `end`, as the log of this branch. Reads its WAL segment again, on a connection without the
/// slot that never reports a position. kGap: the server does not have it any more.
Result<JoinTag> LogStreamer::server_tag(const format::BranchRecord& branch, std::uint32_t timeline, Position end) {
  const std::uint64_t segment = branch.segment_size;
  ConnectOptions options;
  options.mode = ConnectionMode::kReplication;
  options.application_name = options_.application_name + " compare";
  options.wal_sender_timeout_ms = options_.wal_sender_timeout_ms;
  STELE_TRY(const ServerAddress primary, primary_address());
  STELE_TRY(PgConnection connection, PgConnection::connect(primary, options, clock_.steady_now() + kConnectDeadline, interrupt_));
  WalStreamOptions from;
  from.start = std::max(overlap_begin(end, segment), Position{branch.fork.value - branch.fork.value % segment});
  from.timeline = timeline;
  STELE_TRY(WalStream stream, WalStream::start(std::move(connection), from, clock_, clock_.steady_now() + kQueryDeadline));
  format::JoinTagger tagger(keys_.key.signing.suite(), keys_.key.join_tag_key, branch.stream(), segment, from.start);
  const Instant deadline = clock_.steady_now() + kCompareDeadline;
  while (tagger.position() < end) {
    STELE_TRY(WalEvent event, stream.next(deadline));
    if (interrupt_->stopped()) return Error{ErrorCode::kCancelled, "the agent is stopping", ""};
    if (const auto* data = std::get_if<WalData>(&event)) {
      tagger.update(data->bytes.first(std::min<std::uint64_t>(data->bytes.size(), end - tagger.position())));
    } else if (std::get_if<EndOfTimeline>(&event) != nullptr || std::get_if<ServerShutdown>(&event) != nullptr || clock_.steady_now() >= deadline) {
      return Error{ErrorCode::kTemporary, fmt::format("the server's log was not sent up to {}", end.to_string()), ""};
    }
  }
  return tagger.tag();
}

bool LogStreamer::receiver_lacks(const std::string& receiver, const StreamId& stream, Position from, bool lost) {
  {
    std::lock_guard lock(mutex_);
    // It says so at each connection, until it took the log behind the hole.
    if (auto known = lacking_.find(receiver); !lost && known != lacking_.end() && known->second.log.stream == stream && known->second.log.from >= from) {
      return false;
    }
    lacking_[receiver] = {{stream, from}, ++last_lack_};
    policy_.receiver_lacks(receiver, true, clock_.steady_now());
  }
  log::error("the receiver does not count for the quorum until a snapshot is committed there", {{"receiver", receiver}, {"from", from}});
  return true;
}

std::map<std::string, LogStreamer::Lack> LogStreamer::lacking() const {
  std::lock_guard lock(mutex_);
  return lacking_;
}

void LogStreamer::snapshot_committed(const std::string& receiver, const StreamId& stream, Position start,
                                     const std::map<std::string, Lack>& when_it_began) {
  {
    std::lock_guard lock(mutex_);
    auto lack = lacking_.find(receiver);
    auto before = when_it_began.find(receiver);
    if (lack == lacking_.end() || before == when_it_began.end() || lack->second.number != before->second.number) return;
    if (stream == lack->second.log.stream && start < lack->second.log.from) return;
    lacking_.erase(lack);
    policy_.receiver_lacks(receiver, false, clock_.steady_now());
  }
  log::info("the receiver has a snapshot and the log behind it: it counts for the quorum again", {{"receiver", receiver}});
  interrupt_->wake();
}

void LogStreamer::save_lacking() {
  Status saved = state_.update([this](AgentFacts& facts) {
    facts.lacking.clear();
    for (const auto& [receiver, lack] : lacking()) facts.lacking[receiver] = lack.log;
  });
  if (!saved.ok()) log::log_error(saved.error().in("note which receivers do not count"));
}

}  // namespace stele::agent
