#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/net/byte_stream.h"

namespace stele::net {

/// Wakes coroutines that wait for a condition: `while (!condition) co_await wakeup.wait();`. Everything on one executor
/// (a strand): a change and its notify_all() cannot fall between the look at the condition and the wait.
class Wakeup {
 public:
  explicit Wakeup(boost::asio::any_io_executor executor) : timer_(std::move(executor), Instant::max()) {}

  void notify_all() { timer_.cancel(); }

  /// Returns after notify_all(), at the deadline, or when the waiting coroutine is cancelled: the caller looks again.
  [[nodiscard]] Task<void> wait() {
    (void)co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace stele::net
