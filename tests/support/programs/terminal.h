#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace stele::test {

/// A program on a terminal of its own (a pty, its controlling terminal), as a person has it.
class Terminal {
 public:
  static Result<std::unique_ptr<Terminal>> start(const std::vector<std::string>& argv);
  /// Kills the program when it still runs.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Until `text` was shown behind what earlier calls waited for; kTimeout and kClosed with everything shown.
  Status expect(const std::string& text, int seconds);
  /// Types a line.
  Status type(const std::string& line);
  /// Reads on until the program ends; its exit code (128 + signal).
  Result<int> wait(int seconds);
  const std::string& shown() const { return shown_; }

 private:
  Terminal() = default;
  /// Reads what is there within 100 ms; false at the end.
  bool read_some();
  pid_t pid_ = -1;
  int master_ = -1;
  std::string shown_;
  std::size_t seen_ = 0;
};

}  // namespace stele::test
