#include "receiver/ingest/stream_ledger.h"

namespace stele::receiver {

namespace {
// Memory of one stream stays bounded: older objects and tags are still in the store, but are not compared any more.
constexpr std::size_t kMaxObjects = 512;
constexpr std::size_t kMaxTags = 8192;
}  // namespace

void StreamLedger::remember_tag(Position position, const JoinTag& tag) {
  if (tag.is_zero()) return;
  tags_.try_emplace(position, tag);
  if (tags_.size() > kMaxTags) tags_.erase(tags_.begin());
}

void StreamLedger::add_row(Rows& rows, std::uint32_t first, ObjectProgress progress) {
  auto next = rows.upper_bound(first);
  if (next != rows.begin()) {
    auto before = std::prev(next);
    if (std::uint64_t{before->second.last.number} + 1 >= first) {
      first = before->first;
      if (before->second.last.number > progress.last.number) progress = before->second;
      next = rows.erase(before);
    }
  }
  while (next != rows.end() && next->first <= std::uint64_t{progress.last.number} + 1) {
    if (next->second.last.number > progress.last.number) progress = next->second;
    next = rows.erase(next);
  }
  rows.emplace(first, std::move(progress));
}

void StreamLedger::remember(std::uint32_t first, const format::FrameHeader& last, const Digest& head) {
  auto [it, fresh] = objects_.try_emplace(last.object);
  if (fresh) {
    object_order_.push_back(last.object);
    if (object_order_.size() > kMaxObjects) {
      objects_.erase(object_order_.front());
      object_order_.pop_front();
    }
    it = objects_.find(last.object);
  }
  if (it != objects_.end()) add_row(it->second, first, {last, head});
  if (!last_ || last.end >= last_->last.end) last_ = ObjectProgress{last, head};
  last_server_time_ = std::max(last_server_time_, last.server_time);
  highest_generation_ = std::max(highest_generation_, last.generation);
}

bool StreamLedger::add_frame(const format::FrameHeader& header, const Digest& head) {
  if (holds(header.object, header.number)) return false;
  if (header.join_start) remember_tag(header.start, *header.join_start);
  remember_tag(header.end, header.join);
  ranges_.add({header.start, header.end});
  remember(header.number, header, head);
  return true;
}

void StreamLedger::add_run(PositionRange range, const JoinTag& join_start, std::uint32_t first, const format::FrameHeader& last, const Digest& head) {
  remember_tag(range.begin, join_start);
  remember_tag(last.end, last.join);
  ranges_.add(range);
  sealed(range.end);
  remember(first, last, head);
}

void StreamLedger::lose(const LostFrames& lost, const std::optional<ObjectProgress>& before) {
  ranges_.remove(lost.range);
  if (auto it = objects_.find(lost.object); it != objects_.end()) {
    Rows kept;
    for (auto& [first, progress] : it->second) {
      const std::uint32_t last = progress.last.number;
      if (last < lost.first || first > lost.last) {
        kept.emplace(first, std::move(progress));
        continue;
      }
      if (first < lost.first && before && before->last.number + 1 == lost.first) kept.emplace(first, *before);
      if (last > lost.last) kept.emplace(lost.last + 1, std::move(progress));
    }
    it->second = std::move(kept);
  }
  if (!last_ || last_->last.object != lost.object || last_->last.number < lost.first || last_->last.number > lost.last) return;
  last_.reset();
  for (const auto& [object, rows] : objects_) {
    for (const auto& [first, progress] : rows) {
      if (!last_ || progress.last.end > last_->last.end) last_ = progress;
    }
  }
}

bool StreamLedger::holds(const ObjectId& object, std::uint32_t number) const {
  auto it = objects_.find(object);
  if (it == objects_.end()) return false;
  auto row = it->second.upper_bound(number);
  return row != it->second.begin() && std::prev(row)->second.last.number >= number;
}

const ObjectProgress* StreamLedger::before(const ObjectId& object, std::uint64_t number) const {
  auto it = objects_.find(object);
  if (it == objects_.end()) return nullptr;
  const ObjectProgress* found = nullptr;
  for (const auto& [first, progress] : it->second) {
    if (progress.last.number >= number) break;
    found = &progress;
  }
  return found;
}

std::optional<JoinTag> StreamLedger::tag_at(Position position) const {
  auto it = tags_.find(position);
  if (it == tags_.end()) return std::nullopt;
  return it->second;
}

protocol::StreamState StreamLedger::state() const {
  protocol::StreamState out;
  out.stream = stream_;
  if (!last_) return out;
  out.durable_end = last_->last.end;
  out.stored_begin = ranges_.begin_of(out.durable_end);
  out.object = last_->last.object;
  out.frame = last_->last.number;
  out.object_finished = last_->last.last;
  out.head = last_->head;
  out.join = last_->last.join;
  out.generation = last_->last.generation;
  return out;
}

}  // namespace stele::receiver
