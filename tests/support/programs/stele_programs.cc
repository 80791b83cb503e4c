#include "tests/support/programs/stele_programs.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/crypto/init.h"
#include "core/crypto/key_file.h"
#include "core/crypto/random.h"

namespace stele::test {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPassphrase = "a passphrase for tests only";
constexpr std::string_view kReceiverName = "test-receiver";

std::string program(std::string_view name) {
  return fmt::format("{}/bin/{}", STELE_BINARY_DIR, name);
}

std::string tail(const std::string& path) {
  const std::string text = read_file_text(path);
  return text.substr(text.size() > 3000 ? text.size() - 3000 : 0);
}

}  // namespace

Status wait_for(std::string_view what, int seconds, const std::function<bool()>& done) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + std::chrono::seconds(seconds);
  for (auto asked = steady_clock::now(); !done(); asked = steady_clock::now()) {
    if (steady_clock::now() > end) return Error{ErrorCode::kTimeout, fmt::format("{}: not within {} s", what, seconds), ""};
    const steady_clock::duration shortest = std::chrono::milliseconds(20), longest = std::chrono::milliseconds(250);
    std::this_thread::sleep_for(std::clamp((steady_clock::now() - asked) * 4, shortest, longest));
  }
  return {};
}

Status Daemon::start(const std::vector<std::string>& argv, const std::string& log_file) {
  if (running()) return Error{ErrorCode::kExists, name_ + " runs already", ""};
  exit_code_ = -1;
  STELE_TRY(pid_, start_process(argv, {.output_file = log_file}, SIGKILL));
  return {};
}

bool Daemon::running() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
  return false;
}

Status Daemon::stop(int seconds) {
  if (!running()) return {};
  kill(pid_, SIGTERM);
  return wait_for("stop " + name_, seconds, [&] { return !running(); });
}

void Daemon::kill_hard() {
  if (!running()) return;
  kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
  exit_code_ = 128 + SIGKILL;
  pid_ = -1;
}

std::string read_file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Status write_file_text(const std::string& path, std::string_view text, int mode) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out || chmod(path.c_str(), static_cast<mode_t>(mode)) != 0)
    return system_error("write", path, errno == 0 ? EIO : errno);
  return {};
}

std::string http_get(int port, std::string_view path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  const timeval limit{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  std::string answer;
  const std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char buffer[65536];
    for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(n));
  }
  close(fd);
  const auto body = answer.find("\r\n\r\n");
  return answer.starts_with("HTTP/1.1 200") && body != std::string::npos ? answer.substr(body + 4) : "";
}

StelePrograms::StelePrograms(std::string root, SteleOptions options)
    : root_(std::move(root)), options_(std::move(options)) {}

StelePrograms::~StelePrograms() {
  agent_.kill_hard();
  receiver_.kill_hard();
  std::error_code ignored;
  if (std::getenv("STELE_KEEP") == nullptr) fs::remove_all(root_, ignored);
}

Result<std::unique_ptr<StelePrograms>> StelePrograms::create(SteleOptions options) {
  std::string root = fs::temp_directory_path() / "stele-test-XXXXXX";
  if (mkdtemp(root.data()) == nullptr) return system_error("create directory", root, errno);
  // The restored server's user must reach what lies below.
  if (chmod(root.c_str(), 0755) != 0) return system_error("change mode of", root, errno);
  std::unique_ptr<StelePrograms> made(new StelePrograms(root, std::move(options)));
  for (const char* name : {"agent", "receiver", "restore", "keys"}) fs::create_directory(root + "/" + name);
  STELE_TRY(made->receiver_port_, free_port());
  STELE_TRY(made->receiver_metrics_port_, free_port());
  STELE_TRY(made->agent_metrics_port_, free_port());
  made->receiver_address_ = fmt::format("127.0.0.1:{}", made->receiver_port_);
  STELE_TRY(std::string certificates,
            run_checked({fmt::format("{}/scripts/make-test-certs.sh", STELE_SOURCE_DIR), root + "/tls", "--receiver",
                         std::string(kReceiverName), "--agent", made->options_.site, "--operator", "*"}));
  (void)certificates;
  STELE_CHECK(made->write_restore_config(true));
  STELE_CHECK(made->write_receiver_config());
  STELE_CHECK(made->write_agent_config());
  STELE_CHECK(made->make_keys());
  STELE_CHECK(made->enrol_agent());
  return made;
}

