#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/config/log.h"
#include "receiver/status/window_gauges.h"

namespace stele::receiver {

/// Refreshes the gauges of the windows once a second, beside the pipeline.
class WindowThread {
 public:
  WindowThread(WindowGauges gauges, Clock& clock) : gauges_(std::move(gauges)), clock_(clock), thread_([this] { run(); }) {}
  ~WindowThread() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void run() {
    std::string told;
    for (;;) {
      const Status done = gauges_.refresh(clock_.now());
      const std::string problem = done.ok() ? "" : done.error().what;
      if (!problem.empty() && problem != told) log::log_error(done.error());
      told = problem;
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; })) return;
    }
  }

  WindowGauges gauges_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace stele::receiver
