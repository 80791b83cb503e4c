#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/base/allocator.h"
#include "core/config/cli.h"
#include "core/config/receiver_config.h"
#include "core/crypto/init.h"
#include "receiver/main/report_command.h"
#include "receiver/main/run.h"
#include "receiver/status/report.h"

namespace {

using namespace stele;  // NOLINT: a main file
constexpr std::string_view kProgram = "stele-receiver";

int print_check(const std::vector<receiver::CheckLine>& lines, bool as_json) {
  using Verdict = receiver::CheckLine::Verdict;
  bool failed = false;
  nlohmann::json all = nlohmann::json::array();
  for (const receiver::CheckLine& line : lines) {
    failed = failed || line.verdict == Verdict::kFailed;
    const char* word = line.verdict == Verdict::kOk ? "ok" : line.verdict == Verdict::kWarning ? "warning" : "failed";
    if (as_json) all.push_back({{"check", line.name}, {"result", word}, {"found", line.found}, {"what_to_do", line.what_to_do}});
    else fmt::print("{:8} {:16} {}{}\n", word, line.name, line.found, line.what_to_do.empty() ? "" : "\n         -> " + line.what_to_do);
  }
  if (as_json) fmt::print("{}\n", nlohmann::json{{"checks", all}, {"ok", !failed}}.dump());
  return failed ? 1 : 0;
}

struct StatusOptions {
  int watch_seconds = 0;  ///< 0: once
  bool all = false;
  receiver::ReportRequest report;  ///< without a directory: none
};

/// What the running receiver says of everything.
Result<nlohmann::json> ask_receiver(const config::ReceiverConfig& config) {
  auto body = receiver::http_get(config.metrics.listen.to_string(), "/status");
  if (!body.ok()) {
    return Error{ErrorCode::kTemporary, "status: the receiver is not running: " + body.error().what, "start it; `stele-restore list` reads a store directory without it"};
  }
  auto status = nlohmann::json::parse(*body, nullptr, false);
  if (status.is_discarded()) return Error{ErrorCode::kProtocol, "status: the answer is not JSON", ""};
  return status;
}

/// One look: what to print, and the exit code. 0: all is well, 1: something is wrong, 75: the receiver is not running.
int look(const config::ReceiverConfig& config, bool as_json, const StatusOptions& options, std::string& out) {
  auto asked = ask_receiver(config);
  if (!asked.ok()) return cli::report(kProgram, asked.error(), as_json);
  const nlohmann::json& status = *asked;
  out = as_json ? status.dump() + "\n" : receiver::status_screen(status, cli::Painter(cli::wants_colour()), options.all ? 0 : cli::terminal_rows(), cli::locale_language());
  return status["state"] == "ok" ? 0 : 1;
}

/// 0 once the files are written, whatever they say.
int print_report(const config::ReceiverConfig& config, bool as_json, const receiver::ReportRequest& request) {
  auto status = ask_receiver(config);
  if (!status.ok()) return cli::report(kProgram, status.error(), as_json);
  auto files = receiver::write_report(config, *status, request, SystemClock().now());
  if (!files.ok()) return cli::report(kProgram, files.error(), as_json);
  if (as_json) fmt::print("{}\n", nlohmann::json{{"files", *files}}.dump());
  else {
    for (const std::string& file : *files) fmt::print("wrote {}\n", file);
  }
  return 0;
}

int print_status(const config::ReceiverConfig& config, bool as_json, const StatusOptions& options) {
  if (config.metrics.listen.port == 0) {
    return cli::report(kProgram, Error{ErrorCode::kConfig, "status: [metrics] listen is off, and the running receiver answers there", "set [metrics] listen"}, as_json);
  }
  if (!options.report.directory.empty()) return print_report(config, as_json, options.report);
  auto once = [&](int& code) {
    std::string out;
    code = look(config, as_json, options, out);
    return out;
  };
  int code = 0;
  if (options.watch_seconds > 0) cli::watch(std::chrono::seconds(options.watch_seconds), [&] { return once(code); });
  fmt::print("{}", once(code));
  return code;
}

int run_command(const CLI::App& app, const cli::Common& common, const StatusOptions& status) {
  auto config = config::load_receiver_config(common.config);
  if (!config.ok()) return cli::report(kProgram, config.error(), common.json);
  if (app.got_subcommand("check")) return print_check(receiver::check_receiver(*config), common.json);
  if (app.got_subcommand("status")) return print_status(*config, common.json, status);
  if (app.got_subcommand("reindex")) {
    auto objects = receiver::reindex(*config);
    if (!objects.ok()) return cli::report(kProgram, objects.error(), common.json);
    if (common.json) fmt::print("{}\n", nlohmann::json{{"objects", *objects}}.dump());
    else fmt::print("the catalog was made anew from {} objects\n", *objects);
    return 0;
  }
  Status ended = receiver::run_receiver(*config);
  return ended.ok() ? 0 : cli::report(kProgram, ended.error(), common.json);
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  cli::Common common;
  CLI::App app("Stele's receiver: keeps what agents of many sites stream, encrypted, without being able to read it.");
  cli::add_common(app, kProgram, common);
  auto* run = app.add_subcommand("run", "Serve until SIGTERM");
  cli::add_examples(*run, {"stele-receiver --config /etc/stele/receiver.toml run"});
  auto* check = app.add_subcommand("check", "Look at configuration, certificate, keys, store and journal; changes nothing");
  cli::add_examples(*check, {"stele-receiver --config /etc/stele/receiver.toml check"});
  auto* status = app.add_subcommand("status", "Every database at a glance; exit code 0: all is well, 1: something is wrong, 75: the receiver is not running");
  StatusOptions status_options;
  cli::add_watch(*status, status_options.watch_seconds);
  status->add_flag("--all", status_options.all, "Also what is well and does not fit the screen");
  auto* report = status->add_option("--report", status_options.report.directory, "Write the assessment of a period into DIR: HTML (Chinese and English) and CSV")->type_name("DIR");
  status->add_option("--from", status_options.report.from, "Its begin: a day or a moment (30 days before its end)")->needs(report);
  status->add_option("--to", status_options.report.to, "Its end (now)")->needs(report);
  cli::add_examples(*status, {"stele-receiver status", "stele-receiver status --watch 5", "stele-receiver status --json",
                              "stele-receiver status --report /srv/reports/2026-11 --from 2026-11-01 --to 2026-12-01"});
  auto* reindex = app.add_subcommand("reindex", "Make the catalog anew from the store (the receiver must be stopped)");
  cli::add_examples(*reindex, {"stele-receiver reindex"});
  if (int code = cli::parse(app, argc, argv, common); code >= 0) return code;
  for (const Status& ready : {crypto::init(), crypto::harden_process()}) {
    if (!ready.ok()) return cli::report(kProgram, ready.error(), common.json);
  }
  return run_command(app, common, status_options);
}
