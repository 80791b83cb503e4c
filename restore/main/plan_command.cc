#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "restore/fetch/decoding_log_index.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/output.h"
#include "restore/main/planning.h"
#include "restore/main/target_options.h"

namespace stele::restore {

namespace {
struct Options {
  StoreOptions store;
  TargetOptions target;
  bool exact = false;
};
}  // namespace

Command add_plan(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plan", "What `run` would do for a target, or why it cannot, and the nearest reachable moments. Writes nothing");
  add_store_options(*command, options->store);
  add_target_options(*command, options->target);
  command->add_flag("--exact", options->exact, "Use the recovery key (asks for its passphrase) and read the log; transaction and name targets always do");
  cli::add_examples(*command, {"stele-restore plan --target-time 2026-11-23T15:33:45+08:00", "stele-restore plan --target-lsn 16/B374D848 --json"});
  return [options, &common]() -> Result<int> {
    STELE_TRY(const recovery::Target target, to_target(options->target));
    STELE_TRY(auto context, Context::open(common, options->store));
    STELE_TRY(const DatabaseName database, context->database());
    const bool needs_key = options->exact || target.kind == recovery::TargetKind::kXid || target.kind == recovery::TargetKind::kName;
    STELE_CHECK(context->load_keys(needs_key));
    STELE_TRY(auto catalog, context->load(database));
    STELE_CHECK(context->check_known_heads(*catalog));
    LogReader reader(*catalog, context->keys());
    DecodingLogIndex index(*catalog, reader);
    STELE_TRY(const recovery::Plan plan, plan_restore(*catalog, target, to_plan_options(options->target), options->store.accept_older, context->keys().empty() ? nullptr : &index));
    if (common.json) {
      nlohmann::json out = to_json(plan, catalog->facts());
      out["problems"] = to_json(catalog->problems());
      print(out.dump() + "\n");
    } else {
      print(describe(plan) + describe(catalog->problems()));
    }
    return 0;
  };
}

}  // namespace stele::restore
