#include "core/crypto/init.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace stele::crypto {

Status init() {
  static const int result = sodium_init();  // -1 only when there is no random device
  if (result < 0) return Error{ErrorCode::kInternal, "libsodium cannot start: the system gives no random numbers", ""};
  return {};
}

Status harden_process() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return system_error("prctl", "PR_SET_DUMPABLE", errno);
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) return system_error("setrlimit", "RLIMIT_CORE", errno);
  return {};
}

Status probe_mlock(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return system_error("mmap", fmt::format("{} bytes", bytes), errno);
  // By its number, because sanitizers put a function that does nothing in place of mlock.
  const long result = syscall(SYS_mlock, memory, bytes);
  const int number = errno;
  munmap(memory, bytes);
  if (result == 0) return {};
  if (number != ENOMEM && number != EPERM && number != EAGAIN) {
    return system_error("mlock", fmt::format("{} bytes", bytes), number);
  }
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  return Error{
      ErrorCode::kLimit,
      fmt::format("lock {} bytes of memory for keys: the limit (RLIMIT_MEMLOCK) is {} bytes", bytes, limit.rlim_cur),
      fmt::format("keys may reach the swap device; set LimitMEMLOCK={}M in the unit, or `ulimit -l {}`",
                  (bytes >> 20) + 8, ((bytes >> 20) + 8) * 1024)};
}

}  // namespace stele::crypto
