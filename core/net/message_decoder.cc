#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/net/message_stream.h"

namespace stele::net {

namespace {

constexpr std::size_t kBufferSize = 64 * 1024;
/// A body's first piece; it doubles as bytes arrive. Its whole address range is taken at once, so that it never moves; memory is used by
/// what really came.
constexpr std::size_t kFirstBody = 64 * 1024;
/// A body that misses at least this much is read straight into its place.
constexpr std::size_t kDirect = 4 * 1024;

}  // namespace

MessageLimits::MessageLimits(std::initializer_list<std::pair<std::uint8_t, std::uint32_t>> allowed) : MessageLimits() {
  for (const auto& [type, max_body] : allowed) allow(type, max_body);
}

MessageLimits& MessageLimits::allow(std::uint8_t type, std::uint32_t max_body) {
  limits_[type] = max_body;
  return *this;
}

Status MessageLimits::check(std::uint8_t type, std::uint64_t body_size) const {
  const std::int64_t limit = limits_[type];
  if (limit == kForbidden) {
    return Error{ErrorCode::kProtocol, fmt::format("message of type {} is not allowed here", type),
                 "the two programs may be of different versions, or the peer is not Stele"};
  }
  if (body_size > static_cast<std::uint64_t>(limit)) {
    return Error{ErrorCode::kProtocol, fmt::format("message of type {} announces {} bytes, at most {} are allowed", type, body_size, limit),
                 "the two programs may be of different versions, or the peer is not Stele"};
  }
  return {};
}

MessageDecoder::MessageDecoder(MessageLimits limits) : limits_(limits) {}

MutableByteView MessageDecoder::prepare() {
  into_body_ = have_header_ && begin_ == end_ && body_size_ - body_have_ >= kDirect;
  if (into_body_) {
    if (body_have_ == current_.body.size()) {
      current_.body.resize(std::min<std::size_t>(body_size_, std::max(kFirstBody, 2 * body_have_)));
    }
    return MutableByteView(current_.body).subspan(body_have_);
  }
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(buffer_.size() + kBufferSize);
  return MutableByteView(buffer_).subspan(end_);
}

void MessageDecoder::commit(std::size_t size) {
  if (into_body_) {
    body_have_ += size;
  } else {
    end_ += size;
  }
}

void MessageDecoder::feed(ByteView bytes) {
  while (!bytes.empty()) {
    MutableByteView room = prepare();
    const std::size_t take = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), take);
    commit(take);
    bytes = bytes.subspan(take);
  }
}

Result<std::optional<Message>> MessageDecoder::next() {
  if (!have_header_) {
    if (end_ - begin_ < kHeaderSize) return std::optional<Message>();
    ByteReader reader(ByteView(buffer_).subspan(begin_, kHeaderSize));
    const std::uint32_t length = reader.u32();
    const std::uint8_t type = reader.u8();
    if (length == 0) return Error{ErrorCode::kProtocol, "message of length 0: it has no type", "the peer is not Stele"};
    STELE_CHECK(limits_.check(type, length - 1));
    begin_ += kHeaderSize;
    have_header_ = true;
    body_size_ = length - 1;
    body_have_ = 0;
    current_.type = type;
    current_.body.reserve(body_size_);
  }
  const std::size_t take = std::min<std::size_t>(body_size_ - body_have_, end_ - begin_);
  if (take > 0) {
    current_.body.resize(std::max(current_.body.size(), body_have_ + take));
    std::memcpy(current_.body.data() + body_have_, buffer_.data() + begin_, take);
    begin_ += take;
    body_have_ += take;
  }
  if (body_have_ < body_size_) return std::optional<Message>();
  have_header_ = false;
  return std::optional<Message>(std::exchange(current_, Message{}));
}

bool MessageDecoder::in_message() const { return have_header_ || begin_ != end_; }

}  // namespace stele::net
