#include "restore/main/key_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/io/durable_file.h"
#include "restore/apply/beneath.h"

namespace stele::restore {

Status write_new_file(const std::string& path, ByteView bytes, bool secret) {
  io::PosixFileSystem fs;
  FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0600 : 0644));
  if (!fd.valid()) {
    const Error error = system_error("create", path, errno);
    return error.code == ErrorCode::kExists ? error.with_hint("keys are never overwritten: choose another directory or name") : error;
  }
  Status written = write_fully(fd.get(), 0, bytes, path);
  if (written.ok() && ::fsync(fd.get()) != 0) written = system_error("sync", path, errno);
  if (written.ok()) written = fd.close(path);
  if (written.ok()) written = fs.sync_directory(io::parent_directory(path));
  if (!written.ok()) ::unlink(path.c_str());
  return written;
}

Result<Bytes> read_small_file(const std::string& path, std::size_t limit) {
  io::PosixFileSystem fs;
  return io::read_file(fs, path, limit);
}

}  // namespace stele::restore
