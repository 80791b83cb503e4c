#pragma once

#include <signal.h>

#include <array>
#include <atomic>

namespace stele::restore {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP only raises a flag, so that what was begun can be taken back; the second one ends the
/// program as ever. What was ignored when the program was started (nohup, a shell's background) stays ignored. One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  /// For those who wait; whoever else sets it (a full disk) ends the work in the same way.
  std::atomic<bool>& raised() const;

 private:
  std::array<struct sigaction, 3> before_{};
};

}  // namespace stele::restore
