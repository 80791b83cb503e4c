#pragma once

#include <map>
#include <optional>
#include <string>

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

  /// A new branch: receivers' positions count anew.
  void begin_stream(const StreamId& stream);
  void spool_durable(Position end, Instant now);
  /// What a receiver holds contiguously of the current stream; other streams are ignored.
  void receiver_durable(const std::string& receiver, const StreamId& stream, Position end, Instant now);
  /// Time passes: may begin to degrade.
  void tick(Instant now);

  /// Never goes back within a stream; never exceeds what the spool has synced.
  Position confirmed() const { return confirmed_; }
  bool degraded() const { return degraded_; }
  /// A change of `degraded` since the last call: true began, false ended.
  std::optional<bool> take_transition() { return std::exchange(transition_, std::nullopt); }
  /// The position that the quorum holds.
  Position quorum_end() const;

 private:
  void update(Instant now);
  Options options_;
  StreamId stream_;
  Position spool_, confirmed_;
  std::map<std::string, Position> receivers_;
  std::optional<Instant> waiting_since_;  ///< something durable in the spool waits for the quorum since then
  Position waiting_at_;
  bool degraded_ = false;
  std::optional<bool> transition_;
};

}  // namespace stele::agent
