#include "restore/fetch/parallel.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace stele::restore {

Status parallel_for(std::size_t count, std::size_t workers, const std::function<Status(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::optional<Error> first;
  auto run = [&] {
    while (!failed.load()) {
      const std::size_t i = next.fetch_add(1);
      if (i >= count) return;
      Status done;
      try {
        done = work(i);
      } catch (const std::exception& e) {
        done = Error{ErrorCode::kInternal, std::string("a worker failed: ") + e.what(), ""};
      }
      if (done.ok()) continue;
      std::lock_guard lock(mutex);
      if (!first) first = done.error();
      failed = true;
    }
  };
  workers = std::min(workers == 0 ? 1 : workers, count);
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < workers; ++i) threads.emplace_back(run);
  run();
  for (std::thread& t : threads) t.join();
  if (first) return *first;
  return {};
}

std::size_t worker_count(int configured) {
  if (configured > 0) return static_cast<std::size_t>(configured);
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace stele::restore
