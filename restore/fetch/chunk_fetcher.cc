#include "restore/fetch/chunk_fetcher.h"

#include <fmt/format.h>

#include <condition_variable>
#include <thread>

#include "restore/fetch/log_reader.h"
#include "restore/fetch/parallel.h"

namespace stele::restore {

namespace {
constexpr std::size_t kBatchChunks = 16;
constexpr std::size_t kBatchBytes = 4u << 20;  // stored
}  // namespace

struct ChunkFetcher::Worker {
  format::ChunkOpener opener;
};

Result<std::unique_ptr<ChunkFetcher>> ChunkFetcher::create(StoreCatalog& catalog, const ChunkIndex& index, KeyRing& keys, const EpochId& epoch) {
  const format::EpochRecord* record = catalog.epoch(epoch);
  if (record == nullptr) return Error{ErrorCode::kForged, fmt::format("epoch {} is not known", epoch.short_hex()), ""};
  auto out = std::unique_ptr<ChunkFetcher>(new ChunkFetcher(catalog, index, keys));
  STELE_TRY(out->naming_, keys.open(epoch, *record));
  const EnrolledAgent* agent = catalog.trust().agent(record->enrolment);
  if (agent == nullptr) return Error{ErrorCode::kForged, "an epoch under an unknown enrolment", ""};
  out->suite_ = &agent->key.suite();
  return out;
}

Result<Bytes> ChunkFetcher::open_bytes(Worker& worker, const ChunkName& name, ByteView stored) {
  STELE_TRY(const format::ChunkView view, format::parse_chunk(stored));
  if (view.header.name != name || view.stored.size() != stored.size()) {
    return Error{ErrorCode::kDamaged, fmt::format("chunk {}: another chunk lies in its place", name.short_hex()), ""};
  }
  const format::EpochRecord* record = catalog_.epoch(view.header.epoch);
  if (record == nullptr) return Error{ErrorCode::kForged, fmt::format("chunk {} under epoch {}, which no trusted record describes", name.short_hex(), view.header.epoch.short_hex()), ""};
  STELE_TRY(auto secrets, keys_.open(view.header.epoch, *record));
  return worker.opener.open(view, secrets->data);
}

/// `first_copy` are the bytes already read for the first place, unless reading them failed.
Result<Bytes> ChunkFetcher::open_one(Worker& worker, const ChunkName& name, ByteView first_copy, const Error* first_error) {
  auto places = index_.places(name);
  if (places.empty()) return Error{ErrorCode::kDamaged, fmt::format("chunk {} is in no pack of this store", name.short_hex()), "another receiver may have it"};
  std::optional<Error> failed;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const ChunkIndex::Place& place = places[i];
    Result<Bytes> opened = [&]() -> Result<Bytes> {
      if (i == 0) {
        if (first_error != nullptr) return *first_error;
        return open_bytes(worker, name, first_copy);
      }
      STELE_TRY(const Bytes stored, with_retries<Bytes>([&] { return catalog_.objects().read(index_.pack_name(place.pack), place.offset, place.size); }));
      bytes_read_ += stored.size();
      return open_bytes(worker, name, stored);
    }();
    if (opened.ok()) {
      if (failed) {
        std::lock_guard lock(mutex_);
        problems_.push_back({index_.pack_name(places[i - 1].pack), *failed});
      }
      return opened;
    }
    failed = opened.error().in(index_.pack_name(place.pack));
    if (failed->code == ErrorCode::kKeyMissing || failed->code == ErrorCode::kKeyWrong) break;
  }
  return *failed;
}

Status ChunkFetcher::open_batch(Worker& worker, std::span<const ChunkName> names, std::size_t first, std::size_t count, std::vector<Opened>& out) {
  out.clear();
  for (std::size_t i = 0; i < count;) {
    auto places = index_.places(names[first + i]);
    // Neighbours in the list are mostly neighbours in a pack: one read for all of them.
    std::size_t together = 1, bytes = places.empty() ? 0 : places[0].size;
    while (!places.empty() && i + together < count && bytes < kBatchBytes) {
      auto next = index_.places(names[first + i + together]);
      if (next.empty() || next[0].pack != places[0].pack || next[0].offset != places[0].offset + bytes) break;
      bytes += next[0].size;
      ++together;
    }
    Result<Bytes> stored = Bytes{};
    if (!places.empty()) {
      stored = with_retries<Bytes>([&] { return catalog_.objects().read(index_.pack_name(places[0].pack), places[0].offset, bytes); });
      if (stored.ok()) bytes_read_ += stored->size();
    }
    std::size_t offset = 0;
    for (std::size_t k = 0; k < together; ++k) {
      const ChunkName& name = names[first + i + k];
      const std::size_t size = places.empty() ? 0 : index_.places(name)[0].size;
      const Error* error = stored.ok() ? nullptr : &stored.error();
      STELE_TRY(Bytes opened, open_one(worker, name, stored.ok() ? ByteView(*stored).subspan(offset, size) : ByteView{}, error));
      offset += size;
      out.push_back({first + i + k, std::move(opened)});
    }
    i += together;
  }
  return {};
}

Status ChunkFetcher::fetch(std::span<const ChunkName> names, std::size_t workers, const std::function<Status(std::vector<Opened>&)>& prepare,
                           const std::function<Status(const std::vector<Opened>&)>& consume) {
  if (names.empty()) return {};
  const std::size_t batches = (names.size() + kBatchChunks - 1) / kBatchChunks;
  workers = std::max<std::size_t>(1, std::min(workers, batches));
  std::mutex turn_mutex;
  std::condition_variable turn_changed;
  std::size_t turn = 0, next = 0;
  std::optional<Error> failed;
  // Each worker takes the next batch in order and waits for its turn only between opening and consuming: the batch before it is always in
  // the hands of a worker, so the turn always comes.
  return parallel_for(workers, workers, [&](std::size_t) -> Status {
    Worker worker{format::ChunkOpener(*suite_, naming_->chunk_name)};
    std::vector<Opened> opened;
    while (true) {
      std::size_t batch = 0;
      {
        std::lock_guard lock(turn_mutex);
        if (failed || next == batches) return {};
        batch = next++;
      }
      const std::size_t first = batch * kBatchChunks;
      Status done;
      try {
        done = open_batch(worker, names, first, std::min(kBatchChunks, names.size() - first), opened);
      } catch (const std::exception& e) {
        done = Error{ErrorCode::kInternal, std::string("open chunks: ") + e.what(), ""};  // its turn still comes: the others wait for it
      }
      {
        std::unique_lock lock(turn_mutex);
        turn_changed.wait(lock, [&] { return turn == batch || failed; });
        if (failed) return {};
        if (done.ok()) done = prepare(opened);
        if (!done.ok()) failed = done.error();
        ++turn;
        turn_changed.notify_all();
      }
      if (done.ok()) {
        done = consume(opened);
        if (!done.ok()) {
          std::lock_guard lock(turn_mutex);
          if (!failed) failed = done.error();
          turn_changed.notify_all();
        }
      }
      if (!done.ok()) return done.error();
    }
  });
}

std::vector<Problem> ChunkFetcher::take_problems() {
  std::lock_guard lock(mutex_);
  return std::exchange(problems_, {});
}

}  // namespace stele::restore
