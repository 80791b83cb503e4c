#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/base/time.h"
#include "core/pg/wal_record.h"

namespace stele::agent {

/// One page of a relation fork, named as the log names it.
struct PageId {
  pg::Oid tablespace = 0, database = 0, relation = 0;
  std::uint8_t fork = 0;
  std::uint32_t block = 0;
  auto operator<=>(const PageId&) const = default;
};

/// Remembers, while a snapshot runs, which pages the log brings as a whole (a full-page image that redo applies, or a
/// page that redo initialises): such a page in the snapshot may be torn, recovery does not look at it. Bounded: past
/// `capacity` pages it says that it does not know.
///
/// Thread-safe. The log thread gives every record to add(), which costs one atomic load while no snapshot runs; the
/// snapshot's thread calls the rest. Records may come again (the log thread starts at a segment's beginning after a
/// reconnect); a hole in them is noticed.
class PageImages {
 public:
  explicit PageImages(std::size_t capacity = std::size_t{1} << 18) : capacity_(capacity) {}

  /// Log thread.
  void add(const pg::WalRecord& record);
  /// Log thread: another branch begins; what was recorded belongs to the old one.
  void new_branch();

  /// Before BASE_BACKUP is sent: its start may lie before its answer.
  void begin();
  /// The snapshot's start, once known: images before it do not count.
  void set_start(Position start);
  /// Waits until the log was seen up to `stop`; false at the deadline, or when the log thread began another branch.
  bool wait_until(Position stop, Instant deadline);
  /// Another branch began since begin(): nothing can be told any more.
  bool lost() const;
  enum class Answer {
    kImage,    ///< the log between start and stop brings the whole page
    kNone,     ///< it does not
    kUnknown,  ///< not everything between start and stop was seen, or there was no room
  };
  Answer has_full_page_image(const PageId& page, Position from, Position to) const;
  void end();

 private:
  struct Hash {
    std::size_t operator()(const PageId& page) const;
  };
  void remember(const PageId& page, Position at);

  const std::size_t capacity_;
  std::atomic<bool> active_{false};
  mutable std::mutex mutex_;
  std::condition_variable seen_;
  std::unordered_map<PageId, Position, Hash>
      pages_;  ///< the newest image before the start is known, the first one behind it
  std::optional<Position> start_;
  std::optional<Position> covered_from_;  ///< every record from here to covered_to_ was seen
  Position covered_to_, last_record_;
  bool overflow_ = false, lost_ = false;
};

}  // namespace stele::agent
