#include "core/base/bytes.h"

#include <fmt/format.h>
#include <sys/auxv.h>

namespace stele {

namespace {

/// The 16 random bytes that the kernel gives to each process.
std::array<std::uint64_t, 2> process_seed() {
  std::array<std::uint64_t, 2> seed{};
  std::memcpy(seed.data(), reinterpret_cast<const void*>(::getauxval(AT_RANDOM)), sizeof(seed));
  seed[1] |= 1;
  return seed;
}

}  // namespace

std::size_t hash_of(ByteView bytes) noexcept {
  static const std::array<std::uint64_t, 2> kSeed = process_seed();
  std::uint64_t h = kSeed[0] ^ bytes.size();
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(h)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, std::min(sizeof(word), bytes.size() - at));
    const auto product = static_cast<unsigned __int128>(h ^ word) * kSeed[1];
    h = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  return h;
}

bool equal(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

std::string to_hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (auto b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return Error{ErrorCode::kDamaged, "hexadecimal text of odd length", ""};
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return Error{ErrorCode::kDamaged, "a character that is not hexadecimal", ""};
    out.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return out;
}

void ByteWriter::patch_u32(std::size_t position, std::uint32_t v) {
  for (std::size_t i = 0; i < 4; ++i) out_[position + i] = static_cast<std::uint8_t>(v >> (8 * i));
}

ByteView ByteReader::raw(std::size_t size) {
  if (failed_ || size > remaining()) {
    failed_ = true;
    return {};
  }
  ByteView out = in_.subspan(pos_, size);
  pos_ += size;
  return out;
}

std::uint64_t ByteReader::get(std::size_t size) {
  ByteView bytes = raw(size);
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) v |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  return v;
}

Status ByteReader::finish(std::string_view layout) const {
  if (failed_) return Error{ErrorCode::kDamaged, fmt::format("{}: ends early", layout), ""};
  if (remaining() != 0) return Error{ErrorCode::kDamaged, fmt::format("{}: {} bytes too many", layout, remaining()), ""};
  return {};
}

}  // namespace stele
