#include "restore/main/guided_run.h"

#include <iostream>

#include "restore/main/guide.h"
#include "restore/main/output.h"

namespace stele::restore {

Result<RunReport> run_guided(const cli::Common& common, const RunOptions& given) {
  STELE_TRY(std::unique_ptr<Context> context, Context::open(common, given.store));
  std::vector<DatabaseName> names;
  if (given.store.database.empty()) {
    STELE_TRY(names, context->databases());
  } else {
    STELE_TRY(const DatabaseName wanted, parse_database_name(given.store.database));
    names = {wanted};
  }
  std::vector<Guide::Database> databases;
  for (const DatabaseName& name : names) {
    auto catalog = context->load(name);
    std::string description = catalog.ok() ? describe(recovery::survey((*catalog)->facts()), (*catalog)->facts()) + describe((*catalog)->problems()) : catalog.error().to_string() + "\n";
    databases.push_back({name, std::move(description)});
  }
  Guide guide(std::move(databases), given);
  std::optional<RestoreJob> job;
  for (;;) {
    print(guide.take_text());
    switch (guide.step()) {
      case Guide::Step::kPlan: {
        job.emplace(common, guide.options(), std::move(context));
        Status decided = job->decide();
        if (decided.ok()) {
          guide.planned(describe(job->report().plan));
        } else {
          context = job->take_context();
          job.reset();
          guide.refused(decided.error());
        }
        continue;
      }
      case Guide::Step::kRun:
        STELE_CHECK(job->write());
        if (guide.options().start) STELE_CHECK(job->start());
        return job->report();
      case Guide::Step::kGivenUp: return guide.error();
      default: break;
    }
    std::string line;
    if (std::getline(std::cin, line)) guide.answer(line);
    else guide.give_up();
  }
}

}  // namespace stele::restore
