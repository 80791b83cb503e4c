#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "core/base/result.h"

namespace stele::agent {

/// Lets other threads reach a thread that waits for PostgreSQL. Every wait of this folder takes a deadline and one of
/// these: `wake()` ends the current wait of a WalStream early (one wake, however often it was called), `stop()` ends
/// every wait, now and later, with kCancelled. Both may be called from any thread (they only write to an eventfd);
/// everything else belongs to the waiting thread.
class Interrupt {
 public:
  /// kIo when the system has no file descriptors left.
  static Result<std::shared_ptr<Interrupt>> create();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  void wake();
  void stop();
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  /// Takes back a wake() that has not been seen; true when there was one.
  bool take_wake();
  int wake_fd() const { return wake_fd_; }  ///< readable after wake() until take_wake()
  int stop_fd() const { return stop_fd_; }  ///< readable for ever after stop()

 private:
  Interrupt(int wake_fd, int stop_fd) : wake_fd_(wake_fd), stop_fd_(stop_fd) {}
  const int wake_fd_;
  const int stop_fd_;
  std::atomic<bool> stopped_{false};
};

/// Where a wait that is not bound to a caller's own interrupt begins: `deadline_in(std::chrono::seconds(5))`.
inline std::chrono::steady_clock::time_point deadline_in(std::chrono::microseconds d) {
  return std::chrono::steady_clock::now() + d;
}

}  // namespace stele::agent
