#pragma once

#include "core/config/agent_config.h"

namespace stele::agent {

/// `stele-agent check`: prints every check and what to do, as a list or as one JSON object. 0: nothing failed (warnings allowed);
/// 1: something did. A configuration that cannot be read is 2, before this is called.
int check_command(const config::AgentConfig& config, bool json);

}  // namespace stele::agent
