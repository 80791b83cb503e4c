#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "restore/main/commands.h"
#include "restore/wal/wal_fetch.h"

namespace stele::restore {

namespace {
struct Options {
  std::string staging, name, target;
};
}  // namespace

Command add_wal_fetch(CLI::App& app, const cli::Common&) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("wal-fetch", "Internal: PostgreSQL's restore_command. 0 delivered, 1 past the end, 255 anything else");
  command->add_option("--staging", options->staging, "Directory that `run` filled")->required();
  command->add_option("file", options->name, "%f")->required();
  command->add_option("target", options->target, "%p")->required();
  cli::add_examples(*command, {"restore_command = 'stele-restore wal-fetch --staging /srv/pg.stele-wal %f %p'"});
  return [options]() -> Result<int> {
    const WalFetchResult result = fetch_wal_file(options->staging, options->name, options->target);
    if (result.exit_code == 255) std::fputs(fmt::format("stele-restore wal-fetch: {}\n", result.reason).c_str(), stderr);
    return result.exit_code;
  };
}

}  // namespace stele::restore
