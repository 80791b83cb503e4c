#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace stele::test {

/// How a child process is started.
struct ProcessOptions {
  std::string input;             ///< what the child reads from standard input
  bool as_database_user = false; ///< as user postgres when the test runs as root; otherwise unchanged
  std::string output_file;       ///< start_process only: standard output and error are appended here; empty: /dev/null
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to (or replacing) the test's own variables
};

/// What a finished child left behind.
struct ProcessOutput {
  int exit_code = -1;  ///< 128 + signal number when a signal ended it
  std::string out;
  std::string err;
};

/// Runs argv[0] (a path, or a name looked up in PATH) to its end. An exit code other than 0 is not an error here;
/// kIo when the program cannot be started. The child dies with the calling thread.
Result<ProcessOutput> run_process(const std::vector<std::string>& argv, const ProcessOptions& options = {});

/// The same, but an exit code other than 0 is kDatabase with the child's standard error; gives standard output.
Result<std::string> run_checked(const std::vector<std::string>& argv, const ProcessOptions& options = {});

/// Starts argv and gives its pid; the caller reaps it. The kernel sends the child `death_signal` when the calling *thread*
/// ends (prctl(2), PR_SET_PDEATHSIG), so start long-lived children from the test's main thread.
Result<pid_t> start_process(const std::vector<std::string>& argv, const ProcessOptions& options, int death_signal);

/// Gives a file or directory to the user that `as_database_user` means; nothing to do when the test is not root.
Status give_to_database_user(const std::string& path);

}  // namespace stele::test
