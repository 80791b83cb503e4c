#include "core/base/text.h"

#include <cstdint>

namespace stele {

namespace {

/// Bytes of the character at the front of `text`, 0 where it is not one; `code` is its number.
std::size_t read_character(std::string_view text, std::uint32_t& code) {
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) {
    code = lead;
    return 1;
  }
  const std::size_t size = (lead & 0xE0) == 0xC0 ? 2 : (lead & 0xF0) == 0xE0 ? 3 : (lead & 0xF8) == 0xF0 ? 4 : 0;
  if (size == 0 || size > text.size()) return 0;
  code = lead & (0x7F >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // shorter forms exist below
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < kSmallest[size] || surrogate || code > 0x10FFFF ? 0 : size;
}

bool is_control(std::uint32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

}  // namespace

bool is_one_line(std::string_view text) {
  while (!text.empty()) {
    std::uint32_t code = 0;
    const std::size_t size = read_character(text, code);
    if (size == 0 || is_control(code)) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string one_line(std::string_view text, std::size_t most) {
  std::string out;
  while (!text.empty()) {
    std::uint32_t code = 0;
    const std::size_t size = read_character(text, code);
    const std::string_view piece = size == 0 ? "?" : is_control(code) ? " " : text.substr(0, size);
    if (out.size() + piece.size() > most) break;
    out += piece;
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

}  // namespace stele
