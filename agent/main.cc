#include <CLI/CLI.hpp>

#include "agent/check/command.h"
#include "agent/program/commands.h"
#include "core/base/allocator.h"
#include "core/config/cli.h"

int main(int argc, char** argv) {
  using namespace stele;
  keep_freed_memory();
  CLI::App app{"Streams a PostgreSQL database's change log and snapshots to off-site receivers."};
  cli::Common common;
  cli::add_common(app, "stele-agent", common);

  CLI::App* run = app.add_subcommand("run", "protect the database until stopped");
  cli::add_examples(*run, {"stele-agent --config /etc/stele/agent.toml run"});
  CLI::App* check = app.add_subcommand("check", "whether everything is as it must be, with what to do");
  cli::add_examples(*check, {"stele-agent check", "stele-agent check --json"});
  CLI::App* status = app.add_subcommand("status", "how the running agent stands; exit code 0: all is well, 1: something is wrong, 75: it is not running");
  int watch_seconds = 0;
  cli::add_watch(*status, watch_seconds);
  cli::add_examples(*status, {"stele-agent status", "stele-agent status --watch 5", "stele-agent status --json"});
  CLI::App* snapshot = app.add_subcommand("snapshot", "take a snapshot now and wait for it");
  bool full = false;
  snapshot->add_flag("--full", full, "send every chunk, also those that receivers know");
  cli::add_examples(*snapshot, {"stele-agent snapshot", "stele-agent snapshot --full"});
  CLI::App* enroll = app.add_subcommand("enroll", "make the agent's key and ask the authority to enrol it");
  std::string request = "enrolment.request";
  bool new_key = false;
  enroll->add_option("--request", request, "file to write the request to")->capture_default_str();
  enroll->add_flag("--new-key", new_key, "make a new key (after a loss); the old file must have been moved away");
  cli::add_examples(*enroll, {"stele-agent enroll --request 440000-registry.request"});

  if (const int code = cli::parse(app, argc, argv, common); code >= 0) return code;
  auto config = config::load_agent_config(common.config);
  if (!config.ok()) return cli::report("stele-agent", config.error(), common.json);
  if (check->parsed()) return agent::check_command(*config, common.json);
  if (run->parsed()) return agent::run_command(*config, common.json);
  if (status->parsed()) return agent::status_command(*config, watch_seconds, common.json);
  if (snapshot->parsed()) return agent::snapshot_command(*config, full, common.json);
  return agent::enroll_command(*config, request, new_key, common.json);
}
