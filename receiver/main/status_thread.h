#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/config/log.h"
#include "receiver/status/fleet_watch.h"

namespace stele::receiver {

/// Lets the fleet watch look once a second, beside the pipeline; at its end what is to survive is written.
class StatusThread {
 public:
  StatusThread(FleetWatch& watch, Clock& clock) : watch_(watch), clock_(clock), thread_([this] { run(); }) {}
  ~StatusThread() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
    report(watch_.save(clock_.now()));
  }

 private:
  void run() {
    for (;;) {
      report(watch_.tick(clock_.now()));
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_; })) return;
    }
  }
  /// A disk that stays broken is told once.
  void report(const Status& status) {
    const std::string error = status.ok() ? "" : status.error().what;
    if (error != last_error_ && !status.ok()) log::log_error(status.error().in("status"));
    last_error_ = error;
  }

  FleetWatch& watch_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::string last_error_;
  std::thread thread_;
};

}  // namespace stele::receiver
