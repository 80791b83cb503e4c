#include "agent/snapshot/page_images.h"

#include <algorithm>

namespace stele::agent {

std::size_t PageImages::Hash::operator()(const PageId& p) const {
  // Consecutive blocks of one relation are the usual case: multiply to spread them.
  std::uint64_t h = (std::uint64_t{p.relation} << 32 | p.block) * 0x9E3779B97F4A7C15ull;
  h ^= (std::uint64_t{p.tablespace} << 32 | p.database) * 0xC2B2AE3D27D4EB4Full + p.fork;
  return static_cast<std::size_t>(h ^ (h >> 29));
}

void PageImages::add(const pg::WalRecord& record) {
  if (!active_.load(std::memory_order_acquire)) return;
  std::lock_guard lock(mutex_);
  if (!active_.load(std::memory_order_relaxed) || lost_) return;
  // A record follows what was seen when it lies in it (seen before), begins where it ended, or names the last one as
  // its predecessor (page headers lie between).
  const bool follows = covered_from_ && (record.start <= covered_to_ || record.previous == last_record_);
  if (!follows) covered_from_ = record.start;
  if (!follows || record.start > last_record_) last_record_ = record.start;
  covered_to_ = follows ? std::max(covered_to_, record.end) : record.end;
  for (const pg::BlockReference& block : record.blocks) {
    if (!(block.has_image && block.applies_image) && !block.will_init) continue;
    remember({block.tablespace, block.database, block.relation, block.fork, block.block}, record.start);
  }
  seen_.notify_all();
}

void PageImages::remember(const PageId& page, Position at) {
  if (start_ && at < *start_) return;
  if (auto found = pages_.find(page); found != pages_.end()) {
    // Before the start is known the newest image is the one that may lie behind it; afterwards the first one decides.
    found->second = start_ ? std::min(found->second, at) : std::max(found->second, at);
    return;
  }
  if (pages_.size() >= capacity_) {
    overflow_ = true;
    return;
  }
  pages_.emplace(page, at);
}

void PageImages::new_branch() {
  std::lock_guard lock(mutex_);
  if (!active_.load(std::memory_order_relaxed)) return;
  lost_ = true;
  seen_.notify_all();
}

void PageImages::begin() {
  std::lock_guard lock(mutex_);
  pages_.clear();
  start_.reset();
  covered_from_.reset();
  covered_to_ = last_record_ = {};
  overflow_ = lost_ = false;
  active_.store(true, std::memory_order_release);
}

void PageImages::set_start(Position start) {
  std::lock_guard lock(mutex_);
  start_ = start;
  std::erase_if(pages_, [&](const auto& entry) { return entry.second < start; });
}

bool PageImages::wait_until(Position stop, Instant deadline) {
  std::unique_lock lock(mutex_);
  seen_.wait_until(lock, deadline, [&] { return lost_ || (covered_from_ && covered_to_ >= stop); });
  return !lost_ && covered_from_ && covered_to_ >= stop;
}

bool PageImages::lost() const {
  std::lock_guard lock(mutex_);
  return lost_;
}

PageImages::Answer PageImages::has_full_page_image(const PageId& page, Position from, Position to) const {
  std::lock_guard lock(mutex_);
  if (lost_) return Answer::kUnknown;
  if (auto found = pages_.find(page); found != pages_.end() && from <= found->second && found->second < to)
    return Answer::kImage;
  const bool complete = covered_from_ && *covered_from_ <= from && to <= covered_to_ && !overflow_;
  return complete ? Answer::kNone : Answer::kUnknown;
}

void PageImages::end() {
  std::lock_guard lock(mutex_);
  active_.store(false, std::memory_order_release);
  pages_ = {};
}

}  // namespace stele::agent
