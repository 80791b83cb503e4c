#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/client/receiver_connection.h"
#include "core/client/remote_reader.h"
#include "core/net/spawn.h"
#include "tests/support/agent/scripted_agent.h"
#include "tests/support/net/test_ca.h"

namespace stele::test {

/// A real stele-receiver in a directory of its own, on loopback. The process dies with the test.
class ReceiverProcess {
 public:
  /// `seal_after`: seal.after of its configuration.
  explicit ReceiverProcess(const ScriptedAgent& agent, std::string more_config = "", std::string seal_after = "2s");
  ~ReceiverProcess();

  /// Starts and waits until it is ready.
  void start();
  void kill_hard();
  /// SIGTERM; gives the exit code.
  int stop();
  /// Runs another command of the program; output and exit code.
  std::pair<int, std::string> command(std::vector<std::string> arguments);
  std::string get(const std::string& path);
  int metrics_port() const { return metrics_port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string log() const;
  pid_t pid() const { return pid_; }
  /// The TLS of somebody with this URI.
  std::shared_ptr<net::TlsContext> identity(const std::string& uri);

  std::filesystem::path directory;
  std::filesystem::path store() const { return directory / "store"; }
  TestCa& ca() { return *ca_; }

 private:
  std::string root_text_;
  std::unique_ptr<TestCa> ca_;
  int port_ = 0, metrics_port_ = 0;
  pid_t pid_ = -1;
  int identities_ = 0;
};

/// Network threads of a test.
class ClientThread {
 public:
  ClientThread() : work_(boost::asio::make_work_guard(io_)), thread_([this] { io_.run(); }) {}
  ~ClientThread() {
    work_.reset();
    io_.stop();
    thread_.join();
  }
  boost::asio::any_io_executor executor() { return io_.get_executor(); }
  template <typename T>
  T run(net::Task<T> task) {
    std::promise<T> promise;
    auto future = promise.get_future();
    boost::asio::co_spawn(io_, net::as_optional(std::move(task)), [&promise](std::exception_ptr e, std::optional<T> result) {
      if (e) promise.set_exception(e);
      else promise.set_value(std::move(*result));
    });
    return future.get();
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

/// One connection of a scripted agent, blocking.
class AgentLine {
 public:
  AgentLine(ClientThread& thread, ReceiverProcess& receiver, std::shared_ptr<net::TlsContext> tls, protocol::Purpose purpose,
            std::uint8_t instance = 1);

  Status opened;  ///< why there is no connection
  /// Query, records, stream.
  Result<protocol::DatabaseState> introduce(const ScriptedAgent& agent);
  Result<protocol::StreamState> open_stream(const ScriptedAgent& agent);
  Result<Bytes> call(protocol::MessageType type, Bytes body, protocol::MessageType expected);
  Result<net::Message> request(protocol::MessageType type, ByteView body);
  Status send_frame(const format::Frame& frame);
  Status send_status(const Bytes& record);
  /// Waits until this position is acknowledged; false when the session ended before, or after 20 s.
  bool wait_acknowledged(Position position);
  Position acknowledged();
  Status status() { return connection_ ? connection_->status() : opened; }
  bool wait_end();
  void close() { connection_.reset(); }

 private:
  ClientThread& thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Position acknowledged_;
  bool ended_ = false;
  std::unique_ptr<client::ReceiverConnection> connection_;
};

}  // namespace stele::test
