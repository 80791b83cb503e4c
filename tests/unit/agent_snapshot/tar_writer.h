#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace stele::test {

/// Writes ustar archives as PostgreSQL does (port/tar.c), for tests.
class TarWriter {
 public:
  TarWriter& file(std::string_view path, ByteView content) {
    header(path, '0', content.size(), "");
    out_.insert(out_.end(), content.begin(), content.end());
    out_.resize((out_.size() + 511) / 512 * 512);
    return *this;
  }
  TarWriter& directory(std::string_view path) { return header(path, '5', 0, ""); }
  TarWriter& link(std::string_view path, std::string_view target) {
    return header(std::string(path) + '/', '2', 0, target);
  }
  /// The archive with its two zero blocks.
  Bytes finish() {
    out_.resize(out_.size() + 1024);
    return out_;
  }

 private:
  TarWriter& header(std::string_view path, char type, std::uint64_t size, std::string_view target) {
    Bytes h(512);
    auto put = [&](std::size_t at, std::string_view text) {
      std::copy(text.begin(), text.end(), h.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0, path);
    put(100, "0000600");
    put(124, fmt::format("{:011o}", size));
    put(136, "14516043400");
    h[156] = static_cast<std::uint8_t>(type);
    put(157, target);
    put(257, std::string_view("ustar\00000", 8));
    std::fill(h.begin() + 148, h.begin() + 156, ' ');
    unsigned sum = 0;
    for (std::uint8_t b : h) sum += b;
    put(148, fmt::format("{:06o}", sum));
    h[154] = 0;
    out_.insert(out_.end(), h.begin(), h.end());
    return *this;
  }
  Bytes out_;
};

}  // namespace stele::test
