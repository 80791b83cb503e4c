#include "tests/support/postgres_cluster.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "tests/support/cluster_template.h"

namespace stele::test {
namespace {

namespace fs = std::filesystem;

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

bool wait_until(int seconds, const std::function<bool()>& done) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!done()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

/// Pids whose parent is `parent`, from /proc/PID/stat (proc(5): "pid (comm) state ppid").
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::string stat = read_text(entry.path() / "stat");
    auto close = stat.rfind(')');
    if (close == std::string::npos) continue;
    std::istringstream fields(stat.substr(close + 1));
    std::string state;
    pid_t ppid = 0;
    fields >> state >> ppid;
    if (ppid == parent) out.push_back(std::stoi(name));
  }
  return out;
}

bool alive(pid_t pid) {
  std::string stat = read_text(fmt::format("/proc/{}/stat", pid));
  auto close = stat.rfind(')');
  return close != std::string::npos && stat.size() > close + 2 && stat[close + 2] != 'Z';
}

}  // namespace

std::string PostgresCluster::program(std::string_view name) {
  static const std::string directory = [] {
    if (const char* given = std::getenv("STELE_PG_BINDIR")) return std::string(given);
    int newest = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
      if (fs::exists(entry.path() / "bin" / "initdb")) newest = std::max(newest, std::atoi(entry.path().filename().c_str()));
    }
    return fmt::format("/usr/lib/postgresql/{}/bin", newest);
  }();
  return fmt::format("{}/{}", directory, name);
}

Result<std::unique_ptr<PostgresCluster>> PostgresCluster::create_empty() {
  std::string root = fs::temp_directory_path() / "stele-pg-XXXXXX";
  if (mkdtemp(root.data()) == nullptr) return system_error("create directory", root, errno);
  std::unique_ptr<PostgresCluster> cluster(new PostgresCluster(root));
  if (chmod(root.c_str(), 0755) != 0) return system_error("change mode of", root, errno);
  STELE_CHECK(give_to_database_user(root));
  return cluster;
}

Result<std::unique_ptr<PostgresCluster>> PostgresCluster::create(PostgresOptions options) {
  STELE_TRY(auto cluster, create_empty());
  std::vector<std::string> args = {"-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", fmt::format("--wal-segsize={}", options.wal_segment_mb)};
  if (options.data_checksums) args.push_back("--data-checksums");
  args.insert(args.end(), options.initdb_args.begin(), options.initdb_args.end());
  STELE_CHECK(make_cluster(args, cluster->data_directory()));
  STELE_CHECK(cluster->append_config(fmt::format("fsync = {}\nshared_buffers = 16MB\nlog_min_messages = info\n{}",
                                                 options.fsync ? "on" : "off", options.config)));
  return cluster;
}

PostgresCluster::~PostgresCluster() {
  if (!stop(Stop::kImmediate, 20).ok()) (void)kill_hard().ok();
  std::error_code ignored;
  if (std::getenv("STELE_KEEP") == nullptr) fs::remove_all(root_, ignored);
}

Status PostgresCluster::launch() {
  if (running()) return Error{ErrorCode::kExists, "start PostgreSQL: it runs already", ""};
  STELE_TRY(pid_, start_process({program("postgres"), "-D", data_directory(), "-c", fmt::format("unix_socket_directories={}", root_),
                                 "-c", "listen_addresses=", "-c", fmt::format("port={}", port()), "-c", "logging_collector=off"},
                                {.as_database_user = true, .output_file = log_file()}, SIGQUIT));
  return {};
}

Status PostgresCluster::wait_ready(int seconds) {
  bool ended = false;
  bool ready = wait_until(seconds, [&] {
    if (!running()) return ended = true;
    // miscadmin.h: LOCK_FILE_LINE_PM_STATUS is line 8 and begins with "ready", "standby", "starting" or "stopping".
    std::istringstream file(read_text(data_directory() + "/postmaster.pid"));
    std::string line, first;
    for (int i = 1; i <= 8; ++i) {
      if (!std::getline(file, line)) return false;
      if (i == 1) first = line;
    }
    return std::atoi(first.c_str()) == pid_ && (line.starts_with("ready") || line.starts_with("standby"));
  });
  if (ended) return Error{ErrorCode::kDatabase, "start PostgreSQL: it stopped by itself:\n" + log_tail(), ""};
  if (!ready) return Error{ErrorCode::kTimeout, "start PostgreSQL: not ready in time:\n" + log_tail(), ""};
  return {};
}

Status PostgresCluster::start(int seconds) {
  STELE_CHECK(launch());
  return wait_ready(seconds);
}

bool PostgresCluster::running() {
  if (pid_ < 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

Status PostgresCluster::stop(Stop mode, int seconds) {
  if (!running()) return {};
  int signal_number = mode == Stop::kSmart ? SIGTERM : mode == Stop::kFast ? SIGINT : SIGQUIT;
  kill(pid_, signal_number);
  if (!wait_until(seconds, [&] { return !running(); })) return Error{ErrorCode::kTimeout, "stop PostgreSQL: still running", ""};
  return {};
}

Status PostgresCluster::kill_hard() {
  if (!running()) return {};
  kill(pid_, SIGSTOP);  // so that it starts no further process while its children are listed
  std::vector<pid_t> children = children_of(pid_);
  kill(pid_, SIGKILL);
  for (pid_t child : children) kill(child, SIGKILL);
  bool gone = wait_until(20, [&] {
    return !running() && std::none_of(children.begin(), children.end(), [](pid_t p) { return alive(p); });
  });
  if (!gone) return Error{ErrorCode::kTimeout, "kill PostgreSQL: processes are still there", ""};
  return {};
}

ProcessOptions PostgresCluster::client_options() const {
  ProcessOptions options;
  options.as_database_user = true;
  options.environment = {{"PGHOST", root_}, {"PGPORT", std::to_string(port())}, {"PGUSER", "postgres"}, {"PGDATABASE", "postgres"}};
  return options;
}

Result<std::string> PostgresCluster::psql(std::string_view sql, std::string_view database) {
  ProcessOptions options = client_options();
  options.input = sql;
  STELE_TRY(std::string out, run_checked({program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", std::string(database), "-f", "-"},
                                         options));
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

Result<std::string> PostgresCluster::run(std::vector<std::string> argv) {
  argv[0] = program(argv[0]);
  return run_checked(argv, client_options());
}

Status PostgresCluster::append_config(std::string_view text) {
  std::string path = data_directory() + "/postgresql.conf";
  bool is_new = !fs::exists(path);
  std::ofstream out(path, std::ios::app);
  out << text << "\n";
  if (!out.flush()) return system_error("append to", path, errno);
  if (is_new) return give_to_database_user(path);
  return {};
}

Status PostgresCluster::reload() {
  if (!running()) return Error{ErrorCode::kNotFound, "reload PostgreSQL: it does not run", ""};
  kill(pid_, SIGHUP);
  return {};
}

std::string PostgresCluster::conninfo(std::string_view database) const {
  return fmt::format("host={} port={} user=postgres dbname={}", root_, port(), database);
}

std::string PostgresCluster::log_tail() const {
  std::string text = read_text(log_file());
  return text.size() > 4000 ? text.substr(text.size() - 4000) : text;
}

}  // namespace stele::test
