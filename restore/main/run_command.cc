#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/config/values.h"
#include "restore/main/commands.h"
#include "restore/main/guided_run.h"
#include "restore/main/output.h"
#include "restore/main/restore_job.h"

namespace stele::restore {

Command add_run(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Rebuild a database in a new directory, at the latest moment or at a target");
  add_store_options(*command, options->store);
  add_target_options(*command, options->target);
  command->add_option("--into", options->into, "The new data directory: must not exist, or be empty")->type_name("DIR");
  auto yes = std::make_shared<bool>(false);
  command->add_flag("--yes", *yes, "Ask nothing. Without it, `run` without a target on a terminal shows what there is, asks, and shows the plan before it begins");
  command->add_flag("--delta", options->delta.on, "DIR holds this cluster, stopped: rewrite only what differs, remove what the snapshot does not have");
  command->add_flag("--accept-other-cluster", options->delta.other_cluster, "With --delta: DIR may hold another cluster")->needs("--delta");
  command->add_flag("--start", options->start, "Start PostgreSQL and wait until it takes writes");
  command->add_option("--port", options->port, "The restored server's port; otherwise the source's")->type_name("PORT");
  command->add_option("--role", options->role, "With --start: a superuser of the database, who is asked where recovery ended")->capture_default_str();
  command->add_option("--target-action", options->action, "promote, pause or shutdown when the target is reached")->capture_default_str()->check(CLI::IsMember({"promote", "pause", "shutdown"}));
  command->add_flag("--standby", options->standby, "A hot standby that goes on: `stele-restore follow --into DIR` keeps it up to date, and promotes it");
  command->add_option("--tablespace", options->tablespaces, "Where a tablespace goes; give it several times")->type_name("OID=DIR");
  command->add_option("--tablespace-root", options->places.root, "All other tablespaces go to DIR/OID")->type_name("DIR");
  command->add_flag("--tablespace-original", options->places.original, "Tablespaces without another place go to the source's own paths, which must be empty");
  cli::add_examples(*command, {"stele-restore run", "stele-restore run --into /srv/pg --start --yes", "stele-restore run --into /srv/pg --target-time '2026-11-23 15:33:45+08'",
                               "stele-restore run --into /srv/pg --target-lsn 16/B374D848 --tablespace 16400=/srv/ts",
                               "stele-restore run --into /var/lib/postgresql/15/main --delta --start", "stele-restore run --into /srv/pg --standby --start --yes"});
  return [options, yes, &common]() -> Result<int> {
    const TargetOptions& t = options->target;
    if (options->standby && (!t.time.empty() || !t.lsn.empty() || !t.xid.empty() || !t.name.empty() || t.immediate || options->action != "promote")) {
      return Error{ErrorCode::kUsage, "--standby goes on with the log: it has no target and no --target-action", ""};
    }
    const bool no_target = t.time.empty() && t.lsn.empty() && t.xid.empty() && t.name.empty() && !t.immediate && t.timeline.empty();
    const bool guided = no_target && !options->standby && !*yes && !common.json && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    if (!guided && options->into.empty()) return Error{ErrorCode::kUsage, "run: --into is missing", "--into DIR; on a terminal, without a target, `run` asks for everything"};
    STELE_TRY(const RunReport report, guided ? run_guided(common, *options) : run_restore(common, *options));
    if (common.json) {
      print(report.to_json().dump() + "\n");
    } else {
      print(report.to_text());
    }
    return 0;
  };
}

}  // namespace stele::restore
