#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace stele {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(ByteView bytes) { return Bytes(bytes.begin(), bytes.end()); }
bool equal(ByteView a, ByteView b);  ///< not constant-time; for secrets use crypto's

/// For hash tables in memory. Another function in each process: who chooses the bytes (names in foreign lists) cannot make them collide.
std::size_t hash_of(ByteView bytes) noexcept;

std::string to_hex(ByteView bytes);
/// Lower or upper case; an odd length or another character is kDamaged.
Result<Bytes> from_hex(std::string_view text);

/// A value of N bytes that is not interchangeable with another of the same size: `using ObjectId = FixedBytes<32, struct ObjectIdTag>`.
template <std::size_t N, typename Tag>
struct FixedBytes {
  static constexpr std::size_t kSize = N;
  std::array<std::uint8_t, N> data{};

  auto operator<=>(const FixedBytes&) const = default;
  ByteView view() const { return data; }
  MutableByteView view() { return data; }
  bool is_zero() const {
    for (auto b : data) {
      if (b != 0) return false;
    }
    return true;
  }
  std::string hex() const { return to_hex(data); }
  /// The first eight hex digits, for messages.
  std::string short_hex() const { return hex().substr(0, 8); }
  static Result<FixedBytes> from(ByteView bytes) {
    if (bytes.size() != N) return Error{ErrorCode::kDamaged, "wrong size of an identity", ""};
    FixedBytes out;
    std::copy(bytes.begin(), bytes.end(), out.data.begin());
    return out;
  }
  static Result<FixedBytes> parse_hex(std::string_view text) {
    STELE_TRY(Bytes bytes, from_hex(text));
    return from(bytes);
  }
};

/// Appends little-endian fields to a buffer. Every layout of Stele on disk and on the wire is little-endian.
class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}

  void u8(std::uint8_t v) { out_.push_back(v); }
  void u16(std::uint16_t v) { put(v, 2); }
  void u32(std::uint32_t v) { put(v, 4); }
  void u64(std::uint64_t v) { put(v, 8); }
  void i64(std::int64_t v) { put(static_cast<std::uint64_t>(v), 8); }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void raw(std::string_view text) { raw(as_bytes(text)); }
  /// u16 length, then the bytes; for names. The caller keeps them under 65,536 bytes.
  void str16(std::string_view text) { u16(static_cast<std::uint16_t>(text.size())); raw(text); }
  /// u32 length, then the bytes.
  void blob32(ByteView bytes) { u32(static_cast<std::uint32_t>(bytes.size())); raw(bytes); }
  std::size_t position() const { return out_.size(); }
  /// Overwrites a u32 written earlier, for lengths known only at the end.
  void patch_u32(std::size_t position, std::uint32_t v);

 private:
  void put(std::uint64_t v, int size) {
    for (int i = 0; i < size; ++i) out_.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
  }
  Bytes& out_;
};

/// Reads little-endian fields. Reading past the end sets `failed()` and gives zeros: parse a whole layout, then ask once.
class ByteReader {
 public:
  explicit ByteReader(ByteView in) : in_(in) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(get(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(get(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(get(4)); }
  std::uint64_t u64() { return get(8); }
  std::int64_t i64() { return static_cast<std::int64_t>(get(8)); }
  /// A view into the input: valid as long as the input is.
  ByteView raw(std::size_t size);
  std::string str16() { return std::string(as_text(raw(u16()))); }
  ByteView blob32() { return raw(u32()); }
  template <std::size_t N, typename Tag>
  void fixed(FixedBytes<N, Tag>& out) {
    ByteView bytes = raw(N);
    if (bytes.size() == N) std::copy(bytes.begin(), bytes.end(), out.data.begin());
  }

  std::size_t position() const { return pos_; }
  std::size_t remaining() const { return in_.size() - pos_; }
  ByteView rest() const { return in_.subspan(pos_); }
  bool failed() const { return failed_; }
  /// kDamaged "LAYOUT: ends early" / "LAYOUT: N bytes too many" unless everything was read and nothing was missing.
  Status finish(std::string_view layout) const;

 private:
  std::uint64_t get(std::size_t size);
  ByteView in_;
  std::size_t pos_ = 0;
  bool failed_ = false;
};

}  // namespace stele

template <std::size_t N, typename Tag>
struct std::hash<stele::FixedBytes<N, Tag>> {
  std::size_t operator()(const stele::FixedBytes<N, Tag>& value) const noexcept { return stele::hash_of(value.view()); }
};
