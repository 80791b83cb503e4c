#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/format/frame.h"
#include "core/protocol/messages.h"
#include "receiver/ingest/range_set.h"

namespace stele::receiver {

/// The last of consecutive frames that are held of an object: enough to go on with its chain.
struct ObjectProgress {
  format::FrameHeader last;
  Digest head;
};

/// Consecutive frames of one object that are lost.
struct LostFrames {
  ObjectId object;
  std::uint32_t first = 0, last = 0;
  PositionRange range;
};

/// What is durably held of one stream, in runs and in the journal. Pure; the owner guards it.
class StreamLedger {
 public:
  explicit StreamLedger(StreamId stream) : stream_(stream) {}

  /// A frame became durable (or was found so at start, in any order). False: it was held before.
  bool add_frame(const format::FrameHeader& header, const Digest& head);
  /// A run in the store: its range, its join tags (zero: not known), the number of its first frame and its last frame.
  void add_run(PositionRange range, const JoinTag& join_start, std::uint32_t first, const format::FrameHeader& last, const Digest& head);
  /// These frames are not held after all: what is sent of them again is stored again. `before`: the frame before them, where it is held
  /// and known; without it the frames of the object that come before the lost ones count as lost too, until the next start.
  void lose(const LostFrames& lost, const std::optional<ObjectProgress>& before);

  /// False also when the object is older than the newest few hundred.
  bool holds(const ObjectId& object, std::uint32_t number) const;
  /// The last frame of the nearest row of consecutive held frames that ends before `number`; nullptr when there is none.
  const ObjectProgress* before(const ObjectId& object, std::uint64_t number) const;
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
  /// Consecutive held frames, by the number of the first. Rows neither touch nor overlap.
  using Rows = std::map<std::uint32_t, ObjectProgress>;
  void remember(std::uint32_t first, const format::FrameHeader& last, const Digest& head);
  static void add_row(Rows& rows, std::uint32_t first, ObjectProgress progress);
  void remember_tag(Position position, const JoinTag& tag);

  StreamId stream_;
  RangeSet ranges_;
  std::unordered_map<ObjectId, Rows> objects_;
  std::deque<ObjectId> object_order_;
  std::map<Position, JoinTag> tags_;
  std::optional<ObjectProgress> last_;
  Position sealed_end_;
  Timestamp last_server_time_;
  Generation highest_generation_;
};

}  // namespace stele::receiver
