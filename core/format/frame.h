#pragma once

#include <optional>

#include "core/base/time.h"
#include "core/format/record.h"

namespace stele::format {

enum class FrameKind : std::uint8_t {
  kLog = 1,    ///< bytes [start, end) of the log
  kAsOf = 2,   ///< no bytes: the source was at `end`, idle, at `server_time`
  kIndex = 3,  ///< the index block that ends an object
};

/// The clear header of a frame: FORMATS.md section 4. All of it is authenticated: the AEAD covers what stands before the payload hash, the
/// chain and the batch signature cover all of it.
struct FrameHeader {
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;
  Engine engine = Engine::kPostgres;
  FrameKind kind = FrameKind::kLog;
  bool context_reset = false;  ///< compressed by itself (a whole zstd frame); else in the context of the object's earlier frames
  bool last = false;           ///< no frame of this object follows
  StreamId stream;
  Generation generation;
  EpochId epoch;
  ObjectId object;
  std::uint32_t number = 0;  ///< 0, 1, 2 ... within the object; also the AEAD counter
  std::uint32_t payload_size = 0;
  Position start, end;
  Timestamp min_commit, max_commit;  ///< commit and abort records that end in the frame; none: 0
  Timestamp server_time;             ///< the source's clock when it was at `end`
  JoinTag join;                      ///< join tag at `end`
  std::optional<JoinTag> join_start; ///< join tag at `start`; frame 0 of an object has it
  Digest previous;                   ///< hash of the header before; zero in frame 0
  Digest payload_hash;

  std::uint64_t raw_size() const { return end - start; }
};

inline constexpr std::size_t kMaxFramePayload = 1 << 20;
inline constexpr std::uint64_t kMaxFrameRaw = 768 << 10;
/// Where an object is cut: the log frame that reaches it is the last one.
inline constexpr std::uint64_t kMaxObjectRaw = 16 << 20;
/// Frames of one object, its index block included: bounds the index block below kMaxFramePayload.
inline constexpr std::uint32_t kMaxObjectFrames = 4096;
inline constexpr std::size_t kMaxFrameHeader = 1024;

/// The header up to the payload hash, for sealing: what the AEAD authenticates beside the payload. A reader takes the stored bytes instead
/// (Frame::associated_data).
Bytes frame_associated_data(const FrameHeader& header);
/// The whole header as stored.
Bytes encode_frame_header(const FrameHeader& header);

/// A frame as stored and sent: header, payload, signature (possibly empty). Owns its bytes; copies are explicit.
class Frame {
 public:
  Frame(const FrameHeader& header, Bytes header_bytes, Bytes payload);

  const FrameHeader& header() const { return header_; }
  ByteView header_bytes() const { return header_bytes_; }
  /// The stored header up to the payload hash.
  ByteView associated_data() const { return ByteView(header_bytes_).first(header_bytes_.size() - Digest::kSize); }
  ByteView payload() const { return payload_; }
  ByteView signature() const { return signature_; }
  void set_signature(Bytes signature) { signature_ = std::move(signature); }
  /// Hash of the stored header: the chain head after this frame.
  const Digest& head() const { return head_; }
  std::size_t encoded_size() const { return header_bytes_.size() + payload_.size() + 2 + signature_.size(); }
  void encode_to(Bytes& out) const;
  Bytes encode() const;

 private:
  FrameHeader header_;
  Bytes header_bytes_, payload_, signature_;
  Digest head_;
};

/// What the signature of a write batch's last frame covers (TRUST section 2).
Bytes batch_signature_message(const FrameHeader& header, const Digest& head);

/// Signs a frame as the last of its batch. `agent` has the frame's suite.
void sign_batch(Frame& frame, const crypto::SigningKey& agent);

/// Reads one frame from the front of `bytes`; `used` is its length. kDamaged, kUnsupported. The payload hash is checked,
/// the chain and the signature are the reader's (FrameChain).
Result<Frame> parse_frame(ByteView bytes, std::size_t& used);
/// The same for bytes that hold exactly one frame.
Result<Frame> parse_frame(ByteView bytes);
/// Only the header, for lists and indexes.
Result<FrameHeader> parse_frame_header(ByteView bytes, std::size_t& header_size);

/// Follows the frames of one object: numbers, chain, positions, identity. No keys needed. After an error it stays failed.
class FrameChain {
 public:
  /// kDamaged where the frame does not follow the one before (or is not number 0 when it is the first).
  Status accept(const Frame& frame);
  /// Verifies the frame's signature over everything accepted so far; kForged. Call after accept().
  Status verify(const Frame& frame, const crypto::VerifyKey& key);

  /// For a reader that starts in the middle: trust what a stored, already verified run says.
  void resume(const FrameHeader& last, const Digest& head);

  bool started() const { return last_.has_value(); }
  const FrameHeader& last() const { return *last_; }
  const Digest& head() const { return head_; }
  Position verified_end() const { return verified_end_; }  ///< end of the last frame under a verified signature
  bool finished() const { return last_ && last_->last; }

 private:
  Status check_follows(const Frame& frame) const;
  std::optional<FrameHeader> last_;
  std::optional<Position> object_start_;  ///< known where frame 0 was seen
  std::optional<Error> failed_;
  Digest head_;
  Position verified_end_;
};

}  // namespace stele::format
