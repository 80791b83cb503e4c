#pragma once

#include <deque>
#include <map>
#include <optional>

#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::agent {

/// What this process has sent to one receiver: what waits for its acknowledgement, and how far each stream was acknowledged. It outlives
/// the sessions: an answer that was lost with the line is found again in what the receiver says it holds. Pure.
class SentLog {
 public:
  /// A signed frame, which an acknowledgement can name.
  struct Sent {
    std::uint64_t sequence = 0;  ///< in the spool
    ObjectId object;
    std::uint32_t number = 0;
    StreamId stream;
    Position end;
    Instant at{};
  };
  void sent(const Sent& frame) { waiting_.push_back(frame); }
  bool waiting() const { return !waiting_.empty(); }
  /// The receiver has this frame and all before it; nothing where it was not waited for.
  std::optional<Sent> acknowledged(const ObjectId& object, std::uint32_t number);
  /// It was sent by this process: acknowledged, or sent and not answered yet. Call before begin_session().
  bool explains(const StreamId& stream, Position end, const ObjectId& object, std::uint32_t number);
  /// Nothing is under way any more.
  void begin_session() { waiting_.clear(); }

 private:
  std::deque<Sent> waiting_;
  std::map<StreamId, Position> ends_;
};

}  // namespace stele::agent
