#include "core/net/runtime.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/strand.hpp>
#include <csignal>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/net/spawn.h"

namespace stele::net {

namespace asio = boost::asio;

namespace {
// A tenth of what another thread gets.
constexpr int kBehind = 10, kLeast = 19;
}  // namespace

void stand_behind() {
  const auto thread = static_cast<id_t>(gettid());
  errno = 0;
  const int now = getpriority(PRIO_PROCESS, thread);
  if (errno == 0) (void)setpriority(PRIO_PROCESS, thread, std::min(now + kBehind, kLeast));
}

Runtime::Runtime(std::size_t threads) : threads_(std::max<std::size_t>(threads, 1)), io_(static_cast<int>(threads_)) {}

Status Runtime::run(std::function<Task<Status>()> main, std::function<void(int)> on_stop) {
  // A peer that went away is an error code of the write, not a signal.
  std::signal(SIGPIPE, SIG_IGN);

  std::mutex mutex;
  std::optional<Status> outcome;
  auto finish = [&](Status status) {
    std::lock_guard lock(mutex);
    if (!outcome) outcome = std::move(status);
  };

  auto strand = asio::make_strand(io_);
  asio::signal_set signals(strand, SIGTERM, SIGINT);
  bool asked = false;
  std::function<void(const boost::system::error_code&, int)> on_signal = [&](const boost::system::error_code& error, int number) {
    if (error) return;
    if (asked) {
      finish(Error{ErrorCode::kCancelled, fmt::format("stopped at once by a second signal ({})", number), ""});
      io_.stop();
      return;
    }
    asked = true;
    signals.async_wait(on_signal);
    if (on_stop) on_stop(number);
  };
  signals.async_wait(on_signal);

  asio::co_spawn(strand, as_optional(main()), [&](std::exception_ptr e, std::optional<Status> status) {
    if (e) {
      std::string what = "unknown exception";
      try {
        std::rethrow_exception(e);
      } catch (const std::exception& known) {
        what = known.what();
      } catch (...) {
      }
      finish(Error{ErrorCode::kInternal, "program: " + what, ""});
      io_.stop();
    } else {
      finish(std::move(*status));
    }
    boost::system::error_code ignored;
    signals.cancel(ignored);
  });

  auto work = [&] {
    // An exception that leaves a completion handler: a bug, told instead of a core dump without words.
    try {
      io_.run();
    } catch (const std::exception& e) {
      finish(Error{ErrorCode::kInternal, fmt::format("program: {}", e.what()), ""});
      io_.stop();
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads_; ++i) others.emplace_back(work);
  work();
  for (auto& thread : others) thread.join();
  std::lock_guard lock(mutex);
  return outcome ? std::move(*outcome) : Status(Error{ErrorCode::kInternal, "program: it ended without a result", ""});
}

}  // namespace stele::net
