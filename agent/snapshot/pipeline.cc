#include "agent/snapshot/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>

#include "core/crypto/hash.h"

namespace stele::agent {
namespace {

constexpr std::size_t kItemOverhead = 256;  // of a small chunk: what its bookkeeping costs
constexpr std::size_t kSendersForTarget =
    3;  // packs under way at once: one is written while another is made durable there
constexpr std::size_t kSmallestPack = 256 << 10;
constexpr std::size_t kMostChunksOfPack = 16'384;
constexpr std::size_t kRecentNameBytes = 96;  // what one remembered name costs
// A pack is one message; while it is on its way nothing else is heard on the line.
constexpr auto kSlowPut = std::chrono::seconds(6), kFastPut = std::chrono::seconds(2);

Error cancelled() {
  return Error{ErrorCode::kCancelled, "snapshot: given up", ""};
}

}  // namespace

/// A pack under construction for one set of receivers.
struct SnapshotPipeline::Building {
  explicit Building(format::PackSealer s) : sealer(std::move(s)) {}
  format::PackSealer sealer;
  std::vector<ChunkName> names;
};

SnapshotPipeline::SnapshotPipeline(Options options, const format::EpochSecrets& secrets,
                                   const crypto::SigningKey& signing, std::vector<SnapshotTarget*> targets,
                                   RandomSource& random, SnapshotProgress& progress)
    : options_(std::move(options)),
      secrets_(secrets),
      signing_(signing),
      random_(random),
      progress_(progress),
      recent_(std::clamp<std::size_t>(options_.memory_bytes / 16 / kRecentNameBytes, 1024, 1 << 20)) {
  // A quarter of the memory for chunks not yet sealed, half for packs under construction (each exists twice while it is
  // finished), a quarter for packs on their way; a sixteenth is names.
  const std::uint64_t quarter = options_.memory_bytes / 4;
  workers_ = std::clamp<std::size_t>(options_.workers, 1, std::max<std::uint64_t>(quarter >> 20, 1));
  max_pack_ = std::clamp<std::size_t>(quarter / workers_, kSmallestPack, std::max(options_.pack_bytes, kSmallestPack));
  pack_target_ = std::min<std::size_t>(max_pack_, 2 << 20);
  raw_limit_ = quarter - options_.memory_bytes / 16;
  sealed_limit_ = quarter;
  batch_bytes_ = std::clamp<std::size_t>(raw_limit_ / (4 * workers_), 64 << 10, 8 << 20);
  for (SnapshotTarget* target : targets) lanes_.push_back({target, {}, std::nullopt});
  for (std::size_t i = 0; i < workers_; ++i) {
    namers_.emplace_back([this] { name_loop(); });
    sealers_.emplace_back([this] { seal_loop(); });
  }
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    for (std::size_t i = 0; i < kSendersForTarget; ++i) senders_.emplace_back([this, lane] { send_loop(lane); });
  }
}

SnapshotPipeline::~SnapshotPipeline() {
  if (!senders_.empty()) abort(cancelled());
  join(namers_);
  join(sealers_);
  join(senders_);
}

void SnapshotPipeline::join(std::vector<std::thread>& threads) {
  for (std::thread& thread : threads) thread.join();
  threads.clear();
}

void SnapshotPipeline::abort(const Error& why) {
  {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = why;
    for (Lane& lane : lanes_) lane.target->stop();
  }
  for (auto* condition : {&room_, &named_work_, &seal_work_, &send_work_}) condition->notify_all();
}

Status SnapshotPipeline::status_locked() const {
  if (failure_) return *failure_;
  return {};
}

SnapshotPipeline::Mask SnapshotPipeline::live_locked() const {
  Mask live = 0;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (!lanes_[i].failure) live |= Mask{1} << i;
  }
  return live;
}

void SnapshotPipeline::target_failed(std::size_t lane, const Error& error) {
  std::optional<Error> fatal;
  std::deque<std::shared_ptr<const OutgoingObject>> dropped;  // given back outside the lock
  {
    std::lock_guard lock(mutex_);
    if (!lanes_[lane].failure) lanes_[lane].failure = error;
    dropped.swap(lanes_[lane].queue);
    if (static_cast<std::size_t>(std::popcount(live_locked())) < options_.quorum) {
      fatal = error.in(fmt::format("snapshot: receiver {}", lanes_[lane].target->name()));
    }
  }
  if (fatal) abort(*fatal);
  send_work_.notify_all();
}

