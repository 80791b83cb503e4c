#include "tests/support/programs/terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace stele::test {

Result<std::unique_ptr<Terminal>> Terminal::start(const std::vector<std::string>& argv) {
  std::unique_ptr<Terminal> out(new Terminal);
  out->master_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (out->master_ < 0 || grantpt(out->master_) != 0 || unlockpt(out->master_) != 0) return system_error("open", "a pty", errno);
  char name[128];
  if (ptsname_r(out->master_, name, sizeof(name)) != 0) return system_error("name", "a pty", errno);
  std::vector<char*> args;
  for (const std::string& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  out->pid_ = fork();
  if (out->pid_ < 0) return system_error("start", argv[0], errno);
  if (out->pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    const int slave = open(name, O_RDWR);
    if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) != 0) _exit(126);
    for (int fd : {0, 1, 2}) dup2(slave, fd);
    if (slave > 2) close(slave);
    execv(args[0], args.data());
    _exit(127);
  }
  return out;
}

Terminal::~Terminal() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (master_ >= 0) close(master_);
}

bool Terminal::read_some() {
  pollfd ready{master_, POLLIN, 0};
  if (poll(&ready, 1, 100) <= 0) return true;
  char buffer[4096];
  const ssize_t n = read(master_, buffer, sizeof(buffer));
  if (n <= 0) return false;  // EIO: nobody has the other side any more
  shown_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

Status Terminal::expect(const std::string& text, int seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (;;) {
    if (const std::size_t at = shown_.find(text, seen_); at != std::string::npos) {
      seen_ = at + text.size();
      return {};
    }
    if (!read_some()) return Error{ErrorCode::kClosed, fmt::format("\"{}\" was not shown before the program ended:\n{}", text, shown_), ""};
    if (std::chrono::steady_clock::now() > end) return Error{ErrorCode::kTimeout, fmt::format("\"{}\" was not shown within {} s:\n{}", text, seconds, shown_), ""};
  }
}

Status Terminal::type(const std::string& line) {
  const std::string text = line + "\n";
  if (write(master_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) return system_error("type on", "a pty", errno);
  return {};
}

Result<int> Terminal::wait(int seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  bool open = true;
  for (;;) {
    if (open) open = read_some();
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      while (open && read_some()) {
        pollfd more{master_, POLLIN, 0};
        if (poll(&more, 1, 0) <= 0) break;
      }
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (std::chrono::steady_clock::now() > end) return Error{ErrorCode::kTimeout, fmt::format("the program did not end within {} s:\n{}", seconds, shown_), ""};
    if (!open) usleep(20'000);
  }
}

}  // namespace stele::test
