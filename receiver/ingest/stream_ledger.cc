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

void StreamLedger::remember(const format::FrameHeader& header, const Digest& head) {
  auto [it, fresh] = objects_.try_emplace(header.object);
  if (fresh) {
    object_order_.push_back(header.object);
    if (object_order_.size() > kMaxObjects) {
      objects_.erase(object_order_.front());
      object_order_.pop_front();
    }
    it = objects_.find(header.object);
  }
  if (it != objects_.end() && (fresh || header.number > it->second.last.number)) it->second = {header, head};
  if (!last_ || header.end >= last_->last.end) last_ = ObjectProgress{header, head};
  last_server_time_ = std::max(last_server_time_, header.server_time);
  highest_generation_ = std::max(highest_generation_, header.generation);
}

bool StreamLedger::add_frame(const format::FrameHeader& header, const Digest& head) {
  if (const ObjectProgress* held = object(header.object); held != nullptr && header.number <= held->last.number) return false;
  if (header.join_start) remember_tag(header.start, *header.join_start);
  remember_tag(header.end, header.join);
  ranges_.add({header.start, header.end});
  remember(header, head);
  return true;
}

void StreamLedger::add_run(PositionRange range, const JoinTag& join_start, const format::FrameHeader& last, const Digest& head) {
  remember_tag(range.begin, join_start);
  remember_tag(last.end, last.join);
  ranges_.add(range);
  sealed(range.end);
  remember(last, head);
}

const ObjectProgress* StreamLedger::object(const ObjectId& object) const {
  auto it = objects_.find(object);
  return it == objects_.end() ? nullptr : &it->second;
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