Status StelePrograms::protect(const std::string& conninfo) {
  options_.conninfo = conninfo;
  return write_agent_config();
}

Status StelePrograms::agent_connects_to(const std::string& address) {
  receiver_address_ = address;
  return write_agent_config();
}

Status StelePrograms::write_receiver_config() {
  return write_file_text(
      root_ + "/receiver.toml",
      fmt::format(R"(name = "{name}"
listen = "127.0.0.1:{port}"
[tls]
ca = "tls/ca.pem"
certificate = "tls/receiver-{name}.pem"
key = "tls/receiver-{name}.key"
crl = "tls/ca.crl"
[keys]
signing_key = "receiver/signing.key"
[store]
directory = "receiver/store"
disk_reserve = "64MiB"
[journal]
max_bytes = "256MiB"
file_bytes = "4MiB"
[seal]
after = "{seal}"
[[authority]]
label = "test"
public_key = "keys/authority.pub"
[[site]]
name = "{site}"
databases = ["{database}"]
authorities = ["test"]
[metrics]
listen = "127.0.0.1:{metrics}"
{extra})",
                  fmt::arg("name", kReceiverName), fmt::arg("port", receiver_port_), fmt::arg("site", options_.site),
                  fmt::arg("database", options_.database), fmt::arg("metrics", receiver_metrics_port_),
                  fmt::arg("seal", options_.open_store ? "2s" : "60s"), fmt::arg("extra", options_.receiver_extra)));
}

Status StelePrograms::write_agent_config() {
  return write_file_text(
      root_ + "/agent.toml",
      fmt::format(R"(site = "{site}"
database = "{database}"
[postgres]
conninfo = "{conninfo}"
[keys]
agent_key = "agent/agent.key"
enrolment = "agent/enrolment"
recipients = "agent/recipients"
[spool]
directory = "agent/spool"
max_bytes = "{spool_max}"
file_bytes = "4MiB"
{spool}
[policy]
ack = "{ack}"
on_full = "{on_full}"
{policy}
[[receiver]]
name = "{receiver}"
address = "{address}"
[tls]
ca = "tls/ca.pem"
certificate = "tls/agent-{site}.pem"
key = "tls/agent-{site}.key"
[log_stream]
as_of_interval = "1s"
[snapshot]
schedule = ""
fast_checkpoint = true
[metrics]
listen = "127.0.0.1:{metrics}"
[status]
interval = "1s"
{extra})",
                  fmt::arg("site", options_.site), fmt::arg("database", options_.database),
                  fmt::arg("conninfo", options_.conninfo), fmt::arg("spool", options_.spool_extra),
                  fmt::arg("spool_max", options_.spool_max_bytes),
                  fmt::arg("ack", options_.ack), fmt::arg("policy", options_.policy_extra), fmt::arg("on_full", options_.on_full),
                  fmt::arg("receiver", kReceiverName), fmt::arg("address", receiver_address_),
                  fmt::arg("metrics", agent_metrics_port_), fmt::arg("extra", options_.agent_extra)));
}

Status StelePrograms::write_restore_config(bool from_store) {
  const std::string source = from_store
                                 ? fmt::format("[store]\ndirectory = \"receiver/store\"\n")
                                 : fmt::format(
                                       "[[receiver]]\nname = \"{}\"\naddress = \"{}\"\n[tls]\nca = \"tls/ca.pem\"\n"
                                       "certificate = \"tls/operator-all.pem\"\nkey = \"tls/operator-all.key\"\n",
                                       kReceiverName, fmt::format("127.0.0.1:{}", receiver_port_));
  return write_file_text(
      root_ + "/restore.toml",
      fmt::format("work_directory = \"restore/work\"\n{}[keys]\nrecovery_keys = [\"keys/recovery.key\"]\n"
                  "[[authority]]\nlabel = \"test\"\npublic_key = \"keys/authority.pub\"\n"
                  "[postgres]\nbin_directory = \"{}\"\nuser = \"{}\"\n",
                  source, fs::path(PostgresCluster::program("postgres")).parent_path().string(),
                  geteuid() == 0 ? "postgres" : ""));
}

