#include "core/config/cli.h"

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace stele;
using testing::HasSubstr;

namespace {

struct Parsed {
  int code;
  cli::Common common;
  bool ran;
  std::string out, err;
};

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "stele-agent");
  Parsed result{};
  CLI::App app("The agent.");
  cli::add_common(app, "stele-agent", result.common);
  CLI::App* run = app.add_subcommand("run", "Stream");
  cli::add_examples(*run, {"stele-agent --config agent.toml run"});
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  result.code = cli::parse(app, static_cast<int>(arguments.size()), arguments.data(), result.common);
  result.out = testing::internal::GetCapturedStdout();
  result.err = testing::internal::GetCapturedStderr();
  result.ran = run->parsed();
  return result;
}

}  // namespace

TEST(Cli, TakesCommonOptionsBeforeAndBehindTheCommand) {
  Parsed before = parse({"--config", "a.toml", "--json", "run"});
  EXPECT_EQ(before.code, -1);
  EXPECT_TRUE(before.ran && before.common.json);
  EXPECT_EQ(before.common.config, "a.toml");
  Parsed behind = parse({"run", "--config", "a.toml"});
  EXPECT_EQ(behind.code, -1);
  EXPECT_EQ(behind.common.config, "a.toml");
  EXPECT_EQ(parse({"run"}).common.config, "/etc/stele/agent.toml");
}

TEST(Cli, UsageErrorsExitWithTwo) {
  for (std::vector<const char*> arguments : {std::vector<const char*>{}, {"fly"}, {"run", "--fast"}, {"--config"}}) {
    Parsed parsed = parse(arguments);
    EXPECT_EQ(parsed.code, 2);
    EXPECT_THAT(parsed.err, testing::StartsWith("stele-agent: error: "));
    EXPECT_THAT(parsed.err, HasSubstr("hint: stele-agent --help"));
    EXPECT_EQ(parsed.out, "");
  }
  Parsed json = parse({"fly", "--json"});
  EXPECT_EQ(json.code, 2);
  EXPECT_EQ(nlohmann::json::parse(json.out)["error"]["code"], "usage");
}

TEST(Cli, HelpShowsExamplesAndVersionIsPrinted) {
  Parsed help = parse({"run", "--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("Example:\n  stele-agent --config agent.toml run"));
  Parsed version = parse({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, std::string("stele-agent ") + STELE_VERSION + "\n");
}

TEST(Cli, ReportGivesTheContractsExitCode) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(cli::report("stele-restore", Error{ErrorCode::kUnreachable, "no such moment", "try later"}, false), 3);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "stele-restore: error: no such moment\nhint: try later\n");
  const auto body = nlohmann::json::parse(cli::error_json(Error{ErrorCode::kForged, "bad \xff byte", ""}));
  EXPECT_EQ(body["error"]["exit_code"], 4);
  EXPECT_EQ(body["error"]["number"], 31);
}

TEST(Cli, TableLinesUpNumbersAndWideCharacters) {
  cli::Table table({"site", "name", "bytes"});
  table.add({"a", "广东", "1.0 MiB"});
  table.add({"bbbbbb", "x", "12"});
  EXPECT_EQ(table.to_string(),
            "site    name    bytes\n"
            "a       广东  1.0 MiB\n"
            "bbbbbb  x          12\n");
}

TEST(Cli, ProgressAsJsonSaysTheSameAndLeavesOutWhatIsNotKnown) {
  const auto half = nlohmann::json::parse(cli::progress_json("restore files", 1u << 30, 2ull << 30, std::chrono::seconds(4)))["progress"];
  EXPECT_EQ(half, (nlohmann::json{{"step", "restore files"}, {"done", 1u << 30}, {"total", 2ull << 30}, {"percent", 50}, {"bytes_per_second", 256 << 20}, {"seconds_left", 4}}));
  EXPECT_EQ(nlohmann::json::parse(cli::progress_json("scan", 2048, 0, std::chrono::seconds(2)))["progress"], (nlohmann::json{{"step", "scan"}, {"done", 2048}, {"bytes_per_second", 1024}}));
  EXPECT_FALSE(nlohmann::json::parse(cli::progress_json("restore", 0, 100, Duration(0)))["progress"].contains("seconds_left"));
}

TEST(Cli, ProgressShowsRateAndRemainingTime) {
  EXPECT_EQ(cli::format_progress("restore", 1u << 30, 2ull << 30, std::chrono::seconds(4)),
            "restore 50 %  1.0 GiB of 2.0 GiB  256.0 MiB/s  4.0 s left");
  EXPECT_EQ(cli::format_progress("scan", 2048, 0, std::chrono::seconds(2)), "scan 2.0 KiB  1.0 KiB/s");
  EXPECT_EQ(cli::format_progress("restore", 0, 100, Duration(0)), "restore 0 %  0 B of 100 B  0 B/s");
  EXPECT_THAT(cli::format_progress("restore", 200, 100, std::chrono::seconds(1)), HasSubstr("100 %"));
}
