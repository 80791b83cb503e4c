#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/net/byte_stream.h"

namespace stele::net {

/// A framed message: u32 length of type and body (little-endian), u8 type, body.
struct Message {
  std::uint8_t type = 0;
  Bytes body;
};

/// The largest body of each message type; a type that was not allowed is refused.
class MessageLimits {
 public:
  MessageLimits() { limits_.fill(kForbidden); }
  MessageLimits(std::initializer_list<std::pair<std::uint8_t, std::uint32_t>> allowed);
  MessageLimits& allow(std::uint8_t type, std::uint32_t max_body);
  /// kProtocol when the type is not allowed or the body too long.
  Status check(std::uint8_t type, std::uint64_t body_size) const;

 private:
  static constexpr std::int64_t kForbidden = -1;
  std::array<std::int64_t, 256> limits_;
};

/// Bytes in, messages out; pure. The length is checked against the limits before anything is allocated, and the body's
/// buffer grows with what arrives, so an announced length alone costs no memory.
class MessageDecoder {
 public:
  static constexpr std::size_t kHeaderSize = 5;

  explicit MessageDecoder(MessageLimits limits);

  /// The next whole message of the bytes so far, or none. Looks at one message at a time, so set_limits() between two
  /// messages counts for the second even when both came in one read. kProtocol for a forbidden type or length: the
  /// stream is then useless.
  Result<std::optional<Message>> next();

  /// Where the next bytes are to be read to (never empty); large bodies are read straight into their place. To be called
  /// once next() gave none.
  MutableByteView prepare();
  /// `size` bytes were placed at prepare()'s begin.
  void commit(std::size_t size);
  /// prepare and commit with a copy, for any number of bytes.
  void feed(ByteView bytes);
  /// True in the middle of a message: an end of the stream here is a cut.
  bool in_message() const;
  /// The limits of all messages after the one that next() gave last (a role's set after the greeting).
  void set_limits(MessageLimits limits) { limits_ = limits; }

 private:
  MessageLimits limits_;
  Bytes buffer_;
  std::size_t begin_ = 0, end_ = 0;  ///< unparsed bytes of buffer_
  bool have_header_ = false;
  std::uint32_t body_size_ = 0;
  std::size_t body_have_ = 0;
  bool into_body_ = false;  ///< what the last prepare() gave
  Message current_;
};

/// Whole messages over a ByteStream. Use on the stream's executor. One coroutine reads; any number may send: messages go
/// out whole and in the order of the calls, several small ones in one write.
class MessageStream {
 public:
  /// max_queued: bytes of bodies that may wait to be sent by post(); write() waits instead.
  MessageStream(std::unique_ptr<ByteStream> stream, MessageLimits limits, std::size_t max_queued = 1 << 20);
  /// Closes the stream.
  ~MessageStream();
  MessageStream(const MessageStream&) = delete;
  MessageStream& operator=(const MessageStream&) = delete;

  /// The next message. kTimeout (may be repeated; a half-read message is kept), kClosed at an end between messages,
  /// kProtocol for a cut in a message, a forbidden type or length, and ByteStream's.
  [[nodiscard]] Task<Result<Message>> read(Instant deadline = kNoDeadline);

  /// Sends one message whose body is the pieces one after the other, without copying large ones; returns when they were
  /// handed to the operating system. The pieces stay valid until then: never cancel this, use the deadline.
  /// The deadline closes the stream when it passes: a half-sent message cannot be continued.
  [[nodiscard]] Task<Status> write(std::uint8_t type, std::vector<ByteView> pieces, Instant deadline = kNoDeadline);

  /// Queues one message and returns at once; kLimit when max_queued would be passed, or the error that ended sending.
  Status post(std::uint8_t type, Bytes body);
  /// Waits until everything queued was handed to the operating system.
  [[nodiscard]] Task<Status> flush();

  std::size_t queued_bytes() const;
  void set_limits(MessageLimits limits);
  void close();
  [[nodiscard]] Task<void> shutdown();
  const PeerIdentity& peer() const;
  const std::string& peer_address() const;
  boost::asio::any_io_executor executor();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stele::net
