#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/config/values.h"
#include "restore/fetch/decoding_log_index.h"
#include "restore/fetch/snapshot_reader.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/output.h"
#include "restore/main/planning.h"
#include "restore/main/target_options.h"
#include "restore/wal/wal_stager.h"

namespace stele::restore {

namespace {
struct Options {
  StoreOptions store;
  TargetOptions target;
};
}  // namespace

Command add_verify(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("verify", "Read and authenticate everything that `run` would use for a target, without writing. Exit code 4: damaged or forged");
  add_store_options(*command, options->store);
  add_target_options(*command, options->target);
  cli::add_examples(*command, {"stele-restore verify", "stele-restore verify --target-time 2026-11-23T15:33:45+08:00 --json"});
  return [options, &common]() -> Result<int> {
    STELE_TRY(const recovery::Target target, to_target(options->target));
    STELE_TRY(auto context, Context::open(common, options->store));
    STELE_TRY(const DatabaseName database, context->database());
    STELE_CHECK(context->load_keys(true));
    STELE_TRY(auto catalog, context->load(database));
    STELE_CHECK(context->check_known_heads(*catalog));
    LogReader reader(*catalog, context->keys());
    DecodingLogIndex index(*catalog, reader);
    STELE_TRY(const recovery::Plan plan, plan_restore(*catalog, target, to_plan_options(options->target), options->store.accept_older, &index));
    STELE_TRY(auto snapshot, SnapshotReader::open(*catalog, context->keys(), plan.snapshot.id, context->workers()));
    SharedProgress files("verify files", snapshot->raw_bytes(), context->clock(), common.json);
    STELE_CHECK(snapshot->read_files(
        context->workers(), [](std::size_t, std::uint64_t, ByteView) -> Status { return {}; }, [&](std::uint64_t done) { files(done); }));
    SharedProgress log("verify log", plan.log_raw_bytes, context->clock(), common.json);
    STELE_TRY(const std::size_t objects, verify_log(*catalog, reader, plan, context->workers(), [&](std::uint64_t done) { log(done); }));
    std::vector<Problem> problems = catalog->problems();
    for (std::vector<Problem> more : {snapshot->problems(), snapshot->fetcher().take_problems()}) problems.insert(problems.end(), more.begin(), more.end());
    const int code = exit_code_of(problems);
    if (common.json) {
      nlohmann::json out = to_json(plan, catalog->facts());
      out["verified"] = {{"files", snapshot->files().size()}, {"file_bytes", snapshot->raw_bytes()}, {"chunks", snapshot->content().size()}, {"log_objects", objects}, {"log_bytes", plan.log_raw_bytes}};
      out["problems"] = to_json(problems);
      print(out.dump() + "\n");
    } else {
      print(describe(plan) + fmt::format("verified   {} files, {} in {} chunks; {} of log in {} objects\n", snapshot->files().size(), config::format_bytes(snapshot->raw_bytes()),
                                         snapshot->content().size(), config::format_bytes(plan.log_raw_bytes), objects) + describe(problems));
    }
    return code;
  };
}

}  // namespace stele::restore
