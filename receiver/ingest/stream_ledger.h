#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/format/frame.h"
#include "core/protocol/messages.h"
#include "receiver/ingest/range_set.h"

namespace stele::receiver {

/// The last frame that is held of an object: enough to go on with its chain.
struct ObjectProgress {
  format::FrameHeader last;
  Digest head;
};

/// What is durably held of one stream, in runs and in the journal. Pure; the owner guards it.
class StreamLedger {
 public:
  explicit StreamLedger(StreamId stream) : stream_(stream) {}

  /// A frame became durable (or was found so at start, in any order). False: it was held before.
  bool add_frame(const format::FrameHeader& header, const Digest& head);
  /// A run in the store: its range, its join tags (zero: not known) and its last frame.
  void add_run(PositionRange range, const JoinTag& join_start, const format::FrameHeader& last, const Digest& head);

  /// nullptr when the object is not held, or is older than the newest few hundred.
  const ObjectProgress* object(const ObjectId& object) const;
  /// The join tag known for a position.
  std::optional<JoinTag> tag_at(Position position) const;

  const StreamId& stream() const { return stream_; }
  bool empty() const { return !last_.has_value(); }
  /// Up to here runs in the store hold the log; what is behind it is in the journal.
  Position sealed_end() const { return sealed_end_; }
  void sealed(Position end) { sealed_end_ = std::max(sealed_end_, end); }
  Position durable_end() const { return last_ ? last_->last.end : Position{}; }
  const RangeSet& ranges() const { return ranges_; }
  /// The source's clock at the newest frame: until then the database can be restored.
  Timestamp last_server_time() const { return last_server_time_; }
  Generation highest_generation() const { return highest_generation_; }
  protocol::StreamState state() const;

 private:
  void remember(const format::FrameHeader& header, const Digest& head);
  void remember_tag(Position position, const JoinTag& tag);

  StreamId stream_;
  RangeSet ranges_;
  std::unordered_map<ObjectId, ObjectProgress> objects_;
  std::deque<ObjectId> object_order_;
  std::map<Position, JoinTag> tags_;
  std::optional<ObjectProgress> last_;
  Position sealed_end_;
  Timestamp last_server_time_;
  Generation highest_generation_;
};

}  // namespace stele::receiver
