#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "restore/catalog/drills.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/output.h"

namespace stele::restore {

Command add_list(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<StoreOptions>();
  CLI::App* command = app.add_subcommand("list", "What the store holds: databases, snapshots, windows, branches, gaps. Needs no key");
  add_store_options(*command, *options);
  cli::add_examples(*command, {"stele-restore --config restore.toml list", "stele-restore list --database 440000/registry --json"});
  return [options, &common]() -> Result<int> {
    STELE_TRY(auto context, Context::open(common, *options));
    STELE_TRY(auto databases, context->databases());
    if (!options->database.empty()) {
      STELE_TRY(const DatabaseName wanted, parse_database_name(options->database));
      databases = {wanted};
    }
    nlohmann::json all = nlohmann::json::array();
    std::string text;
    int code = 0;
    for (const DatabaseName& database : databases) {
      auto catalog = context->load(database);
      if (!catalog.ok()) {
        if (databases.size() == 1) return catalog.error();
        const std::vector<Problem> problems{{database.to_string(), catalog.error()}};
        all.push_back({{"database", database.to_string()}, {"problems", to_json(problems)}});
        text += describe(problems);
        code = std::max(code, exit_code_of(problems));
        continue;
      }
      std::vector<Problem> problems = (*catalog)->problems();
      if (Status known = context->check_known_heads(**catalog); !known.ok()) problems.push_back({database.to_string(), known.error()});
      const std::vector<StoredDrill> drills = read_drills(context->objects(), database, problems);
      const recovery::Survey survey = recovery::survey((*catalog)->facts());
      nlohmann::json one = to_json(survey, (*catalog)->facts());
      one["problems"] = to_json(problems);
      one["drills"] = to_json(drills);
      all.push_back(std::move(one));
      text += describe(survey, (*catalog)->facts()) + describe(drills) + describe(problems) + "\n";
      code = std::max(code, exit_code_of(problems));
    }
    if (databases.empty()) text = "the store holds no database\n";
    print(common.json ? nlohmann::json{{"databases", all}}.dump() + "\n" : text);
    return code;
  };
}

}  // namespace stele::restore
