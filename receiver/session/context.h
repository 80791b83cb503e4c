#pragma once

#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "core/net/spawn.h"
#include "receiver/ingest/keeper.h"
#include "receiver/session/pack_queue.h"

namespace stele::receiver {

/// Who writes which database, so that a newer session can end the older one. Thread-safe.
class WriterRegistry {
 public:
  using Close = std::function<void(const Error& why)>;  ///< any thread, also after the session's end
  std::uint64_t next_id();
  /// This session writes from now on. The one before, if any, is told.
  void enter(const DatabaseName& database, std::uint64_t session, Close close);
  void leave(const DatabaseName& database, std::uint64_t session);
  bool connected(const DatabaseName& database) const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::map<DatabaseName, std::pair<std::uint64_t, Close>> writers_;
};

/// What every session works with; outlives them.
struct SessionContext {
  Keeper& keeper;
  PackQueue& packs;
  WriterRegistry& writers;
  ReceiverMetrics& metrics;
  Clock& clock;
  boost::asio::thread_pool& workers;  ///< for whatever blocks on a disk
  boost::asio::thread_pool& lookups;  ///< the same for what looks up many chunks and may take long
  std::string receiver;
  std::uint32_t heartbeat_seconds = 5;
  std::uint64_t log_credit = 16 << 20;
  std::uint64_t snapshot_credit = 48 << 20;
};

/// Runs a blocking function on a thread of the pool and waits for it on the session's own executor.
template <typename F>
[[nodiscard]] net::Task<std::invoke_result_t<F>> on_pool(boost::asio::thread_pool& pool, F work) {
  using R = std::invoke_result_t<F>;
  auto task = [](F f) -> net::Task<R> { co_return f(); };
  co_return co_await net::run_on(boost::asio::any_io_executor(pool.get_executor()), task(std::move(work)));
}
template <typename F>
[[nodiscard]] net::Task<std::invoke_result_t<F>> on_worker(SessionContext& context, F work) {
  return on_pool(context.workers, std::move(work));
}

/// Serves one authenticated connection until it ends. Runs on the stream's executor. Errors end the session and are told to the peer;
/// what the program should know is logged and counted.
[[nodiscard]] net::Task<void> serve_session(SessionContext& context, std::unique_ptr<net::ByteStream> stream);

}  // namespace stele::receiver
