#include "receiver/session/pack_queue.h"

namespace stele::receiver {

namespace {
constexpr std::size_t kMaxQueuedBytes = 192 << 20, kMaxBarrierBytes = 64 << 20;
}

PackQueue::PackQueue(Keeper& keeper) : keeper_(keeper), thread_([this] { run(); }) {}

PackQueue::~PackQueue() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool PackQueue::submit(Database& database, Bytes& pack, const Done& done) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || (queued_bytes_ != 0 && queued_bytes_ + pack.size() > kMaxQueuedBytes)) return false;
    queued_bytes_ += pack.size();
    queue_.push_back({&database, std::move(pack), done});
  }
  wake_.notify_all();
  return true;
}

void PackQueue::run() {
  for (;;) {
    std::vector<Item> group;
    std::size_t bytes = 0;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      while (!queue_.empty() && (group.empty() || bytes + queue_.front().pack.size() <= kMaxBarrierBytes)) {
        bytes += queue_.front().pack.size();
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    std::vector<std::pair<Database*, ByteView>> packs;
    for (const Item& item : group) packs.emplace_back(item.database, item.pack);
    std::vector<Result<Digest>> results = keeper_.put_packs(std::move(packs));
    for (std::size_t i = 0; i < group.size(); ++i) group[i].done(std::move(results[i]));
    std::lock_guard lock(mutex_);
    queued_bytes_ -= bytes;
  }
}

}  // namespace stele::receiver
