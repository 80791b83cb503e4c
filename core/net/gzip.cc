#include "core/net/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <new>

namespace stele::net {

namespace {

constexpr int kLevel = 1, kMemory = 8, kGzipWindow = 15 + 16;  // 16: gzip's header and trailer

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

bool is_gzip(std::string_view coding) {
  constexpr std::string_view kName = "gzip";
  return std::equal(coding.begin(), coding.end(), kName.begin(), kName.end(), [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

/// "q=0", "q=0.000": the client refuses it.
bool is_refusal(std::string_view weight) {
  return (weight.starts_with("q=0") || weight.starts_with("Q=0")) && weight.find_first_not_of("0.", 2) == std::string_view::npos;
}

}  // namespace

std::string gzip(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  std::string out;
  // zlib counts a call's bytes in 32 bits; it does not write to its input.
  constexpr std::size_t kPiece = 1 << 30;
  int state = Z_OK;
  do {
    const std::size_t piece = std::min(text.size(), kPiece), at = out.size();
    out.resize(at + deflateBound(&stream, static_cast<uLong>(piece)));
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(piece);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + at);
    stream.avail_out = static_cast<uInt>(out.size() - at);
    state = deflate(&stream, piece == text.size() ? Z_FINISH : Z_FULL_FLUSH);
    out.resize(out.size() - stream.avail_out);
    text.remove_prefix(piece - stream.avail_in);
  } while (state == Z_OK);
  deflateEnd(&stream);
  return out;
}

bool accepts_gzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    const std::string_view one = accept_encoding.substr(0, accept_encoding.find(','));
    accept_encoding.remove_prefix(std::min(accept_encoding.size(), one.size() + 1));
    const std::size_t mark = std::min(one.find(';'), one.size());
    if (is_gzip(trimmed(one.substr(0, mark)))) return !is_refusal(trimmed(one.substr(std::min(mark + 1, one.size()))));
  }
  return false;
}

}  // namespace stele::net
