#pragma once

#include <deque>

#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::agent {

/// Up to which moment the source's commits are off-site: the figure behind RPO in seconds. Remembers the moment behind the end of each
/// batch of sealed frames until receivers hold it. Pure; the owner guards it.
///
/// The moment behind a position is the server's clock where the frame reached the end of the server's log (everything until then is in
/// it), else its newest commit: while the agent catches up, log read now holds commits of long ago.
class RecoveryPoint {
 public:
  /// `begun`: what was sealed before is taken to be as old as this.
  explicit RecoveryPoint(Timestamp begun) : reached_{{}, begun} {}

  /// Another stream: positions do not go on.
  void begin_stream();
  /// Frames up to `end` were sealed; `last_commit` of them (none: no commit). `server_end` and `server_time`: as last heard.
  void sealed(Position end, Timestamp last_commit, Position server_end, Timestamp server_time);
  /// The server said where its log ends, at its time.
  void heard(Position server_end, Timestamp server_time);
  /// Everything until this moment is at or before `end`, which receivers hold. Never goes back.
  Timestamp reached(Position end);

 private:
  struct Mark {
    Position end;
    Timestamp time;
  };
  std::deque<Mark> marks_;  ///< sealed, not yet reached
  Mark reached_;
};

}  // namespace stele::agent