void SnapshotPipeline::note_buffered(std::int64_t change) {
  const std::uint64_t now =
      progress_.buffered_bytes.fetch_add(static_cast<std::uint64_t>(change)) + static_cast<std::uint64_t>(change);
  std::uint64_t peak = progress_.peak_buffered_bytes.load();
  while (now > peak && !progress_.peak_buffered_bytes.compare_exchange_weak(peak, now)) {
  }
}

void SnapshotPipeline::release_raw(std::size_t bytes) {
  note_buffered(-static_cast<std::int64_t>(bytes));
  {
    std::lock_guard lock(mutex_);
    raw_bytes_ -= bytes;
  }
  room_.notify_all();
}

void SnapshotPipeline::release_sealed(std::size_t bytes) {
  note_buffered(-static_cast<std::int64_t>(bytes));
  {
    std::lock_guard lock(mutex_);
    sealed_bytes_ -= bytes;
  }
  room_.notify_all();
}

Status SnapshotPipeline::add(RawChunk chunk) {
  Item item;
  item.chunk = std::move(chunk);
  return put_in(std::move(item));
}

Status SnapshotPipeline::add_table(Bytes bytes) {
  Item item;
  item.table = true;
  item.chunk.bytes = std::move(bytes);
  return put_in(std::move(item));
}

Status SnapshotPipeline::put_in(Item item) {
  item.charged = item.chunk.bytes.capacity() + kItemOverhead;
  note_buffered(static_cast<std::int64_t>(item.charged));
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return failure_ || raw_bytes_ == 0 || raw_bytes_ + item.charged <= raw_limit_; });
    if (failure_) {
      note_buffered(-static_cast<std::int64_t>(item.charged));
      return *failure_;
    }
    raw_bytes_ += item.charged;
    if (item.table) {
      item.index = table_names_.size();
      table_names_.emplace_back();
    } else {
      item.index = next_index_++;
    }
    to_name_.push_back(std::move(item));
  }
  named_work_.notify_one();
  return {};
}

void SnapshotPipeline::seal_loop() {
  std::map<Mask, std::unique_ptr<Building>> building;
  std::size_t building_bytes = 0;
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      seal_work_.wait(lock, [&] { return failure_ || no_more_named_ || !to_seal_.empty(); });
      if (failure_) break;
      if (to_seal_.empty()) {
        lock.unlock();
        Status flushed;
        for (auto& [lacking, pack] : building) {
          if (flushed.ok()) flushed = flush(lacking, *pack, building_bytes);
        }
        building.clear();
        if (!flushed.ok()) abort(flushed.error());
        break;
      }
      item = std::move(to_seal_.front());
      to_seal_.pop_front();
    }
    if (Status done = seal(item, building, building_bytes); !done.ok()) {
      abort(done.error());
      break;
    }
  }
  note_buffered(-static_cast<std::int64_t>(building_bytes));
}

Status SnapshotPipeline::seal(Item& item, std::map<Mask, std::unique_ptr<Building>>& building,
                              std::size_t& building_bytes) {
  auto& pack = building[item.lacking];
  if (!pack) {
    STELE_TRY(format::PackSealer sealer, format::PackSealer::begin(options_.seal, secrets_.data, random_));
    pack = std::make_unique<Building>(std::move(sealer));
  }
  const std::size_t before = pack->sealer.stored_bytes();
  STELE_CHECK(pack->sealer.add(item.name, item.chunk.bytes));
  pack->names.push_back(item.name);
  const std::size_t grown = pack->sealer.stored_bytes() - before;
  building_bytes += grown;
  note_buffered(static_cast<std::int64_t>(grown));
  ++progress_.new_chunks;
  progress_.new_raw_bytes += item.chunk.bytes.size();
  progress_.sealed_bytes += grown;
  item.chunk.bytes = {};
  release_raw(item.charged);
  if (pack->sealer.stored_bytes() >= pack_target_ || pack->names.size() >= kMostChunksOfPack) {
    STELE_CHECK(flush(item.lacking, *pack, building_bytes));
    building.erase(item.lacking);
  } else if (building_bytes >= max_pack_) {
    // Several packs for different sets of receivers: together they may not hold more than one.
    auto largest = std::max_element(building.begin(), building.end(), [](const auto& a, const auto& b) {
      return a.second->sealer.stored_bytes() < b.second->sealer.stored_bytes();
    });
    STELE_CHECK(flush(largest->first, *largest->second, building_bytes));
    building.erase(largest);
  }
  return {};
}

