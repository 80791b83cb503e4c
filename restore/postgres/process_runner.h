#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/time.h"

namespace stele::restore {

/// An operating system user. `change` false: the caller itself, nothing is switched.
struct OsUser {
  bool change = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  std::vector<gid_t> groups;  ///< all groups, the own one included
};

/// How a program is started. It gets an empty environment but PATH, LC_ALL=C and `environment`, no file descriptors but
/// 0 to 2, standard input from /dev/null, "/" as working directory, default signal handling.
struct ProcessSpec {
  std::vector<std::string> argv;  ///< argv[0] is an absolute path
  OsUser user;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string
      output_file;  ///< `start` only: standard output and error are appended here; created with mode 0600 for `user`
  bool isolated = false;  ///< in a network namespace of its own: no interface is up and no route exists, so only unix
                          ///< sockets in reachable directories work; and nothing it executes gains privileges. See
                          ///< check_isolation
  bool detached = false;  ///< `start` only: survives the caller; otherwise the kernel sends it SIGQUIT when the
                          ///< starting *thread* ends
};

/// How a program ended.
struct ProcessEnd {
  int exit_code = 0;  ///< meaningless when a signal ended it
  int signal = 0;     ///< 0: it exited by itself
  bool ok() const { return exit_code == 0 && signal == 0; }
  /// "exit code 3" or "signal 9".
  std::string to_string() const;
};

struct ProcessOutput {
  ProcessEnd end;
  std::string out, err;  ///< each at most 1 MiB, the rest is dropped
};

/// A started program. One thread at a time. Destroying it neither stops nor reaps the program.
class ChildProcess {
 public:
  virtual ~ChildProcess() = default;
  virtual pid_t pid() const = 0;
  /// Nothing while it runs; reaps it, and says the same from then on.
  virtual Result<std::optional<ProcessEnd>> poll() = 0;
  /// Sends a signal to this process only; success when it has ended already.
  virtual Status send_signal(int number) = 0;
};

/// The seam for other programs. Thread-safe.
class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  /// Runs a program to its end; an exit code other than 0 is not an error here. kIo when it cannot be started; kTimeout
  /// (killed).
  virtual Result<ProcessOutput> run(const ProcessSpec& spec, Duration timeout) = 0;
  virtual Result<std::unique_ptr<ChildProcess>> start(const ProcessSpec& spec) = 0;
};

/// Whether this host lets `user` have a network namespace of its own: root may, others where unprivileged user
/// namespaces are allowed. Starts a small program to find out. kUnauthorised with a hint.
Status check_isolation(ProcessRunner& runner, const OsUser& user);

/// The host's processes.
class PosixProcessRunner final : public ProcessRunner {
 public:
  Result<ProcessOutput> run(const ProcessSpec& spec, Duration timeout) override;
  Result<std::unique_ptr<ChildProcess>> start(const ProcessSpec& spec) override;
};

}  // namespace stele::restore
