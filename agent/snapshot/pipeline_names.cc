#include "agent/snapshot/pipeline.h"
#include "core/crypto/hash.h"

namespace stele::agent {

void SnapshotPipeline::name_loop() {
  format::ChunkNamer namer(*options_.seal.suite, secrets_.chunk_name);
  std::vector<Item> batch;
  while (true) {
    batch.clear();
    {
      std::unique_lock lock(mutex_);
      named_work_.wait(lock, [&] { return failure_ || no_more_raw_ || !to_name_.empty(); });
      if (failure_ || to_name_.empty()) return;
      std::size_t bytes = 0;
      while (!to_name_.empty() && bytes < batch_bytes_ && batch.size() < protocol::kMaxQueryNames) {
        bytes += to_name_.front().charged;
        batch.push_back(std::move(to_name_.front()));
        to_name_.pop_front();
      }
    }
    if (Status done = name_batch(batch, namer); !done.ok()) return abort(done.error());
  }
}

Status SnapshotPipeline::name_batch(std::vector<Item>& batch, format::ChunkNamer& namer) {
  std::vector<SuspectPage> suspects;
  for (Item& item : batch) {
    if (item.chunk.pages) check_pages(item.chunk.bytes, *item.chunk.pages, suspects);
    item.name = namer.name(item.chunk.bytes);
  }
  progress_.chunks += batch.size();
  progress_.suspect_pages += suspects.size();
  std::vector<format::ChunkList> full;
  std::vector<OutgoingObject> lists;
  std::vector<Item> fresh;
  std::size_t repeated = 0;
  Mask live = 0;
  {
    std::lock_guard lock(mutex_);
    for (SuspectPage& suspect : suspects) {
      if (suspects_.size() < kMaxSuspects) {
        suspects_.push_back(suspect);
      } else {
        ++more_suspects_;
      }
    }
    for (Item& item : batch) {
      if (item.table) {
        table_names_[item.index] = item.name;
      } else {
        order_.add(item.index, item.name, full);
      }
      if (recent_.insert(item.name)) {
        fresh.push_back(std::move(item));
      } else {
        repeated += item.charged;
      }
    }
    for (const format::ChunkList& list : full) {
      OutgoingObject object{protocol::MessageType::kPutList, list.encode(), {}};
      lists_.push_back(crypto::hash(crypto::default_suite(), object.bytes));
      lists.push_back(std::move(object));
    }
    live = live_locked();
  }
  if (repeated > 0) release_raw(repeated);
  for (OutgoingObject& list : lists) STELE_CHECK(submit(std::move(list), live));
  return look_up(fresh);
}

Status SnapshotPipeline::look_up(std::vector<Item>& batch) {
  if (batch.empty()) return {};
  Mask live = 0;
  {
    std::lock_guard lock(mutex_);
    live = live_locked();
  }
  std::vector<ChunkName> names;
  for (Item& item : batch) {
    if (options_.full || options_.distrusted.contains(item.name)) {
      item.lacking = live;
    } else {
      names.push_back(item.name);
    }
  }
  for (std::size_t lane = 0; lane < lanes_.size() && !names.empty(); ++lane) {
    if ((live >> lane & 1) == 0) continue;
    auto known = lanes_[lane].target->known(names);
    if (!known.ok()) {
      target_failed(lane, known.error());
      std::lock_guard lock(mutex_);
      STELE_CHECK(status_locked());
      continue;
    }
    std::size_t asked = 0;
    for (Item& item : batch) {
      if (options_.full || options_.distrusted.contains(item.name)) continue;
      if (!(*known)[asked++]) item.lacking |= Mask{1} << lane;
    }
  }
  std::size_t known_bytes = 0;
  {
    std::lock_guard lock(mutex_);
    for (Item& item : batch) {
      if (item.lacking == 0) {
        known_bytes += item.charged;
      } else {
        to_seal_.push_back(std::move(item));
      }
    }
  }
  seal_work_.notify_all();
  if (known_bytes > 0) release_raw(known_bytes);
  return {};
}

}  // namespace stele::agent
