#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/protocol/messages.h"

namespace stele::receiver {

/// The acknowledgements of one session, in the order in which its frames came: one is sent only when everything before it is durable too,
/// one for many where they follow one another in an object. Pure.
class AckQueue {
 public:
  /// A signed batch was accepted. Gives its ticket.
  std::uint64_t push(const protocol::Ack& ack, std::uint64_t credit, Instant arrived) {
    queue_.push_back({ack, credit, arrived, false});
    return first_ + queue_.size() - 1;
  }
  void durable(std::uint64_t ticket) { queue_[ticket - first_].done = true; }

  struct Ready {
    std::vector<protocol::Ack> acks;  ///< the last of each object
    std::uint64_t credit = 0;
    std::vector<Instant> arrived;
  };
  Ready take() {
    Ready out;
    while (!queue_.empty() && queue_.front().done) {
      Item& item = queue_.front();
      if (!out.acks.empty() && out.acks.back().object == item.ack.object) out.acks.back() = item.ack;
      else out.acks.push_back(item.ack);
      out.credit += item.credit;
      out.arrived.push_back(item.arrived);
      queue_.pop_front();
      ++first_;
    }
    return out;
  }
  bool empty() const { return queue_.empty(); }

 private:
  struct Item {
    protocol::Ack ack;
    std::uint64_t credit;
    Instant arrived;
    bool done;
  };
  std::deque<Item> queue_;
  std::uint64_t first_ = 0;
};

}  // namespace stele::receiver
