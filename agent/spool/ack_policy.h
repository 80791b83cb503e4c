#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::agent {

/// Decides which position may be reported to PostgreSQL (promise P1). Pure: told what is durable where, and the time.
class AckPolicy {
 public:
  struct Options {
    bool spool_only = false;   ///< ack = "spool"
    int quorum = 1;            ///< receivers that must hold it
    bool may_degrade = false;  ///< on_quorum_loss = "degrade"
    Duration degrade_after{};
  };
  explicit AckPolicy(Options options) : options_(options) {}

  /// A new branch. What receivers said about it before counts, what they said about others does not.
  void begin_stream(const StreamId& stream);
  void spool_durable(Position end, Instant now);
  /// What a receiver holds contiguously of a stream; it counts while that is the current one. May go back: it rolled back.
  void receiver_durable(const std::string& receiver, const StreamId& stream, Position end, Instant now);
  /// An earlier part is missing there, or what it held was lost: what it acknowledges restores nothing and does not count, until it is whole.
  void receiver_lacks(const std::string& receiver, bool lacks, Instant now);
  /// Time passes: may begin to degrade.
  void tick(Instant now);

  /// Never goes back within a stream; never exceeds what the spool has synced.
  Position confirmed() const { return confirmed_; }
  bool degraded() const { return degraded_; }
  /// A change of `degraded` since the last call: true began, false ended.
  std::optional<bool> take_transition() { return std::exchange(transition_, std::nullopt); }
  /// The position that the quorum holds.
  Position quorum_end() const { return kth_end(true); }
  /// The same with those receivers too that lack an earlier part.
  Position stored_end() const { return kth_end(false); }

 private:
  void update(Instant now);
  Position kth_end(bool whole_only) const;
  Options options_;
  StreamId stream_;
  Position spool_, confirmed_;
  std::map<StreamId, std::map<std::string, Position>> receivers_;  ///< by stream: a receiver may tell before the stream begins here
  std::set<std::string> lacking_;
  std::optional<Instant> waiting_since_;  ///< something durable in the spool waits for the quorum since then
  Position waiting_at_;
  bool degraded_ = false;
  /// While degraded: the spool's end at a moment. A quorum that gets there within degrade_after keeps up again.
  Position probe_;
  Instant probe_since_{};
  std::optional<bool> transition_;
};

}  // namespace stele::agent
