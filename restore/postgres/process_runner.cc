#include "restore/postgres/process_runner.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace stele::restore {
namespace {

constexpr std::size_t kMaxOutput = 1 << 20;
constexpr int kNotIsolated = 125;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// What a process without privileges writes into its new user namespace: it stays who it is.
struct IdentityMap {
  std::string users, groups;
};

bool write_proc(const char* path, const char* text, std::size_t size) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool good = write(fd, text, size) == static_cast<ssize_t>(size);
  close(fd);
  return good;
}

/// A new network namespace has a loopback interface that is down, and nothing else. Safe between fork and exec.
bool isolate(const IdentityMap& map) {
  if (unshare(CLONE_NEWNET) != 0) {
    if (errno != EPERM || geteuid() == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
    // The maps of a process that may not be dumped (harden_process) belong to root, proc(5); so it may be, for these three
    // writes.
    const int dumpable = prctl(PR_GET_DUMPABLE);
    if (prctl(PR_SET_DUMPABLE, 1) != 0) return false;
    const bool mapped = write_proc("/proc/self/setgroups", "deny", 4) &&
                        write_proc("/proc/self/uid_map", map.users.data(), map.users.size()) &&
                        write_proc("/proc/self/gid_map", map.groups.data(), map.groups.size());
    if (dumpable == 0) prctl(PR_SET_DUMPABLE, 0);
    if (!mapped) return false;
  }
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/// Only calls that are safe between fork and exec in a program with threads: everything is prepared by the caller.
[[noreturn]] void become(char* const* argv, char* const* env, int in, int out, int err, const OsUser& user,
                         const IdentityMap* isolated, bool detached, int death_signal, pid_t parent) {
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
  syscall(SYS_close_range, 3U, ~0U, 0U);  // an old kernel says ENOSYS: then close-on-exec must do
  if (isolated != nullptr && !isolate(*isolated)) _exit(kNotIsolated);
  if (user.change &&
      (setgroups(user.groups.size(), user.groups.data()) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0))
    _exit(126);
  if (chdir("/") != 0) _exit(126);
  umask(077);
  if (detached) {
    setsid();
  } else {
    // After the change of user: that clears the setting.
    prctl(PR_SET_PDEATHSIG, death_signal);
    if (getppid() != parent) _exit(126);
  }
  for (int number = 1; number < 32; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(argv[0], argv, env);
  _exit(127);
}

Result<pid_t> spawn(const ProcessSpec& spec, int out, int err, int death_signal) {
  if (spec.argv.empty() || !spec.argv[0].starts_with('/'))
    return Error{ErrorCode::kInternal, "start a program: no absolute path", ""};
  Descriptor in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (in.get() < 0) return system_error("open", "/dev/null", errno);
  std::vector<std::string> variables = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                        "LC_ALL=C"};
  for (const auto& [name, value] : spec.environment) variables.push_back(name + "=" + value);
  std::vector<char*> env, args;
  for (auto& v : variables) env.push_back(v.data());
  env.push_back(nullptr);
  for (const auto& a : spec.argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  if (access(spec.argv[0].c_str(), X_OK) != 0) return system_error("start", spec.argv[0], errno);
  IdentityMap map{fmt::format("{0} {0} 1", geteuid()), fmt::format("{0} {0} 1", getegid())};
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return system_error("start", spec.argv[0], errno);
  if (pid == 0) {
    become(args.data(), env.data(), in.get(), out, err, spec.user, spec.isolated ? &map : nullptr, spec.detached,
           death_signal, parent);
  }
  return pid;
}

ProcessEnd end_of(int status) {
  ProcessEnd end;
  if (WIFEXITED(status))
    end.exit_code = WEXITSTATUS(status);
  else
    end.signal = WTERMSIG(status);
  return end;
}

std::string read_all(int fd) {
  std::string out(kMaxOutput, '\0');
  std::size_t at = 0;
  while (at < out.size()) {
    ssize_t n = pread(fd, out.data() + at, out.size() - at, static_cast<off_t>(at));
    if (n <= 0) break;
    at += static_cast<std::size_t>(n);
  }
  out.resize(at);
  return out;
}

class PosixChild final : public ChildProcess {
 public:
  explicit PosixChild(pid_t pid) : pid_(pid) {}
  pid_t pid() const override { return pid_; }

  Result<std::optional<ProcessEnd>> poll() override {
    if (end_) return end_;
    int status = 0;
    pid_t got = waitpid(pid_, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return std::optional<ProcessEnd>();
    if (got < 0) return system_error("wait for", fmt::format("process {}", pid_), errno);
    end_ = end_of(status);
    return end_;
  }

  Status send_signal(int number) override {
    // Reap first: the number of a process that was reaped may belong to somebody else.
    STELE_TRY(auto end, poll());
    if (end) return {};
    if (kill(pid_, number) != 0) return system_error("send a signal to", fmt::format("process {}", pid_), errno);
    return {};
  }

 private:
  pid_t pid_;
  std::optional<ProcessEnd> end_;
};

}  // namespace

std::string ProcessEnd::to_string() const {
  return signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit code {}", exit_code);
}

Status check_isolation(ProcessRunner& runner, const OsUser& user) {
  ProcessSpec spec;
  spec.argv = {"/bin/true"};
  spec.user = user;
  spec.isolated = true;
  STELE_TRY(ProcessOutput done, runner.run(spec, std::chrono::seconds(30)));
  if (done.end.ok()) return {};
  return Error{ErrorCode::kUnauthorised,
               fmt::format("make a network namespace for the restored server: {}",
                           done.end.exit_code == kNotIsolated ? "this host does not allow it" : done.end.to_string()),
               "run this as root, or allow unprivileged user namespaces; without isolation nothing is started"};
}

Result<ProcessOutput> PosixProcessRunner::run(const ProcessSpec& spec, Duration timeout) {
  Descriptor out(memfd_create("stdout", MFD_CLOEXEC)), err(memfd_create("stderr", MFD_CLOEXEC));
  if (out.get() < 0 || err.get() < 0)
    return system_error("make buffers for", spec.argv.empty() ? "a program" : spec.argv[0], errno);
  STELE_TRY(pid_t pid, spawn(spec, out.get(), err.get(), SIGKILL));
  PosixChild child(pid);
  Instant end = std::chrono::steady_clock::now() + timeout;
  auto pause = std::chrono::milliseconds(1);
  for (;;) {
    STELE_TRY(auto finished, child.poll());
    if (finished) return ProcessOutput{*finished, read_all(out.get()), read_all(err.get())};
    if (std::chrono::steady_clock::now() >= end) {
      STELE_CHECK(child.send_signal(SIGKILL));
      int status = 0;
      while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
      }
      return Error{ErrorCode::kTimeout, fmt::format("run {}: not finished in time, killed", spec.argv[0]), ""};
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(50));
  }
}

Result<std::unique_ptr<ChildProcess>> PosixProcessRunner::start(const ProcessSpec& spec) {
  std::string file = spec.output_file.empty() ? "/dev/null" : spec.output_file;
  int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (spec.output_file.empty() ? 0 : O_CREAT);
  Descriptor out(open(file.c_str(), flags, 0600));
  if (out.get() < 0) return system_error("open", file, errno);
  if (spec.user.change && !spec.output_file.empty() && fchown(out.get(), spec.user.uid, spec.user.gid) != 0)
    return system_error("change the owner of", file, errno);
  STELE_TRY(pid_t pid, spawn(spec, out.get(), out.get(), SIGQUIT));
  return std::unique_ptr<ChildProcess>(std::make_unique<PosixChild>(pid));
}

}  // namespace stele::restore