Status SnapshotPipeline::flush(Mask lacking, Building& building, std::size_t& building_bytes) {
  const std::size_t held = building.sealer.stored_bytes();
  OutgoingObject object{protocol::MessageType::kPutPack, {}, std::move(building.names)};
  STELE_TRY(object.bytes, building.sealer.finish(signing_));
  building_bytes -= held;
  Status submitted = submit(std::move(object), lacking);
  note_buffered(-static_cast<std::int64_t>(held));
  return submitted;
}

Status SnapshotPipeline::submit(OutgoingObject object, Mask targets) {
  const std::size_t size = object.bytes.size();
  note_buffered(static_cast<std::int64_t>(size));
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] { return failure_ || sealed_bytes_ == 0 || sealed_bytes_ + size <= sealed_limit_; });
  if (failure_) {
    note_buffered(-static_cast<std::int64_t>(size));
    return *failure_;
  }
  sealed_bytes_ += size;
  // Its memory is free when the last receiver is done with it.
  std::shared_ptr<const OutgoingObject> shared(new OutgoingObject(std::move(object)),
                                               [this, size](const OutgoingObject* done) {
                                                 delete done;
                                                 release_sealed(size);
                                               });
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    if ((targets >> lane & 1) != 0 && !lanes_[lane].failure) lanes_[lane].queue.push_back(shared);
  }
  lock.unlock();
  send_work_.notify_all();
  return {};
}

void SnapshotPipeline::note_speed(std::size_t bytes, Duration took) {
  const std::size_t target = pack_target_;
  if (bytes < target / 2) return;
  if (took > kSlowPut) pack_target_ = std::max(target / 2, std::min(kSmallestPack, max_pack_));
  if (took < kFastPut) pack_target_ = std::min(target * 2, max_pack_);
}

void SnapshotPipeline::send_loop(std::size_t lane) {
  while (true) {
    std::shared_ptr<const OutgoingObject> object;
    {
      std::unique_lock lock(mutex_);
      send_work_.wait(
          lock, [&] { return failure_ || lanes_[lane].failure || no_more_sealed_ || !lanes_[lane].queue.empty(); });
      if (failure_ || lanes_[lane].failure || lanes_[lane].queue.empty()) return;
      object = std::move(lanes_[lane].queue.front());
      lanes_[lane].queue.pop_front();
    }
    const Instant begun = std::chrono::steady_clock::now();
    Status sent = lanes_[lane].target->put(*object);
    if (!sent.ok()) return target_failed(lane, sent.error());
    note_speed(object->bytes.size(), std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begun));
  }
}

Result<SnapshotPipeline::Outcome> SnapshotPipeline::finish() {
  {
    std::lock_guard lock(mutex_);
    no_more_raw_ = true;
  }
  named_work_.notify_all();
  join(namers_);
  {
    std::lock_guard lock(mutex_);
    no_more_named_ = true;
  }
  seal_work_.notify_all();
  Outcome outcome;
  std::vector<OutgoingObject> lists;
  Mask live = 0;
  {
    std::lock_guard lock(mutex_);
    if (!failure_) {
      outcome.table_first = order_.count();
      std::vector<format::ChunkList> last;
      if (Status ordered = order_.finish(table_names_, last); !ordered.ok()) failure_ = ordered.error();
      for (const format::ChunkList& list : last) {
        OutgoingObject object{protocol::MessageType::kPutList, list.encode(), {}};
        lists_.push_back(crypto::hash(crypto::default_suite(), object.bytes));
        lists.push_back(std::move(object));
      }
    }
    live = live_locked();
  }
  for (OutgoingObject& list : lists) {
    if (Status submitted = submit(std::move(list), live); !submitted.ok()) break;
  }
  join(sealers_);
  {
    std::lock_guard lock(mutex_);
    no_more_sealed_ = true;
  }
  send_work_.notify_all();
  join(senders_);
  std::lock_guard lock(mutex_);
  STELE_CHECK(status_locked());
  outcome.lists = std::move(lists_);
  outcome.chunk_count = order_.count();
  outcome.suspects = std::move(suspects_);
  outcome.more_suspects = more_suspects_;
  for (Lane& lane : lanes_) {
    if (lane.failure) {
      outcome.left_out.emplace_back(lane.target->name(), *lane.failure);
    } else {
      outcome.complete.push_back(lane.target);
    }
  }
  return outcome;
}

}  // namespace stele::agent
