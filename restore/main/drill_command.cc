#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/base/seconds.h"
#include "core/config/log.h"
#include "core/config/values.h"
#include "restore/drill/publish.h"
#include "restore/main/commands.h"
#include "restore/main/key_output.h"
#include "restore/main/output.h"
#include "restore/report/signed_report.h"

namespace stele::restore {

namespace {

std::string describe(const DrillResult& r, const Published& published) {
  const auto duration = [](double seconds) { return config::format_duration(duration_of(seconds)); };
  std::string out = fmt::format("drill      {} of {}\n", r.id.substr(0, 8), r.database.to_string());
  if (!r.target.empty()) {
    out += fmt::format("target     {}{}\n", r.target, r.seed ? fmt::format(" (random, seed {}; window {} to {})", *r.seed, to_iso8601(r.window_from), to_iso8601(r.window_to)) : "");
    if (!r.again.empty()) out += fmt::format("again      stele-restore drill {}\n", r.again);
  }
  cli::Table checks({"check", "result", "time", ""});
  for (const Check& c : r.checks) checks.add({c.name, std::string(check_result_name(c.result)), fmt::format("{:.1f} s", c.seconds), c.detail});
  if (!r.checks.empty()) out += checks.to_string();
  for (const CountDeviation& d : r.counts.deviations) {
    out += fmt::format("deviates   {}{}: {}, sealed {}, found {}\n", d.database, d.table.empty() ? "" : fmt::format(" {}.{}", d.schema, d.table), count_problem_name(d.problem), d.sealed, d.found);
  }
  if (r.rto) {
    out += "phases    ";
    for (const Phase phase : kPhases) out += fmt::format(" {} {:.1f} s", phase_name(phase), r.seconds(phase));
    out += fmt::format("\nRTO        {} (target {}{})\n", duration(*r.rto), duration(r.rto_target), r.rto_kept() ? "" : ": NOT KEPT");
  }
  if (r.rpo) out += fmt::format("RPO        {} (target {}{})\n", duration(*r.rpo), duration(r.rpo_target), r.rpo_kept() ? "" : ": NOT KEPT");
  if (!published.html_file.empty()) out += fmt::format("report     {}\n", published.html_file);
  for (const std::string& receiver : published.receivers) out += fmt::format("recorded   at {}\n", receiver);
  if (!r.passed()) return out + "FAILED\n";
  return out + (published.problems.empty() ? "PASSED\n" : "PASSED, but not published everywhere: see the errors\n");
}

Result<int> verify(const std::string& file, bool json) {
  STELE_TRY(const Bytes text, read_small_file(file, kMaxReportBytes));
  STELE_TRY(const Bytes signature, read_small_file(file + ".sig", kMaxSignatureBytes));
  auto line = verify_report(text, as_text(signature), nullptr);
  if (!line.ok()) return line.error().in(file);
  STELE_TRY(const std::string key, crypto::encode_public_key(*line));
  print(json ? nlohmann::json{{"file", file}, {"valid", true}, {"key", key}, {"label", line->label}}.dump() + "\n"
             : fmt::format("{}: signed by {} (\"{}\"); is that your restore host's key?\n", file, key, line->label));
  return 0;
}

Result<int> drill(const cli::Common& common, DrillOptions& options) {
  STELE_TRY(const config::RestoreConfig config, config::load_restore_config(common.config));
  if (options.store.database.empty()) options.store.database = config.drill.database;
  auto host = load_host_key(config.drill.signing_key.string());
  DrillOutcome outcome = host.ok() ? run_drill(common, config, options) : failed_drill(config, options, host.error());
  if (outcome.result.database.site.empty()) {
    // Nobody would know whose failure it is.
    constexpr std::string_view kNameIt = "with [drill] database in the configuration a drill that does not run shows in the metrics";
    if (outcome.error) return outcome.error->hint.empty() ? outcome.error->with_hint(kNameIt) : outcome.error->with_hint(fmt::format("{}; {}", outcome.error->hint, kNameIt));
  }
  const Published published = publish(common, config, options.store, outcome, host.ok() ? &*host : nullptr);
  for (const Error& problem : published.problems) log::log_error(problem.in("publish the drill"));
  if (common.json) {
    nlohmann::json out = report_json(outcome.result);
    out["published"] = {{"json", published.json_file}, {"html", published.html_file}, {"receivers", published.receivers}, {"problems", nlohmann::json::array()}};
    for (const Error& problem : published.problems) out["published"]["problems"].push_back(problem.what);
    if (outcome.error) out["problem"]["hint"] = outcome.error->hint;
    print(out.dump() + "\n");
    if (outcome.error) return exit_code(outcome.error->code);
  } else {
    print(describe(outcome.result, published));
    if (outcome.error) return *outcome.error;
  }
  // Evidence that is missing is a failure of its own.
  return outcome.result.passed() && published.problems.empty() ? 0 : 1;
}

}  // namespace

Command add_drill(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<DrillOptions>();
  auto report = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("drill", "Restore into an isolated place, start, check, measure RTO and RPO, report, and wipe it");
  add_store_options(*command, options->store);
  add_target_options(*command, options->target);
  command->add_flag("--target-random", options->random, "A random moment of the window of the current branch; it is printed");
  command->add_option("--seed", options->seed, "Of --target-random: the same seed and window give the same moment")->type_name("N");
  command->add_option("--disaster-time", options->disaster_time, "From when on the source counts as lost, for the RPO; default: now")->type_name("TIME");
  command->add_option("--assertions", options->assertions, "Folder of .sql files instead of [drill] assertions")->type_name("DIR");
  command->add_option("--verify-report", *report, "Only check the signature of a report's JSON file (FILE.sig beside it); drills nothing")->type_name("FILE");
  cli::add_examples(*command, {"stele-restore drill", "stele-restore drill --target-random", "stele-restore drill --target-time 2026-11-23T15:33:45+08:00",
                               "stele-restore drill --verify-report /var/lib/stele/reports/440000-registry-20261123T073345Z-1a2b3c4d.json"});
  return [options, report, &common]() -> Result<int> { return report->empty() ? drill(common, *options) : verify(*report, common.json); };
}

}  // namespace stele::restore