Status StelePrograms::restore_from_store() {
  return write_restore_config(true);
}
Status StelePrograms::restore_from_receiver() {
  return write_restore_config(false);
}

Status StelePrograms::prepare_drills(const std::string& assertions, const std::string& lines) {
  if (!fs::exists(root_ + "/keys/restore-host.key")) {
    STELE_TRY(const ProcessOutput made, restore_plain({"keygen", "--restore-host", "--directory", root_ + "/keys", "--label", "test drill host"}));
    if (made.exit_code != 0) return Error{ErrorCode::kDatabase, "keygen --restore-host: " + made.err, ""};
  }
  std::error_code ignored;
  fs::create_directories(root_ + "/textfile", ignored);
  const std::string file = root_ + "/restore.toml";
  return write_file_text(file, read_file_text(file) + fmt::format("[drill]\ndatabase = \"{1}/{2}\"\ndirectory = \"{0}/drill\"\nassertions = \"{3}\"\nreports = \"{0}/reports\"\n"
                                                                  "signing_key = \"{0}/keys/restore-host.key\"\ntextfile_directory = \"{0}/textfile\"\n{4}\n",
                                                                  root_, options_.site, options_.database, assertions, lines));
}

std::string StelePrograms::drill_metrics() const {
  return read_file_text(fmt::format("{}/textfile/stele_drill_{}_{}.prom", root_, options_.site, options_.database));
}

Status StelePrograms::make_keys() {
  STELE_CHECK(crypto::init());
  crypto::SodiumRandom random;
  const auto passphrase = crypto::SecretBytes::copy_of(as_bytes(kPassphrase));
  const crypto::Protection protection{passphrase, random, crypto::PassphraseCost::minimal()};
  const crypto::AuthorityKey authority{"", crypto::SigningKey::generate(crypto::default_suite(), random)};
  const crypto::RecoveryKey recovery{crypto::KeyKind::kRecovery, "", crypto::RecipientKeyPair::generate(crypto::default_suite(), random), authority.key.verify_key()};
  const auto write = [&](const std::string& name, const crypto::SecretBytes& file, const crypto::PublicKeyLine& line) -> Status {
    STELE_TRY(const std::string text, crypto::encode_public_key(line));
    STELE_CHECK(write_file_text(name + ".pub", text + "\n"));
    return write_file_text(name + ".key", as_text(file.view()), 0600);
  };
  STELE_TRY(const crypto::SecretBytes authority_file, crypto::encode_authority_key(authority, protection));
  STELE_CHECK(write(root_ + "/keys/authority", authority_file, crypto::public_line_of(authority)));
  STELE_TRY(const crypto::SecretBytes recovery_file, crypto::encode_recovery_key(recovery, protection));
  return write(root_ + "/keys/recovery", recovery_file, crypto::public_line_of(recovery));
}

Status StelePrograms::enrol_agent() {
  if (agent_.running()) return Error{ErrorCode::kUsage, "enrol the agent: it runs", ""};
  const std::string number = std::to_string(++enrolments_), request = root_ + "/keys/request-" + number,
                    signed_in = root_ + "/keys/enrolment-" + number;
  std::error_code ignored;
  fs::create_directories(root_ + "/agent");
  fs::remove(root_ + "/agent/agent.key", ignored);
  STELE_TRY(std::string asked, agent_ok({"enroll", "--request", request}));
  STELE_TRY(std::string enrolled,
            restore_ok({"enroll", "--request", request, "--authority-key", root_ + "/keys/authority.key", "--recipient",
                        root_ + "/keys/recovery.pub", "--directory", signed_in}));
  (void)asked, (void)enrolled;
  std::error_code problem;
  fs::copy_file(signed_in + "/enrolment.rec", root_ + "/agent/enrolment", fs::copy_options::overwrite_existing,
                problem);
  if (!problem)
    fs::copy_file(signed_in + "/recipients.rec", root_ + "/agent/recipients", fs::copy_options::overwrite_existing,
                  problem);
  if (problem) return Error{ErrorCode::kIo, "give the agent its enrolment: " + problem.message(), ""};
  return {};
}

