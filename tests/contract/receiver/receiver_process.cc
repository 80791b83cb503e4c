#include "tests/contract/receiver/receiver_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fstream>
#include <sstream>

#include "core/crypto/key_file.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"

namespace stele::test {

namespace {

std::string program() { return STELE_BINARY_DIR "/bin/stele-receiver"; }

}  // namespace

ReceiverProcess::ReceiverProcess(const ScriptedAgent& agent, std::string more_config, std::string seal_after) {
  std::string name = (std::filesystem::temp_directory_path() / "stele-receiver-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
  directory = name;
  ca_ = std::make_unique<TestCa>(directory, "ca");
  // Longer than anybody would be warned of.
  ca_->issue("receiver", {.uris = {"stele:receiver:shaoguan"}, .valid_until = std::chrono::hours(24 * 365)});
  const net::TlsConfig tls = ca_->config("receiver");
  port_ = must(free_port());
  metrics_port_ = must(free_port());
  std::ofstream(directory / "receiver.toml") << fmt::format(R"(
name = "shaoguan"
listen = "127.0.0.1:{}"
[tls]
ca = "{}"
certificate = "{}"
key = "{}"
crl = "{}"
[keys]
signing_key = "{}"
[store]
directory = "{}"
disk_reserve = "1MiB"
[journal]
max_bytes = "64MiB"
file_bytes = "1MiB"
[seal]
after = "{}"
[metrics]
listen = "127.0.0.1:{}"
[[authority]]
label = "office"
public_key = "{}"
[[site]]
name = "{}"
databases = ["{}"]
authorities = ["office"]
{}
)", port_, tls.ca_file, tls.certificate_file, tls.key_file, ca_->write_crl(), (directory / "receiver.key").string(), store().string(), seal_after, metrics_port_,
                                                            to_hex(agent.authority.verify_key().bytes()), agent.database.site, agent.database.database, more_config);
}

ReceiverProcess::~ReceiverProcess() {
  if (pid_ > 0) kill_hard();
  std::error_code ec;
  std::filesystem::remove_all(directory, ec);
}

void ReceiverProcess::start() {
  ProcessOptions options;
  options.output_file = (directory / "receiver.log").string();
  pid_ = must(start_process({program(), "--config", (directory / "receiver.toml").string(), "run"}, options, SIGKILL));
  for (int i = 0; i < 400; ++i) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("the receiver ended: " + log());
    }
    if (get("/readyz").find(" 200 ") != std::string::npos) return;
    ::usleep(50'000);
  }
  throw std::runtime_error("the receiver is not ready: " + log());
}

void ReceiverProcess::kill_hard() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

int ReceiverProcess::stop() {
  ::kill(pid_, SIGTERM);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::pair<int, std::string> ReceiverProcess::command(std::vector<std::string> arguments) {
  std::vector<std::string> argv = {program(), "--config", (directory / "receiver.toml").string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  ProcessOutput output = must(run_process(argv));
  return {output.exit_code, output.out + output.err};
}

std::string ReceiverProcess::get(const std::string& path) {
  namespace asio = boost::asio;
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  boost::system::error_code ec;
  socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(metrics_port_)}, ec);
  if (ec) return "";
  asio::write(socket, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), ec);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), ec);
  return answer;
}

std::string ReceiverProcess::log() const {
  std::ostringstream out;
  out << std::ifstream(directory / "receiver.log").rdbuf();
  return out.str();
}

std::shared_ptr<net::TlsContext> ReceiverProcess::identity(const std::string& uri) {
  return must(net::TlsContext::load(ca_->identity("peer" + std::to_string(++identities_), uri)));
}

AgentLine::AgentLine(ClientThread& thread, ReceiverProcess& receiver, std::shared_ptr<net::TlsContext> tls, protocol::Purpose purpose,
                     std::uint8_t instance)
    : thread_(thread) {
  client::ConnectionOptions options;
  options.address = receiver.address();
  options.receiver = "shaoguan";
  options.purpose = purpose;
  options.instance.data[0] = instance;
  options.software = "test";
  client::ConnectionEvents events;
  events.on_ack = [this](const protocol::Ack& ack) {
    std::lock_guard lock(mutex_);
    acknowledged_ = std::max(acknowledged_, ack.end);
    changed_.notify_all();
  };
  events.on_end = [this](const Error&) {
    std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  };
  auto connection = thread_.run(client::ReceiverConnection::open(thread_.executor(), std::move(tls), std::make_shared<net::SessionRegistry>(), options, events));
  if (connection.ok()) connection_ = std::move(*connection);
  else opened = connection.error();
}

Result<Bytes> AgentLine::call(protocol::MessageType type, Bytes body, protocol::MessageType expected) {
  if (!connection_) return opened.error();
  return thread_.run(connection_->call(type, std::move(body), expected, net::deadline_in(std::chrono::seconds(20))));
}

Result<net::Message> AgentLine::request(protocol::MessageType type, ByteView body) {
  if (!connection_) return opened.error();
  std::vector<ByteView> pieces = {body};
  return thread_.run(connection_->request(type, std::move(pieces), net::deadline_in(std::chrono::seconds(20))));
}

Result<protocol::DatabaseState> AgentLine::introduce(const ScriptedAgent& agent) {
  using protocol::MessageType;
  STELE_TRY(Bytes body, call(MessageType::kQueryDatabase, protocol::encode_database(agent.database), MessageType::kDatabaseState));
  for (const Bytes* record : {&agent.enrolment, &agent.recipients, &agent.branch, &agent.epoch}) {
    STELE_TRY([[maybe_unused]] Bytes stored, call(MessageType::kPutRecord, *record, MessageType::kStored));
  }
  return protocol::read_database_state(body);
}

Result<protocol::StreamState> AgentLine::open_stream(const ScriptedAgent& agent) {
  using protocol::MessageType;
  STELE_TRY(Bytes body, call(MessageType::kOpenStream, protocol::encode(protocol::OpenStream{agent.database, agent.stream, agent.generation}),
                             MessageType::kStreamOpened));
  return protocol::read_stream_opened(body);
}

Status AgentLine::send_frame(const format::Frame& frame) {
  if (!connection_) return opened;
  const Bytes encoded = frame.encode();
  std::vector<ByteView> pieces = {ByteView(encoded)};
  return thread_.run(connection_->send(protocol::MessageType::kFrame, std::move(pieces), net::deadline_in(std::chrono::seconds(20))));
}

Status AgentLine::send_status(const Bytes& record) {
  if (!connection_) return opened;
  std::vector<ByteView> pieces = {ByteView(record)};
  return thread_.run(connection_->send(protocol::MessageType::kStatus, std::move(pieces), net::deadline_in(std::chrono::seconds(20))));
}

bool AgentLine::wait_acknowledged(Position position) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(20), [&] { return ended_ || acknowledged_ >= position; });
  return acknowledged_ >= position;
}

Position AgentLine::acknowledged() {
  std::lock_guard lock(mutex_);
  return acknowledged_;
}

bool AgentLine::wait_end() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return ended_; });
}

}  // namespace stele::test
