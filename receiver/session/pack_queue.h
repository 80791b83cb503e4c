#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "receiver/ingest/keeper.h"

namespace stele::receiver {

/// Packs of all sessions on their way to the store: one thread stores everything that waits behind one barrier.
class PackQueue {
 public:
  using Done = std::function<void(Result<Digest>)>;

  explicit PackQueue(Keeper& keeper);
  /// Stores what is queued, then ends.
  ~PackQueue();

  /// False when too much waits: try again soon; `pack` is taken only on success. `done` runs once, on the queue's thread, and must not block.
  bool submit(Database& database, Bytes& pack, const Done& done);

 private:
  struct Item {
    Database* database;
    Bytes pack;
    Done done;
  };
  void run();
  Keeper& keeper_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::size_t queued_bytes_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace stele::receiver
