#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

#include "core/net/byte_stream.h"

namespace stele::agent {

class AgentProgram;

/// A unix socket (mode 0600) on which the running agent answers its own commands. One line of JSON each way:
/// {"command":"status"} gives the status object; {"command":"snapshot","full":false} answers when the snapshot has ended.
class ControlServer {
 public:
  ControlServer(boost::asio::any_io_executor pool, std::string path, AgentProgram& program);
  ~ControlServer();
  Status start();
  [[nodiscard]] net::Task<void> stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Sends one command and waits for the answer (blocking). kTemporary where no agent runs on this configuration; the error that the agent
/// answered otherwise.
Result<std::string> ask_agent(const std::string& path, const std::string& command_json);

}  // namespace stele::agent
