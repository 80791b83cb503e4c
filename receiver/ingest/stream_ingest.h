#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/format/frame.h"
#include "core/protocol/messages.h"
#include "receiver/ingest/stream_ledger.h"

namespace stele::receiver {

/// What to do with a frame that was accepted.
struct IngestVerdict {
  /// Frames to write to the journal together: everything new up to a signed frame. Empty while nothing is signed, or all is held.
  std::vector<format::Frame> store;
  /// To be sent when `store`, and all that was accepted before, is durable. Nothing: the batch is not signed yet.
  std::optional<protocol::Ack> ack;
  /// The object begins behind what is held: this range is missing here. Not an error; it is shown until something fills it.
  std::optional<PositionRange> gap;
};

/// Judges the frames of one stream in one session, in order: pure. After an error it is not used again.
class StreamIngest {
 public:
  /// Gives the key that signs this frame's epoch, or why the frame may not be written: the epoch is not held durably (kNotFound), belongs
  /// to another stream or enrolment, the enrolment is withdrawn (kUnauthorised). Asked at the first frame of an object and at each
  /// signed one. The pointer stays valid until the next call.
  using KeyFor = std::function<Result<const crypto::VerifyKey*>(const format::FrameHeader&)>;

  /// `generation`: the session's; frames of earlier ones come from its spool.
  StreamIngest(StreamId stream, Generation generation, KeyFor key_for, std::size_t max_unsigned = protocol::kMaxUnsignedBytes)
      : stream_(stream), generation_(generation), key_for_(std::move(key_for)), max_unsigned_(max_unsigned) {}

  /// kDamaged: chain or bytes; kForged: signature; kFork: a join tag differs from the held one; kSuperseded: a generation above the
  /// session's; kProtocol: order. `held` is what is durable now.
  Result<IngestVerdict> accept(format::Frame frame, const StreamLedger& held);

  const StreamId& stream() const { return stream_; }
  std::size_t unsigned_bytes() const { return unsigned_bytes_; }

 private:
  Status begin_object(const format::Frame& frame, const StreamLedger& held, IngestVerdict& verdict);
  Status check_held(const format::Frame& frame, const StreamLedger& held, bool& is_held) const;

  StreamId stream_;
  Generation generation_;
  KeyFor key_for_;
  std::size_t max_unsigned_;
  std::optional<format::FrameChain> chain_;  ///< of the current object
  std::vector<format::Frame> pending_;       ///< new frames since the last signed one
  std::size_t unsigned_bytes_ = 0;           ///< held ones included
  Position reached_;                         ///< end of everything accepted in this session
};

}  // namespace stele::receiver
