#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/config/log.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

/// Seals runs: at once when a finished one waits, else once a second; refreshes the gauges beside it, about once a second.
class SealThread {
 public:
  explicit SealThread(Keeper& keeper) : keeper_(keeper) {
    keeper.on_due([this] { poke(); });
    thread_ = std::thread([this] { run(); });
  }
  ~SealThread() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void poke() {
    {
      std::lock_guard lock(mutex_);
      due_ = true;
    }
    wake_.notify_all();
  }

  void run() {
    std::string last_error;
    Instant next_refresh{};
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        // After a failure nothing is urgent: the same disk is asked once a second.
        wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_ || (due_ && last_error.empty()); });
        if (stopping_) return;
        due_ = false;
      }
      const Status sealed = keeper_.seal_due();
      const Instant now = std::chrono::steady_clock::now();
      if (now >= next_refresh) {
        keeper_.refresh_gauges();
        next_refresh = now + std::chrono::seconds(1);
      }
      const std::string error = sealed.ok() ? "" : sealed.error().what;
      if (error != last_error) {
        if (!sealed.ok()) log::log_error(sealed.error());
        else log::info("runs can be sealed again");
      }
      last_error = error;
    }
  }

  Keeper& keeper_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false, due_ = false;
  std::thread thread_;
};

}  // namespace stele::receiver
