#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace stele::restore {

/// Watches a copy while it runs: when it takes more than it may, or the disk runs out, `cancelled` becomes true and everything that waits
/// ends. The kernel sets no limit for a directory, so the copy may be over its bound for as long as one look takes. Runs a thread.
class DiskGuard {
 public:
  /// `max_bytes` 0: only that 64 MiB of the disk stay free.
  DiskGuard(std::string path, std::uint64_t max_bytes, std::atomic<bool>& cancelled);
  ~DiskGuard();
  DiskGuard(const DiskGuard&) = delete;
  DiskGuard& operator=(const DiskGuard&) = delete;

  /// Why it cancelled; empty: it did not.
  std::string tripped();
  std::uint64_t most_bytes() const { return most_bytes_.load(); }

 private:
  void watch();
  const std::string path_;
  const std::uint64_t max_bytes_;
  std::atomic<bool>& cancelled_;
  std::atomic<std::uint64_t> most_bytes_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::string why_;
  std::thread thread_;
};

}  // namespace stele::restore
