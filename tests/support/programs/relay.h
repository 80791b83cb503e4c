#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "core/base/result.h"

namespace stele::test {

/// A TCP relay on loopback that keeps a copy of every byte of both directions in a file.
class RecordingRelay {
 public:
  /// Listens on a free port and forwards to 127.0.0.1:`target_port`.
  static Result<std::unique_ptr<RecordingRelay>> start(int target_port, const std::string& record_file);
  ~RecordingRelay();
  int port() const { return port_; }
  std::uint64_t bytes() const { return bytes_; }
  /// While cut, connections end at once; whole again, new ones pass.
  void cut(bool cut) { cut_ = cut; }

 private:
  RecordingRelay() = default;
  void run();
  int listener_ = -1, record_ = -1, port_ = 0, target_port_ = 0;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> stop_{false}, cut_{false};
  std::thread thread_;
};

}  // namespace stele::test
