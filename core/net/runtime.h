#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>

#include "core/net/byte_stream.h"

namespace stele::net {

/// A program's threads and its end: runs an io_context, turns SIGTERM and SIGINT into an orderly stop, and a second one
/// into an immediate end.
class Runtime {
 public:
  /// threads: at least 1; the thread that calls run() is one of them.
  explicit Runtime(std::size_t threads);

  boost::asio::io_context& io() { return io_; }
  boost::asio::any_io_executor executor() { return io_.get_executor(); }
  std::size_t threads() const { return threads_; }

  /// Runs `main` (the program's root coroutine) and returns its result when it has ended and nothing else is left to do.
  /// At the first signal `on_stop` is called, on one of the threads; it makes `main` end. At the second, run() returns
  /// kCancelled without waiting. An exception that leaves `main` is kInternal.
  Status run(std::function<Task<Status>()> main, std::function<void(int signal)> on_stop);

 private:
  std::size_t threads_;
  boost::asio::io_context io_;
};

/// From now on the calling thread stands behind the program's others where processors are short (nice, of this thread alone).
void stand_behind();

}  // namespace stele::net
