#include "core/pg/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace stele::pg {
namespace {

/// A field up to its first NUL.
std::string_view text_field(ByteView header, std::size_t at, std::size_t size) {
  std::string_view text = as_text(header.subspan(at, size));
  return text.substr(0, text.find('\0'));
}

/// Octal digits, or base 256 when the first byte has its top bit set (port/tar.c, read_tar_number).
std::optional<std::uint64_t> number_field(ByteView header, std::size_t at, std::size_t size) {
  ByteView field = header.subspan(at, size);
  std::uint64_t v = 0;
  if ((field[0] & 0x80) != 0) {
    if (field[0] != 0x80) return std::nullopt;
    for (std::size_t i = 1; i < size; ++i) {
      if (v >> 56 != 0) return std::nullopt;
      v = v << 8 | field[i];
    }
    return v;
  }
  std::string_view text = as_text(field);
  text = text.substr(0, text.find('\0'));
  auto first = text.find_first_not_of(' ');
  text = first == std::string_view::npos ? std::string_view{} : text.substr(first);
  text = text.substr(0, text.find(' '));
  for (char c : text) {
    if (c < '0' || c > '7' || v >> 61 != 0) return std::nullopt;
    v = v * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return v;
}

/// Relative, and stays below where it is unpacked.
bool safe_path(std::string_view path) {
  if (path.empty() || path.front() == '/') return false;
  while (!path.empty()) {
    auto slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path = path.substr(slash + 1);
  }
  return false;
}

bool checksum_matches(ByteView header) {
  auto stored = number_field(header, 148, 8);
  std::uint64_t sum = 8 * ' ';
  for (std::size_t i = 0; i < header.size(); ++i) sum += i >= 148 && i < 156 ? 0 : header[i];
  return stored && *stored == sum;
}

}  // namespace

Status TarReader::feed(ByteView bytes) {
  while (!bytes.empty()) {
    std::size_t n;
    if (content_left_ > 0) {
      n = static_cast<std::size_t>(std::min<std::uint64_t>(content_left_, bytes.size()));
      STELE_CHECK(events_.on_data(bytes.first(n)));
      content_left_ -= n;
      if (content_left_ == 0) STELE_CHECK(events_.on_end_of_entry());
    } else if (padding_left_ > 0) {
      n = std::min(padding_left_, bytes.size());
      padding_left_ -= n;
    } else {
      n = std::min(kBlock - header_have_, bytes.size());
      std::copy_n(bytes.begin(), n, header_.begin() + static_cast<std::ptrdiff_t>(header_have_));
      header_have_ += n;
    }
    position_ += n;
    bytes = bytes.subspan(n);
    if (header_have_ == kBlock) {
      header_have_ = 0;
      STELE_CHECK(on_header());
    }
  }
  return {};
}

Status TarReader::on_header() {
  ByteView h(header_);
  auto damaged = [&](std::string_view why) {
    return Error{ErrorCode::kDamaged, fmt::format("read tar archive at byte {}: {}", position_ - kBlock, why), ""};
  };
  if (std::all_of(h.begin(), h.end(), [](std::uint8_t b) { return b == 0; })) {
    ++zero_blocks_;
    return {};
  }
  if (zero_blocks_ > 0) return damaged("an entry after the end of the archive");
  if (!checksum_matches(h)) return damaged("the checksum of a header does not match");
  if (as_text(h.subspan(257, 5)) != "ustar") return damaged("not a ustar header");

  TarEntry entry;
  std::string_view prefix = text_field(h, 345, 155), name = text_field(h, 0, 100);
  entry.path = prefix.empty() ? std::string(name) : fmt::format("{}/{}", prefix, name);
  char type = static_cast<char>(h[156]);
  switch (type) {
    case '0':
    case '\0': entry.type = TarType::kFile; break;
    case '2': entry.type = TarType::kSymlink; break;
    case '5': entry.type = TarType::kDirectory; break;
    default:
      return Error{ErrorCode::kUnsupported, fmt::format("read tar archive at byte {}: entry of type {:#04x}", position_ - kBlock, h[156]),
                   "PostgreSQL writes files, directories and links only"};
  }
  if (entry.path.starts_with("./")) entry.path.erase(0, 2);  // PostgreSQL sends "./pg_wal/archive_status"
  // Directories and links to them, which are all of PostgreSQL's links, end with a slash (port/tar.c, tarCreateHeader).
  if (entry.type != TarType::kFile && entry.path.ends_with('/')) entry.path.pop_back();
  if (!safe_path(entry.path)) return damaged("a name that is empty, absolute or leads upwards");
  auto mode = number_field(h, 100, 8), size = number_field(h, 124, 12), mtime = number_field(h, 136, 12);
  if (!mode || !size || !mtime) return damaged("a header field that is not a number");
  // A time before 1970 comes as the 64 bits of a negative number (print_tar_number in src/port/tar.c): such a file is as old as can be.
  const bool before_1970 = mtime && *mtime >> 63 != 0;
  if (*size > kMaxFileSize || (!before_1970 && *mtime > (std::uint64_t{1} << 40))) return damaged("an impossible size or time");
  entry.mode = static_cast<std::uint32_t>(*mode & 07777);
  entry.mtime = {before_1970 ? 0 : static_cast<std::int64_t>(*mtime) * 1'000'000};
  if (entry.type == TarType::kFile) {
    entry.size = *size;
  } else if (*size != 0) {
    return damaged("a directory or link with content");
  }
  if (entry.type == TarType::kSymlink) {
    entry.link_target = text_field(h, 157, 100);
    if (entry.link_target.empty()) return damaged("a link to nowhere");
  }
  content_left_ = entry.size;
  padding_left_ = static_cast<std::size_t>((kBlock - entry.size % kBlock) % kBlock);
  STELE_CHECK(events_.on_entry(entry));
  if (content_left_ == 0) return events_.on_end_of_entry();
  return {};
}

Status TarReader::finish() {
  if (content_left_ > 0 || padding_left_ > 0 || header_have_ > 0) {
    return Error{ErrorCode::kDamaged, fmt::format("read tar archive: ends early, after {} bytes", position_), ""};
  }
  return {};
}

}  // namespace stele::pg
