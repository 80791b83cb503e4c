#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agent/postgres/address.h"
#include "agent/postgres/slot.h"
#include "core/base/time.h"

namespace stele::agent {

/// Looks at the agent's slot on the primary every few seconds: what it keeps, and how near it is to being lost. On its own thread,
/// so that a busy server never delays the stream.
class SlotWatch {
 public:
  struct Options {
    std::string slot;
    std::string application_name;
    Duration interval = std::chrono::seconds(10);
  };
  using Primary = std::function<std::optional<ServerAddress>()>;  ///< nothing: not streaming, nothing is known

  SlotWatch(Options options, Clock& clock, Primary primary);
  ~SlotWatch();
  Status start();
  void stop();
  /// As last seen; nothing while the server cannot be asked. A server without the slot: `name` is empty. Thread-safe.
  std::optional<SlotState> state() const;

 private:
  void run();
  Result<SlotState> look();
  const Options options_;
  Clock& clock_;
  const Primary primary_;
  std::shared_ptr<Interrupt> interrupt_;
  mutable std::mutex mutex_;
  std::optional<SlotState> state_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace stele::agent
