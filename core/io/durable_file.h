#pragma once

#include "core/io/file_system.h"

namespace stele::io {

enum class WriteMode {
  kOnce,     ///< kExists when the name is taken; the existing file is untouched
  kReplace,  ///< the name shows the old or the new content, never a mixture
};

/// Writes a small file so that, after success, it survives a power failure: temporary name in the same directory
/// (PATH.tmp, replaced when left over), fsync, link or rename, fsync of the directory. One writer for each path at a
/// time. After an error the name holds the old content or the new.
Status write_file_durably(FileSystem& fs, const std::string& path, ByteView bytes, WriteMode mode);

/// A whole file; kLimit when it is larger than `limit` bytes.
Result<Bytes> read_file(FileSystem& fs, const std::string& path, std::uint64_t limit);

/// Creates every missing level of `path` and makes each durable (fsync of its parent). An existing directory is
/// success.
Status make_directories_durably(FileSystem& fs, const std::string& path);

/// "a/b/c" gives "a/b", "c" gives ".", "/c" gives "/".
std::string parent_directory(std::string_view path);

}  // namespace stele::io
