#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/net/identity.h"

namespace stele::net {

template <typename T>
using Task = boost::asio::awaitable<T>;

/// "No deadline".
inline constexpr Instant kNoDeadline = Instant::max();

inline Instant deadline_in(std::chrono::nanoseconds from_now) {
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(from_now);
}

/// The transport seam: an ordered, authenticated stream of bytes in both directions.
///
/// Use everything on executor() (a strand): one read and one write may be under way at the same time, never two of a kind.
/// Errors: kClosed when the peer ended (an orderly end and a cut line differ only in the text: the framing above must
/// know whether a message was whole), kCancelled after close() or when the program stops, kTimeout when the deadline
/// passed, kUnauthorised when the peer refused our certificate, kProtocol for bytes that are not the transport's, kIo.
/// A read that timed out may be repeated, nothing is lost. After any other error, and after a write that timed out, the
/// stream only serves to be closed.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// At least one byte, at most out.size(). `out` stays valid until the result is there.
  [[nodiscard]] virtual Task<Result<std::size_t>> read_some(MutableByteView out) = 0;
  /// Every byte of every piece, in order, handed to the operating system. The pieces and the span stay valid until then.
  [[nodiscard]] virtual Task<Status> write_all(std::span<const ByteView> pieces) = 0;

  /// The moment at which reads (writes) give up with kTimeout; holds for operations started afterwards, until set anew.
  virtual void set_read_deadline(Instant deadline) = 0;
  virtual void set_write_deadline(Instant deadline) = 0;

  /// Ends at once; operations under way return kCancelled. Idempotent.
  virtual void close() = 0;
  /// Tells the peer that nothing follows (TLS: close_notify), then closes. Bounded by the write deadline and 2 seconds.
  [[nodiscard]] virtual Task<void> shutdown() = 0;

  virtual const PeerIdentity& peer() const = 0;
  /// "192.0.2.7:41234", for messages and limits.
  virtual const std::string& peer_address() const = 0;
  virtual boost::asio::any_io_executor executor() = 0;
};

}  // namespace stele::net
