#pragma once

#include <array>
#include <string>

#include "core/base/bytes.h"
#include "core/base/time.h"

namespace stele::pg {

enum class TarType { kFile, kDirectory, kSymlink };

struct TarEntry {
  std::string path;         ///< relative, without a leading "./" or trailing '/', never empty, no "." or ".." part
  TarType type = TarType::kFile;
  std::uint64_t size = 0;   ///< bytes of content; 0 for directories and links
  std::uint32_t mode = 0;   ///< permission bits
  Timestamp mtime;          ///< full seconds
  std::string link_target;  ///< as written; only for kSymlink
};

/// What TarReader tells. An error ends the reading and comes out of feed().
class TarEvents {
 public:
  virtual ~TarEvents() = default;
  virtual Status on_entry(const TarEntry& entry) = 0;
  /// Content in order; `bytes` is valid during the call only.
  virtual Status on_data(ByteView bytes) = 0;
  /// After the content of every entry, also of directories and links.
  virtual Status on_end_of_entry() = 0;
};

/// Reads the tar archives that BASE_BACKUP sends (replication/basebackup.c and port/tar.c: ustar, sizes above 8 GiB in base 256,
/// no pax records), in arbitrary cuts, from a sender that may be hostile: names are checked, sizes bounded, checksums verified.
/// PostgreSQL 14 and older leave out the two zero blocks at the end; both forms are accepted.
class TarReader {
 public:
  explicit TarReader(TarEvents& events) : events_(events) {}

  /// kDamaged for a broken archive, kUnsupported for a kind of entry PostgreSQL does not write, or an error of the events.
  Status feed(ByteView bytes);
  /// No more bytes come: kDamaged when an entry is not complete.
  Status finish();
  std::uint64_t position() const { return position_; }  ///< bytes read so far, for messages

  static constexpr std::uint64_t kMaxFileSize = std::uint64_t{1} << 50;

 private:
  static constexpr std::size_t kBlock = 512;
  Status on_header();
  TarEvents& events_;
  std::array<std::uint8_t, kBlock> header_{};
  std::size_t header_have_ = 0;
  std::uint64_t content_left_ = 0;
  std::size_t padding_left_ = 0;
  int zero_blocks_ = 0;
  std::uint64_t position_ = 0;
};

}  // namespace stele::pg
