#pragma once

#include "agent/check/decisions.h"
#include "core/base/random.h"
#include "core/io/file_system.h"

namespace stele::agent {

/// Asks every server, receiver, file and the system for what judge() needs. What cannot be learnt is in the facts as an error; changes
/// nothing anywhere. Blocks, at most about 10 s for each host and receiver.
CheckFacts gather_facts(const config::AgentConfig& config, io::FileSystem& fs, Clock& clock, RandomSource& random);

/// One host, as gather_facts asks it.
CheckedHost gather_host(const ServerAddress& address, const config::AgentConfig& config, Clock& clock);

}  // namespace stele::agent
