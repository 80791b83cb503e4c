#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/result.h"
#include "core/base/time.h"

namespace CLI {
class App;
}

/// What the three programs' command lines share. Includes no CLI11: only the programs' main files need it.
namespace stele::cli {

/// Options that every command has.
struct Common {
  std::filesystem::path config;
  bool json = false;
};

/// Adds --config (default /etc/stele/NAME.toml), --json, --help and --version to a program, and asks for exactly one
/// command. `program` is "stele-agent"; `common` outlives the app. Sub-commands inherit the options
/// (`app.fallthrough()`).
void add_common(CLI::App& app, std::string_view program, Common& common);
/// Puts examples under the help of a command, one line each.
void add_examples(CLI::App& command, const std::vector<std::string>& examples);
/// `--watch [SECONDS]` for a status command: 2 s when none are given. `seconds` outlives the app and stays 0 without it.
void add_watch(CLI::App& command, int& seconds);
/// Parses. -1: go on with the command. Otherwise the exit code: 0 after --help or --version, 2 after an error, which
/// was printed.
int parse(CLI::App& app, int argc, const char* const* argv, const Common& common);

/// Prints an error, "stele-agent: error: WHAT" and "hint: ..." on standard error, or as one JSON object on standard
/// output, and gives the exit code of the contract.
int report(std::string_view program, const Error& error, bool json);
/// The JSON object of an error: {"error": {"code": "disk_full", "number": 3, "what": ..., "hint": ..., "exit_code":
/// 1}}.
std::string error_json(const Error& error);

/// Lines up columns of text; numbers (and sizes) to the right. UTF-8 is counted by characters, wide ones as two
/// columns.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}
  void add(std::vector<std::string> cells);
  std::string to_string() const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

/// The text of a progress line: "restore 45 %  1.2 GiB of 2.7 GiB  310.0 MiB/s  5 s left". `total` 0: unknown. Pure.
std::string format_progress(std::string_view label, std::uint64_t done, std::uint64_t total, Duration elapsed);

/// The same as one JSON object: {"progress": {"step": "restore", "done": 1288490188, "total": 2899102924, "percent": 44, "bytes_per_second":
/// 325058560, "seconds_left": 5}}. `total`, `percent` and `seconds_left` are left out where they are not known. Pure.
std::string progress_json(std::string_view label, std::uint64_t done, std::uint64_t total, Duration elapsed);

/// How far work of over a second is, on standard error: on a terminal one line that is written over, at most ten times a second; with `json`
/// a JSON line each second and one at the end.
class Progress {
 public:
  Progress(std::string label, std::uint64_t total, Clock& clock, bool json = false);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Thread: one.
  void update(std::uint64_t done);

 private:
  std::string label_;
  std::uint64_t total_;
  Clock& clock_;
  Instant begin_, last_{};
  std::uint64_t done_ = 0;
  bool json_, terminal_, shown_ = false;
};

}  // namespace stele::cli