Status StelePrograms::forget_agent() {
  if (agent_.running()) return Error{ErrorCode::kUsage, "forget the agent's state: it runs", ""};
  std::error_code problem;
  fs::remove_all(root_ + "/agent/spool", problem);
  if (problem) return Error{ErrorCode::kIo, "remove the agent's spool: " + problem.message(), ""};
  return {};
}

Status StelePrograms::start_receiver() {
  STELE_CHECK(receiver_.start({program("stele-receiver"), "--config", root_ + "/receiver.toml", "run"},
                              root_ + "/receiver.log"));
  return wait_for("receiver answers", 30, [&] { return !receiver_metrics().empty() || !receiver_.running(); });
}

Status StelePrograms::start_agent() {
  return agent_.start({program("stele-agent"), "--config", root_ + "/agent.toml", "run"}, root_ + "/agent.log");
}

Status StelePrograms::wait_streaming(PostgresCluster& source, bool synchronous, int seconds) {
  const std::string wanted = synchronous ? "sync" : "sync,async,quorum,potential";
  Status done = wait_for("agent streams", seconds, [&] {
    const auto state = source.psql(
        "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'stele' AND state = 'streaming'");
    return state.ok() && !state->empty() && wanted.find(*state) != std::string::npos;
  });
  if (!done.ok()) return Error{done.error().code, done.error().what + "\n" + logs(), ""};
  return {};
}

Status StelePrograms::wait_caught_up(PostgresCluster& source, int seconds) {
  STELE_TRY(const std::string flushed, source.psql("SELECT pg_current_wal_flush_lsn()"));
  Status done = wait_for("agent confirms " + flushed, seconds, [&] {
    const auto reached = source.psql(fmt::format(
        "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'stele' AND flush_lsn >= '{}'::pg_lsn",
        flushed));
    return reached.ok() && *reached == "1";
  });
  if (!done.ok()) return Error{done.error().code, done.error().what + "\n" + logs(), ""};
  return {};
}

std::vector<std::string> StelePrograms::agent_command(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {program("stele-agent"), "--config", root_ + "/agent.toml"});
  return arguments;
}

Result<ProcessOutput> StelePrograms::agent(std::vector<std::string> arguments) {
  return run_process(agent_command(std::move(arguments)));
}

Result<ProcessOutput> StelePrograms::receiver(std::vector<std::string> arguments) {
  std::vector<std::string> argv = {program("stele-receiver"), "--config", root_ + "/receiver.toml"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_process(argv);
}

Result<ProcessOutput> StelePrograms::restore(std::vector<std::string> arguments) {
  std::vector<std::string> argv = {program("stele-restore"), "--config", root_ + "/restore.toml"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  argv.insert(argv.end(), {"--passphrase-fd", "0"});
  return run_process(argv, {.input = fmt::format("{}\n", kPassphrase)});
}

Result<ProcessOutput> StelePrograms::restore_plain(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program("stele-restore"));
  return run_process(arguments);
}

namespace {
Result<std::string> checked(Result<ProcessOutput> output, const std::vector<std::string>& arguments) {
  STELE_TRY(ProcessOutput done, std::move(output));
  if (done.exit_code != 0) {
    return Error{ErrorCode::kDatabase,
                 fmt::format("{}: exit code {}\n{}\n{}", fmt::join(arguments, " "), done.exit_code, done.out, done.err),
                 ""};
  }
  return std::move(done.out);
}
}  // namespace

Result<std::string> StelePrograms::agent_ok(std::vector<std::string> arguments) {
  return checked(agent(arguments), arguments);
}
Result<std::string> StelePrograms::restore_ok(std::vector<std::string> arguments) {
  return checked(restore(arguments), arguments);
}

std::string StelePrograms::agent_metrics() const {
  return http_get(agent_metrics_port_, "/metrics");
}
std::string StelePrograms::receiver_metrics() const {
  return http_get(receiver_metrics_port_, "/metrics");
}

std::string StelePrograms::logs() const {
  return "--- agent.log\n" + tail(root_ + "/agent.log") + "--- receiver.log\n" + tail(root_ + "/receiver.log");
}

}  // namespace stele::test
