#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/output.h"

namespace stele::restore {

namespace {
struct Options {
  StoreOptions store;
  bool check = false;
};

/// The epoch of the current writer: highest generation, then the latest made.
const std::pair<const EpochId, format::EpochRecord>* newest_epoch(const StoreCatalog& catalog) {
  const std::pair<const EpochId, format::EpochRecord>* newest = nullptr;
  for (const auto& epoch : catalog.trust().epochs()) {
    if (newest == nullptr || std::tuple(epoch.second.generation, epoch.second.created) > std::tuple(newest->second.generation, newest->second.created)) newest = &epoch;
  }
  return newest;
}

}  // namespace

Command add_keys(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("keys", "To whom a database is sealed; with --check whether the configured keys open its newest epoch");
  add_store_options(*command, options->store);
  command->add_flag("--check", options->check, "Open the newest epoch with the configured keys (asks for passphrases)");
  cli::add_examples(*command, {"stele-restore keys --database 440000/registry", "stele-restore keys --check"});
  return [options, &common]() -> Result<int> {
    STELE_TRY(auto context, Context::open(common, options->store));
    STELE_TRY(const DatabaseName database, context->database());
    STELE_TRY(auto catalog, context->load(database));
    const auto* newest = newest_epoch(*catalog);
    if (newest == nullptr) return Error{ErrorCode::kNotFound, fmt::format("no epoch of {} is here", database.to_string()), ""};
    std::optional<bool> opens;
    std::string opened_with;
    if (options->check) {
      STELE_CHECK(context->load_keys(true));
      STELE_TRY([[maybe_unused]] auto secrets, context->keys().open(newest->first, newest->second));
      opens = true;
      for (const crypto::RecoveryKey& key : context->keys().keys()) {
        for (const auto& sealed : newest->second.keys) {
          if (equal(sealed.recipient.public_key, key.pair.public_key().bytes())) opened_with = key.label;
        }
      }
    }
    nlohmann::json recipients = nlohmann::json::array();
    std::string text = fmt::format("{}: epoch {} of {}, generation {}, is sealed to\n", database.to_string(), newest->first.short_hex(), to_iso8601(newest->second.created), newest->second.generation.value);
    for (const auto& sealed : newest->second.keys) {
      const std::string kind = sealed.recipient.kind == format::RecipientKind::kDrill ? "drill" : "recovery";
      recipients.push_back({{"kind", kind}, {"label", sealed.recipient.label}, {"public_key", to_hex(sealed.recipient.public_key)}});
      text += fmt::format("  {:8} {} \"{}\"\n", kind, to_hex(sealed.recipient.public_key).substr(0, 16), sealed.recipient.label);
    }
    if (opens) text += fmt::format("the configured key \"{}\" opens it\n", opened_with);
    const std::vector<Problem>& problems = catalog->problems();
    if (common.json) {
      nlohmann::json out = {{"database", database.to_string()}, {"epoch", newest->first.hex()}, {"generation", newest->second.generation.value}, {"created", to_iso8601(newest->second.created)},
                            {"epochs", catalog->trust().epochs().size()}, {"recipients", recipients}, {"problems", to_json(problems)}};
      if (opens) out["opens"] = *opens;
      print(out.dump() + "\n");
    } else {
      print(text + describe(problems));
    }
    return exit_code_of(problems);
  };
}

}  // namespace stele::restore
