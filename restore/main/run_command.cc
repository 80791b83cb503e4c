#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/config/values.h"
#include "restore/main/commands.h"
#include "restore/main/output.h"
#include "restore/main/restore_job.h"

namespace stele::restore {

Command add_run(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Rebuild a database in a new directory, at the latest moment or at a target");
  add_store_options(*command, options->store);
  add_target_options(*command, options->target);
  command->add_option("--into", options->into, "The new data directory: must not exist, or be empty")->required()->type_name("DIR");
  command->add_flag("--start", options->start, "Start PostgreSQL and wait until it takes writes");
  command->add_option("--port", options->port, "The restored server's port; otherwise the source's")->type_name("PORT");
  command->add_option("--target-action", options->action, "promote, pause or shutdown when the target is reached")->capture_default_str()->check(CLI::IsMember({"promote", "pause", "shutdown"}));
  command->add_option("--tablespace", options->tablespaces, "Where a tablespace goes; give it several times")->type_name("OID=DIR");
  command->add_option("--tablespace-root", options->places.root, "All other tablespaces go to DIR/OID")->type_name("DIR");
  command->add_flag("--tablespace-original", options->places.original, "Tablespaces without another place go to the source's own paths, which must be empty");
  cli::add_examples(*command, {"stele-restore run --into /srv/pg --start", "stele-restore run --into /srv/pg --target-time '2026-11-23 15:33:45+08'",
                               "stele-restore run --into /srv/pg --target-lsn 16/B374D848 --tablespace 16400=/srv/ts"});
  return [options, &common]() -> Result<int> {
    STELE_TRY(const RunReport report, run_restore(common, *options));
    if (common.json) {
      print(report.to_json().dump() + "\n");
    } else {
      print(report.to_text());
    }
    return 0;
  };
}

}  // namespace stele::restore
