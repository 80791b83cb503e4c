#include "tests/support/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>

extern char** environ;

namespace stele::test {
namespace {

struct User {
  bool change = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

Result<User> database_user() {
  User user;
  if (geteuid() != 0) return user;
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr) {
    return Error{ErrorCode::kNotFound, "look up user postgres: there is none",
                 "install PostgreSQL, or run the tests as another user than root"};
  }
  user.change = true;
  user.uid = entry->pw_uid;
  user.gid = entry->pw_gid;
  int count = 64;
  user.groups.resize(count);
  if (getgrouplist("postgres", user.gid, user.groups.data(), &count) < 0) return system_error("list groups of", "postgres", E2BIG);
  user.groups.resize(count);
  return user;
}

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

std::string read_all(int fd) {
  std::string out;
  char buffer[65536];
  off_t at = 0;
  for (;;) {
    ssize_t n = pread(fd, buffer, sizeof(buffer), at);
    if (n <= 0) return out;
    out.append(buffer, static_cast<std::size_t>(n));
    at += n;
  }
}

/// Only calls that are safe between fork and exec in a program with threads: everything is prepared by the caller.
[[noreturn]] void become(char* const* argv, char* const* env, int in, int out, int err, const User& user, pid_t parent,
                         int death_signal) {
  dup2(in, 0);
  dup2(out, 1);
  dup2(err, 2);
  if (user.change) {
    if (setgroups(user.groups.size(), user.groups.data()) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0) _exit(126);
    if (chdir("/") != 0) _exit(126);
  }
  // After the change of user: that clears the setting.
  prctl(PR_SET_PDEATHSIG, death_signal);
  if (getppid() != parent) _exit(126);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  environ = const_cast<char**>(env);
  execvp(argv[0], argv);
  _exit(127);
}

Result<pid_t> spawn(const std::vector<std::string>& argv, const ProcessOptions& options, int in, int out, int err, int death_signal) {
  User user;
  if (options.as_database_user) {
    STELE_TRY(user, database_user());
  }
  std::map<std::string, std::string> variables;
  for (char** e = environ; *e != nullptr; ++e) {
    std::string_view text = *e;
    auto eq = text.find('=');
    if (eq != std::string_view::npos) variables[std::string(text.substr(0, eq))] = text.substr(eq + 1);
  }
  // The operator's own settings must not steer the test's client programs.
  std::erase_if(variables, [](const auto& v) { return v.first.starts_with("PG"); });
  for (const auto& [name, value] : options.environment) variables[name] = value;
  std::vector<std::string> texts;
  for (const auto& [name, value] : variables) texts.push_back(name + "=" + value);
  std::vector<char*> env, args;
  for (auto& t : texts) env.push_back(t.data());
  env.push_back(nullptr);
  for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);

  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) return system_error("start", argv[0], errno);
  if (pid == 0) become(args.data(), env.data(), in, out, err, user, parent, death_signal);
  return pid;
}

}  // namespace

Result<ProcessOutput> run_process(const std::vector<std::string>& argv, const ProcessOptions& options) {
  Descriptor in(memfd_create("stdin", MFD_CLOEXEC)), out(memfd_create("stdout", MFD_CLOEXEC)), err(memfd_create("stderr", MFD_CLOEXEC));
  if (in.get() < 0 || out.get() < 0 || err.get() < 0) return system_error("create buffers for", argv[0], errno);
  if (pwrite(in.get(), options.input.data(), options.input.size(), 0) != static_cast<ssize_t>(options.input.size())) {
    return system_error("prepare input of", argv[0], errno);
  }
  STELE_TRY(pid_t pid, spawn(argv, options, in.get(), out.get(), err.get(), SIGKILL));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return system_error("wait for", argv[0], errno);
  }
  ProcessOutput result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_all(out.get());
  result.err = read_all(err.get());
  if (result.exit_code == 127 && result.err.empty()) return Error{ErrorCode::kIo, fmt::format("start {}: cannot be executed", argv[0]), ""};
  return result;
}

Result<std::string> run_checked(const std::vector<std::string>& argv, const ProcessOptions& options) {
  STELE_TRY(ProcessOutput output, run_process(argv, options));
  if (output.exit_code != 0) {
    return Error{ErrorCode::kDatabase, fmt::format("{}: exit code {}: {}", fmt::join(argv, " "), output.exit_code, output.err), ""};
  }
  return std::move(output.out);
}

Result<pid_t> start_process(const std::vector<std::string>& argv, const ProcessOptions& options, int death_signal) {
  std::string file = options.output_file.empty() ? "/dev/null" : options.output_file;
  Descriptor in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Descriptor out(open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (in.get() < 0 || out.get() < 0) return system_error("open", file, errno);
  return spawn(argv, options, in.get(), out.get(), out.get(), death_signal);
}

Status give_to_database_user(const std::string& path) {
  STELE_TRY(User user, database_user());
  if (user.change && chown(path.c_str(), user.uid, user.gid) != 0) return system_error("give to user postgres", path, errno);
  return {};
}

}  // namespace stele::test
