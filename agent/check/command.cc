#include "agent/check/command.h"

#include <unistd.h>

#include <cstdio>

#include "agent/check/gather.h"
#include "core/config/cli.h"
#include "core/crypto/init.h"
#include "core/crypto/random.h"

namespace stele::agent {

int check_command(const config::AgentConfig& config, bool json) {
  if (Status ready = crypto::init(); !ready.ok()) return cli::report("stele-agent", ready.error(), json);
  io::PosixFileSystem fs;
  SystemClock clock;
  crypto::SodiumRandom random;
  const std::vector<Check> checks = judge(gather_facts(config, fs, clock, random), config);
  const std::string out = json ? checks_json(checks) + "\n" : checks_text(checks, ::isatty(STDOUT_FILENO) == 1);
  std::fputs(out.c_str(), stdout);
  return check_exit_code(checks);
}

}  // namespace stele::agent
