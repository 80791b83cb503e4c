#include "agent/program/control.h"

#include <sys/stat.h>

#include <boost/asio.hpp>
#include <boost/asio/experimental/as_tuple.hpp>
#include <nlohmann/json.hpp>

#include "agent/program/agent_program.h"
#include "agent/program/status_report.h"
#include "core/config/cli.h"

namespace stele::agent {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

namespace {
constexpr std::size_t kMaxLine = 1 << 20;
constexpr auto kPoll = std::chrono::milliseconds(100);

std::string one_line(std::string json) {
  std::erase(json, '\n');
  return json + "\n";
}
}  // namespace

struct ControlServer::State : std::enable_shared_from_this<ControlServer::State> {
  State(asio::any_io_executor pool, std::string socket_path, AgentProgram& agent)
      : strand(asio::make_strand(pool)), path(std::move(socket_path)), program(agent), acceptor(strand) {}

  asio::any_io_executor strand;
  const std::string path;
  AgentProgram& program;
  asio::basic_socket_acceptor<Local> acceptor;
  bool stopping = false;
  int sessions = 0;

  net::Task<void> accept_loop() {
    auto self = shared_from_this();
    while (!stopping) {
      auto [failed, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
      if (failed) break;
      ++sessions;
      asio::co_spawn(strand, [self, s = std::make_shared<Local::socket>(std::move(socket))] { return self->serve(s); },
                     [self](std::exception_ptr) { --self->sessions; });
    }
  }

  net::Task<void> serve(std::shared_ptr<Local::socket> socket) {
    std::string line;
    auto [failed, size] = co_await asio::async_read_until(*socket, asio::dynamic_buffer(line, kMaxLine), '\n', asio::as_tuple(asio::use_awaitable));
    if (failed) co_return;
    const std::string answer = co_await handle(line.substr(0, size));
    co_await asio::async_write(*socket, asio::buffer(answer), asio::as_tuple(asio::use_awaitable));
  }

  net::Task<std::string> handle(std::string line) {
    const auto command = nlohmann::json::parse(line, nullptr, false);
    const std::string name = command.is_object() ? command.value("command", "") : "";
    if (name == "status") co_return one_line(status_json(program.view(), program.config()));
    if (name != "snapshot") co_return one_line(cli::error_json(Error{ErrorCode::kUsage, "unknown command", ""}));
    const std::uint64_t ticket = program.snapshots().request(SnapshotReason::kCommand, command.value("full", false));
    while (true) {
      auto outcome = program.snapshots().outcome(ticket);
      if (outcome && !outcome->ok()) co_return one_line(cli::error_json(outcome->error()));
      if (outcome) {
        const SnapshotReport& r = **outcome;
        nlohmann::ordered_json out = {{"snapshot", r.snapshot.hex()},       {"start", r.start.to_string()},
                                      {"stop", r.stop.to_string()},         {"started", to_iso8601(r.started)},
                                      {"finished", to_iso8601(r.finished)}, {"full", r.full},
                                      {"raw_bytes", r.raw_bytes},           {"new_bytes", r.new_bytes},
                                      {"sent_bytes", r.sent_bytes},         {"damaged_pages", r.damaged_pages},
                                      {"receivers", r.receivers},           {"warnings", r.warnings}};
        co_return one_line(out.dump());
      }
      if (stopping) co_return one_line(cli::error_json(Error{ErrorCode::kCancelled, "the agent is stopping", ""}));
      asio::steady_timer pause(strand, kPoll);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }
};

ControlServer::ControlServer(asio::any_io_executor pool, std::string path, AgentProgram& program)
    : state_(std::make_shared<State>(pool, std::move(path), program)) {}
ControlServer::~ControlServer() = default;

Status ControlServer::start() {
  boost::system::error_code failed;
  ::unlink(state_->path.c_str());  // left by an agent that was killed; the spool's lock keeps a second agent out
  state_->acceptor.open(Local(), failed);
  const mode_t before = ::umask(0177);
  if (!failed) state_->acceptor.bind(Local::endpoint(state_->path), failed);
  ::umask(before);
  if (!failed) state_->acceptor.listen(16, failed);
  if (failed) return system_error("listen on", state_->path, failed.value());
  asio::co_spawn(state_->strand, [state = state_] { return state->accept_loop(); }, [](std::exception_ptr) {});
  return {};
}

net::Task<void> ControlServer::stop() {
  co_await asio::post(asio::bind_executor(state_->strand, asio::use_awaitable));
  state_->stopping = true;
  state_->acceptor.close();
  ::unlink(state_->path.c_str());
}

Result<std::string> ask_agent(const std::string& path, const std::string& command_json) {
  asio::io_context io;
  Local::socket socket(io);
  boost::system::error_code failed;
  try {
    socket.connect(Local::endpoint(path), failed);
  } catch (const boost::system::system_error& error) {
    failed = error.code();  // a path that is too long for a socket address
  }
  if (failed) {
    return Error{ErrorCode::kTemporary, fmt::format("reach the agent at {}: {}", path, failed.message()), "start it: stele-agent run"};
  }
  asio::write(socket, asio::buffer(command_json + "\n"), failed);
  std::string answer;
  if (!failed) asio::read_until(socket, asio::dynamic_buffer(answer, kMaxLine), '\n', failed);
  if (failed) return Error{ErrorCode::kTemporary, fmt::format("the agent went away: {}", failed.message()), "look at its log, and try again"};
  const auto parsed = nlohmann::json::parse(answer, nullptr, false);
  if (parsed.is_object() && parsed.contains("error")) {
    const auto& e = parsed["error"];
    return Error{static_cast<ErrorCode>(e.value("number", 1)), e.value("what", ""), e.value("hint", "")};
  }
  return answer;
}

}  // namespace stele::agent
