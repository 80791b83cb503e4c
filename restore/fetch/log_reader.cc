#include "restore/fetch/log_reader.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "core/format/log_object.h"

namespace stele::restore {

namespace {
constexpr std::size_t kCachedObjects = 4;
constexpr std::size_t kMaxRunBytes = 64u << 20;
}  // namespace

template <typename T>
Result<T> with_retries(const std::function<Result<T>()>& operation) {
  std::chrono::milliseconds pause{100};
  for (int attempt = 1;; ++attempt) {
    Result<T> result = operation();
    if (result.ok() || !is_temporary(result.error().code) || result.error().code == ErrorCode::kCancelled || attempt == 5) return result;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 3, std::chrono::milliseconds{2000});
  }
}
template Result<Bytes> with_retries<Bytes>(const std::function<Result<Bytes>()>&);

Status LogReader::read_run(std::size_t run, format::FrameChain& chain, const std::function<Status(const format::Frame&)>& on_frame) {
  const recovery::RunFact& fact = catalog_.facts().runs[run];
  const format::RunHead& planned = catalog_.run_head(run);
  STELE_TRY(const Bytes bytes, with_retries<Bytes>([&] { return catalog_.objects().read_all(fact.name, kMaxRunBytes); }));
  STELE_TRY(const format::RunHead head, format::parse_run_head(bytes));
  if (head.object != planned.object || head.epoch != planned.epoch || head.stream != planned.stream || head.range != planned.range) {
    return Error{ErrorCode::kDamaged, "the run changed while it was read", ""};
  }
  Timestamp min_commit, max_commit, first_time, last_time;
  std::optional<JoinTag> join_start;
  bool first = true;
  STELE_CHECK(format::read_run(bytes, &catalog_.run_signer(run).key, [&](format::Frame frame) -> Status {
    const format::FrameHeader& h = frame.header();
    if (!h.min_commit.is_none() && (min_commit.is_none() || h.min_commit < min_commit)) min_commit = h.min_commit;
    max_commit = std::max(max_commit, h.max_commit);
    if (first) {
      first_time = h.server_time;
      join_start = h.join_start;
    }
    last_time = h.server_time;
    first = false;
    // Frames that an earlier run of the object has given already.
    if (chain.started() && h.number <= chain.last().number) return {};
    STELE_CHECK(chain.accept(frame));
    return on_frame(frame);
  }));
  if (min_commit != fact.min_commit || max_commit != fact.max_commit || first_time != fact.first_server_time || last_time != fact.last_server_time ||
      (join_start && !fact.join_start.is_zero() && *join_start != fact.join_start)) {
    return Error{ErrorCode::kForged, "the run's head claims other times than its signed frames", "the receiver is wrong; use another one's copy"};
  }
  return {};
}

Result<DecodedObject> LogReader::decode(const std::vector<std::size_t>& runs) {
  DecodedObject out;
  if (runs.empty()) return Error{ErrorCode::kInternal, "no run to decode", ""};
  const format::RunHead& head = catalog_.run_head(runs.front());
  out.begin = head.range.begin;
  const format::EpochRecord* record = catalog_.epoch(head.epoch);
  if (record == nullptr) return Error{ErrorCode::kForged, "a run of an unknown epoch", ""};
  STELE_TRY(auto secrets, keys_.open(head.epoch, *record));
  std::optional<format::LogObjectOpener> opener;
  format::FrameChain chain;
  for (std::size_t run : runs) {
    Status read = read_run(run, chain, [&](const format::Frame& frame) -> Status {
      if (!opener) {
        STELE_TRY(format::LogObjectOpener begun, format::LogObjectOpener::begin(frame.header(), secrets->data));
        opener.emplace(std::move(begun));
      }
      if (frame.header().kind == format::FrameKind::kIndex) {
        STELE_TRY(out.index, opener->open_index(frame));
        return {};
      }
      if (frame.header().start != out.end()) return Error{ErrorCode::kDamaged, "frames that do not follow one another", ""};
      if (out.bytes.size() + frame.header().raw_size() > 2 * format::kMaxObjectRaw) return Error{ErrorCode::kDamaged, "an object over the limit", ""};
      return opener->open_log(frame, out.bytes);
    });
    if (!read.ok()) return read.error().in(catalog_.facts().runs[run].name);
  }
  return out;
}

Result<std::shared_ptr<const DecodedObject>> LogReader::decode_cached(const recovery::LogPiece& piece) {
  {
    std::lock_guard lock(mutex_);
    for (auto at = cache_.begin(); at != cache_.end(); ++at) {
      if (at->first != piece.runs) continue;
      cache_.splice(cache_.begin(), cache_, at);
      return cache_.front().second;
    }
  }
  STELE_TRY(DecodedObject object, decode(piece.runs));
  auto shared = std::make_shared<const DecodedObject>(std::move(object));
  std::lock_guard lock(mutex_);
  cache_.emplace_front(piece.runs, shared);
  if (cache_.size() > kCachedObjects) cache_.pop_back();
  return shared;
}

}  // namespace stele::restore
