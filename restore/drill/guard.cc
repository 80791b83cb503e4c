#include "restore/drill/guard.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <chrono>

#include "core/config/values.h"
#include "restore/drill/place.h"

namespace stele::restore {
namespace {
constexpr std::chrono::seconds kLookEvery{1};
constexpr std::uint64_t kStayFree = 64u << 20;
}  // namespace

DiskGuard::DiskGuard(std::string path, std::uint64_t max_bytes, std::atomic<bool>& cancelled)
    : path_(std::move(path)), max_bytes_(max_bytes), cancelled_(cancelled), thread_([this] { watch(); }) {}

DiskGuard::~DiskGuard() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::string DiskGuard::tripped() {
  std::lock_guard lock(mutex_);
  return why_;
}

void DiskGuard::watch() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    const std::uint64_t used = disk_usage(path_);
    struct statvfs info {};
    const bool known = ::statvfs(path_.c_str(), &info) == 0;
    const std::uint64_t free = std::uint64_t{info.f_bavail} * info.f_frsize;
    lock.lock();
    most_bytes_ = std::max(most_bytes_.load(), used);
    if (max_bytes_ != 0 && used > max_bytes_) {
      why_ = fmt::format("the copy took {}, it may have {}", config::format_bytes(used), config::format_bytes(max_bytes_));
    } else if (known && free < kStayFree) {
      why_ = fmt::format("only {} are free on the disk of {}", config::format_bytes(free), path_);
    }
    if (!why_.empty()) {
      cancelled_ = true;
      return;
    }
    wake_.wait_for(lock, kLookEvery, [this] { return stop_; });
  }
}

}  // namespace stele::restore
