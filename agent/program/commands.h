#pragma once

#include "core/config/agent_config.h"

namespace stele::agent {

/// The commands of stele-agent. Each prints its own result and gives the exit code of the contract.
int run_command(const config::AgentConfig& config, bool json);
/// 0: all is well, 1: something is wrong, 75: the agent is not running. `watch_seconds` > 0: again and again.
int status_command(const config::AgentConfig& config, int watch_seconds, bool json);
int snapshot_command(const config::AgentConfig& config, bool full, bool json);
/// Makes the agent's key when there is none and writes the enrolment request for the authority to `request_file`.
int enroll_command(const config::AgentConfig& config, const std::string& request_file, bool new_key, bool json);

}  // namespace stele::agent
