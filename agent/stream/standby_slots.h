#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/postgres/address.h"
#include "agent/postgres/interrupt.h"
#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::agent {

/// Keeps the agent's slot on every standby of the connection string: makes it where it is missing, so that a promoted standby has kept
/// the log, and moves it forward behind what is confirmed, so that it does not keep WAL for ever. On its own thread: a standby that is
/// away never delays the stream.
class StandbySlots {
 public:
  struct Options {
    std::vector<ServerAddress> hosts;
    std::string slot;
    std::string application_name;
    Duration interval = std::chrono::seconds(10);
  };
  /// What the stream has reached: the primary's label and the position up to which WAL is not needed any more.
  struct Reached {
    std::string primary;
    Position keep_from;
  };
  using Source = std::function<std::optional<Reached>()>;  ///< nothing: not streaming, do nothing

  StandbySlots(Options options, Clock& clock, Source source);
  ~StandbySlots();
  /// Does nothing where there is only one host.
  Status start();
  void stop();
  /// One round over the standbys, on the caller's thread; every host's error with its label.
  std::vector<Error> round();

 private:
  Status keep(const ServerAddress& host, const Reached& reached);
  void run();
  const Options options_;
  Clock& clock_;
  const Source source_;
  std::shared_ptr<Interrupt> interrupt_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace stele::agent
