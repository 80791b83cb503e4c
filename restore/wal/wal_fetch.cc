#include "restore/wal/wal_fetch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/pg/timeline_history.h"
#include "restore/apply/beneath.h"
#include "restore/wal/wal_plan.h"

namespace stele::restore {

namespace {

constexpr std::size_t kMaxPlan = 256u << 20;

Result<Bytes> read_whole(const std::string& path, std::size_t limit) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error("open", path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error("look at", path, errno);
  if (static_cast<std::uint64_t>(info.st_size) > limit) return Error{ErrorCode::kLimit, fmt::format("{}: too large", path), ""};
  Bytes out(static_cast<std::size_t>(info.st_size));
  std::size_t have = 0;
  while (have < out.size()) {
    const ssize_t n = ::read(fd.get(), out.data() + have, out.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path, errno);
    if (n == 0) return Error{ErrorCode::kDamaged, fmt::format("{}: ends early", path), ""};
    have += static_cast<std::size_t>(n);
  }
  return out;
}

Status copy_file(const std::string& from, const std::string& to, std::size_t limit) {
  STELE_TRY(const Bytes bytes, read_whole(from, limit));
  const std::string temporary = to + ".stele-tmp";
  FileDescriptor fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("create", temporary, errno);
  Status written = write_fully(fd.get(), 0, bytes, temporary);
  if (written.ok() && ::fsync(fd.get()) != 0) written = system_error("sync", temporary, errno);
  if (written.ok()) written = fd.close(temporary);
  if (written.ok() && ::rename(temporary.c_str(), to.c_str()) != 0) written = system_error("rename", temporary, errno);
  if (!written.ok()) ::unlink(temporary.c_str());
  return written;
}

}  // namespace

WalFetchResult fetch_wal_file(const std::string& staging, const std::string& name, const std::string& target) {
  auto fail = [](const Error& error) { return WalFetchResult{255, error.to_string()}; };
  auto text = read_whole(staging + "/plan", kMaxPlan);
  if (!text.ok()) return fail(text.error());
  auto plan = WalPlan::decode(as_text(*text));
  if (!plan.ok()) return fail(plan.error().in(staging));
  switch (plan->answer(name)) {
    case WalPlan::Answer::kPastEnd: return {1, fmt::format("{} is past the end of the restore at {}", name, plan->end.to_string())};
    case WalPlan::Answer::kUnknown: return {255, fmt::format("{} is not in the plan of {}, and not past its end {}", name, staging, plan->end.to_string())};
    case WalPlan::Answer::kNotYet:
      // A standby asks again and never promotes by itself. Any other recovery would take 1 as the end of the log.
      if (::access("standby.signal", F_OK) == 0) return {1, fmt::format("{} has not come yet", name)};
      return {255, fmt::format("{} has not come yet, and this is no standby (standby.signal is not there): it may not end here", name)};
    case WalPlan::Answer::kDeliver: break;
  }
  const std::string from = staging + "/" + name;
  const bool segment = plan->segments.contains(name);
  struct stat info {};
  if (::stat(from.c_str(), &info) != 0) return fail(system_error("look at", from, errno));
  if (segment && static_cast<std::uint64_t>(info.st_size) != plan->segment_size) return {255, fmt::format("{} has {} bytes, not {}", from, info.st_size, plan->segment_size)};
  // PostgreSQL removes what an earlier try left at the target (RestoreArchivedFile); so do we.
  if (::unlink(target.c_str()) != 0 && errno != ENOENT) return fail(system_error("replace", target, errno));
  // What still grows is copied: PostgreSQL keeps the file it gets.
  const bool grows = segment && !plan->following.is_zero();
  if (segment && !grows && ::link(from.c_str(), target.c_str()) == 0) return {0, ""};
  if (Status copied = copy_file(from, target, segment ? plan->segment_size : pg::kMaxHistoryFileSize); !copied.ok()) return fail(copied.error());
  return {0, ""};
}

}  // namespace stele::restore
