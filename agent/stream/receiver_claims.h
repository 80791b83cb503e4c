#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/identity.h"

namespace stele::agent {

/// What a receiver says it holds of a stream.
struct HeldLog {
  StreamId stream;
  Position end;
  std::optional<JoinTag> join;  ///< there
  bool operator==(const HeldLog&) const = default;
};

/// What receivers say they hold beyond what this agent remembers having sent. After a crash that is ordinary: frames are sent while the
/// spool syncs them. After this host went back in time (a virtual machine reverted, a clone) it is another history under the same
/// positions. Only the server's log can tell: until it was compared at the claim's end, a claim counts for no more than what was known
/// when the agent began. Pure; the owner guards it.
class ReceiverClaims {
 public:
  struct Claim {
    std::string receiver;
    HeldLog held;
  };

  /// A branch that this process began: nobody else wrote it, no claim beyond what was sent can be true.
  void begin_stream(const StreamId& stream);
  /// A branch from before this process, streamed from `known_end` on; said again at each connection, the first position counts.
  void continue_stream(const StreamId& stream, Position known_end);
  /// Takes the place of what this receiver said of that stream before.
  void tell(const std::string& receiver, const HeldLog& held);
  /// The receiver acknowledged what this process sent: what it claimed before does not count any more.
  void supersede(const std::string& receiver, const StreamId& stream);

  /// Claims of the current stream to be compared with the server's log.
  std::vector<Claim> open() const;
  /// The server's log is the claimed one.
  void confirm(const Claim& claim);
  /// It cannot be compared, and need not be: it never counts.
  void set_aside(const Claim& claim);
  /// Up to where the current stream counts as held there; nothing where the receiver claimed nothing.
  std::optional<Position> counted(const std::string& receiver) const;
  /// Whose claims of the current stream count.
  std::vector<std::string> receivers() const;
  /// The current stream is from before this process.
  bool inherited() const { return inherited_; }
  const StreamId& stream() const { return stream_; }

 private:
  enum class State { kOpen, kConfirmed, kSetAside };
  struct Told {
    HeldLog held;
    State state = State::kOpen;
    bool superseded = false;
  };
  void settle(const Claim& claim, State state);
  std::map<StreamId, std::map<std::string, Told>> told_;  ///< also of streams that are not current yet
  StreamId stream_;
  Position known_end_;
  bool inherited_ = false;
};

}  // namespace stele::agent
