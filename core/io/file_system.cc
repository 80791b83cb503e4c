#include "core/io/file_system.h"

#include <fmt/format.h>

namespace stele::io {

namespace {

/// Drops `count` bytes from the front of the pieces.
void advance(std::vector<ByteView>& pieces, std::size_t& first, std::size_t count) {
  while (count > 0) {
    std::size_t step = std::min(count, pieces[first].size());
    pieces[first] = pieces[first].subspan(step);
    count -= step;
    if (pieces[first].empty()) ++first;
  }
}

}  // namespace

Result<std::size_t> File::read_at(std::uint64_t offset, MutableByteView out) {
  std::size_t done = 0;
  while (done < out.size()) {
    STELE_TRY(std::size_t n, read_some(offset + done, out.subspan(done)));
    if (n == 0) break;
    done += n;
  }
  return done;
}

Result<Bytes> File::read_exactly(std::uint64_t offset, std::size_t size) {
  Bytes out(size);
  STELE_TRY(std::size_t n, read_at(offset, out));
  if (n != size) {
    return Error{ErrorCode::kDamaged,
                 fmt::format("read {}: ends at byte {}, {} expected", path(), offset + n, offset + size), ""};
  }
  return out;
}

Status File::write_at(std::uint64_t offset, ByteView bytes) {
  return write_at(offset, std::span<const ByteView>(&bytes, 1));
}

Status File::write_at(std::uint64_t offset, std::span<const ByteView> pieces) {
  std::vector<ByteView> left;
  left.reserve(pieces.size());
  for (ByteView piece : pieces) {
    if (!piece.empty()) left.push_back(piece);
  }
  std::size_t first = 0;
  while (first < left.size()) {
    STELE_TRY(std::size_t n, write_some(offset, std::span<const ByteView>(left).subspan(first)));
    if (n == 0) return Error{ErrorCode::kIo, fmt::format("write {}: the system wrote nothing", path()), ""};
    advance(left, first, n);
    offset += n;
  }
  return {};
}

Status File::fill_zero(std::uint64_t offset, std::uint64_t size) {
  static const Bytes kZeros(1u << 20);
  while (size > 0) {
    std::size_t step = static_cast<std::size_t>(std::min<std::uint64_t>(size, kZeros.size()));
    STELE_CHECK(write_at(offset, ByteView(kZeros).first(step)));
    offset += step;
    size -= step;
  }
  return {};
}

Result<bool> FileSystem::exists(const std::string& path) {
  auto found = info(path);
  if (found.ok()) return true;
  if (found.error().code == ErrorCode::kNotFound) return false;
  return found.error();
}

}  // namespace stele::io
