#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>

#include "core/base/allocator.h"
#include "core/config/log.h"
#include "core/crypto/init.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"

namespace {

using namespace stele;
using namespace stele::restore;

int run(int argc, char** argv) {
  // PostgreSQL takes 1 to 125 from its restore_command as the end of the archive and promotes: only a proof may give 1.
  const bool wal_fetch = argc > 1 && std::strcmp(argv[1], "wal-fetch") == 0;
  cli::Common common;
  CLI::App app("Stele's restore tools: keys and enrolments, what can be restored, and the restore itself");
  cli::add_common(app, kProgram, common);
  std::vector<std::pair<CLI::App*, Command>> commands;
  using Add = Command (*)(CLI::App&, const cli::Common&);
  for (Add add : {&add_keygen, &add_enroll, &add_keys, &add_list, &add_plan, &add_run, &add_extract, &add_follow, &add_drill, &add_verify, &add_wal_fetch}) {
    Command command = add(app, common);
    commands.emplace_back(app.get_subcommands([](CLI::App*) { return true; }).back(), std::move(command));
  }
  if (const int code = cli::parse(app, argc, argv, common); code >= 0) return wal_fetch && code != 0 ? 255 : code;
  if (!wal_fetch) {
    if (Status ready = crypto::init(); !ready.ok()) return cli::report(kProgram, ready.error(), common.json);
    if (Status hardened = crypto::harden_process(); !hardened.ok()) log::warning("this process could not be hardened", {{"error", hardened.error().to_string()}});
  }
  for (auto& [command, work] : commands) {
    if (!command->parsed()) continue;
    Result<int> done = work();
    if (done.ok()) return *done;
    const int code = cli::report(kProgram, done.error(), common.json);
    return wal_fetch ? 255 : code;
  }
  return wal_fetch ? 255 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  stele::keep_freed_memory();
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    const bool wal_fetch = argc > 1 && std::strcmp(argv[1], "wal-fetch") == 0;
    const int code = cli::report(kProgram, Error{ErrorCode::kInternal, e.what(), "this is a bug in Stele"}, false);
    return wal_fetch ? 255 : code;
  }
}
