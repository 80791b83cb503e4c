#include "core/config/cli.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdio>

#include "core/config/values.h"

namespace stele::cli {
namespace {

/// Decodes one UTF-8 character at `i` and moves behind it; a byte that is not one counts by itself.
char32_t next_character(std::string_view text, std::size_t& i) {
  const auto byte = static_cast<unsigned char>(text[i++]);
  const int more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
  char32_t c = more == 0 ? byte : byte & (0x3fu >> more);
  for (int k = 0; k < more && i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80; ++k) {
    c = (c << 6) | (static_cast<unsigned char>(text[i++]) & 0x3f);
  }
  return c;
}

/// Columns on a terminal: Chinese, Japanese, Korean and full-width forms take two.
std::size_t width(std::string_view text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = next_character(text, i);
    const bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
                      (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
                      (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
    columns += wide ? 2 : 1;
  }
  return columns;
}

/// "12", "3.5 GiB", "-": what reads better to the right.
bool is_quantity(std::string_view cell) {
  if (cell.empty() || cell == "-") return true;
  const std::string_view number = cell.substr(0, cell.find(' '));
  const std::string_view rest = cell.substr(std::min(cell.size(), number.size() + 1));
  return number.find_first_not_of("0123456789.,-") == std::string_view::npos && rest.size() <= 5 &&
         rest.find(' ') == std::string_view::npos;
}

/// A closed or full standard stream is no reason to fail, and fmt::print would throw.
void put(std::FILE* to, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

}  // namespace

void add_common(CLI::App& app, std::string_view program, Common& common) {
  const std::string name(program);
  common.config = fmt::format("/etc/stele/{}.toml", name.starts_with("stele-") ? name.substr(6) : name);
  app.name(name);
  app.fallthrough();
  app.require_subcommand(1);
  app.add_option("--config", common.config, "Configuration file")->capture_default_str();
  app.add_flag("--json", common.json, "One JSON object on standard output; logs on standard error");
  app.set_version_flag("--version", fmt::format("{} {}", name, STELE_VERSION));
}

void add_examples(CLI::App& command, const std::vector<std::string>& examples) {
  std::string footer = examples.size() == 1 ? "Example:" : "Examples:";
  for (const std::string& example : examples) footer += "\n  " + example;
  command.footer(footer);
}

void add_watch(CLI::App& command, int& seconds) {
  command.add_option_function<std::string>(
             "--watch",
             [&seconds](const std::string& given) { seconds = given.empty() ? 2 : std::stoi(given); },
             "Again and again, every so many seconds (2)")
      ->type_name("SECONDS")
      ->expected(0, 1)
      ->check([](const std::string& given) {
        const bool number = given.size() <= 4 && given.find_first_not_of("0123456789") == std::string::npos;
        return given.empty() || (number && std::stoi(given) > 0) ? std::string() : std::string("expected seconds, 1 to 9999");
      });
}

int parse(CLI::App& app, int argc, const char* const* argv, const Common& common) {
  // The parse may stop before it has seen --json.
  bool json = common.json;
  for (int i = 1; i < argc; ++i) json = json || std::string_view(argv[i]) == "--json";
  try {
    app.parse(argc, const_cast<char**>(argv));
    return -1;
  } catch (const CLI::Success& success) {
    return app.exit(success);  // prints help or version
  } catch (const CLI::ParseError& error) {
    return report(app.get_name(),
                  Error{ErrorCode::kUsage, error.what(), fmt::format("{} --help shows the commands", app.get_name())},
                  json);
  } catch (const std::exception& error) {
    return report(app.get_name(),
                  Error{ErrorCode::kInternal, fmt::format("reading the command line: {}", error.what()), ""}, json);
  }
}

std::string error_json(const Error& error) {
  const nlohmann::json body{{"error",
                             {{"code", error_name(error.code)},
                              {"number", static_cast<int>(error.code)},
                              {"what", error.what},
                              {"hint", error.hint},
                              {"exit_code", exit_code(error.code)}}}};
  return body.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

int report(std::string_view program, const Error& error, bool json) {
  if (json) {
    put(stdout, error_json(error) + "\n");
  } else {
    put(stderr, fmt::format("{}: error: {}\n", program, error.what));
    if (!error.hint.empty()) put(stderr, fmt::format("hint: {}\n", error.hint));
  }
  return exit_code(error.code);
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(headings_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::to_string() const {
  std::string out;
  const std::size_t columns = headings_.size();
  std::vector<std::size_t> widths(columns);
  std::vector<bool> right(columns, true);
  for (std::size_t c = 0; c < columns; ++c) {
    widths[c] = width(headings_[c]);
    for (const auto& row : rows_) {
      widths[c] = std::max(widths[c], width(row[c]));
      right[c] = right[c] && is_quantity(row[c]);
    }
  }
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string space(widths[c] - width(cells[c]), ' ');
      text += (c == 0 ? "" : "  ") + (right[c] ? space + cells[c] : cells[c] + space);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line(headings_);
  for (const auto& row : rows_) line(row);
  return out;
}

std::string format_progress(std::string_view label, std::uint64_t done, std::uint64_t total, Duration elapsed) {
  const double seconds = std::max(static_cast<double>(elapsed.count()) / 1e6, 1e-6);
  const double rate = static_cast<double>(done) / seconds;
  if (total == 0) return fmt::format("{} {}  {}", label, config::format_bytes(done), config::format_rate(rate));
  const std::uint64_t bounded = std::min(done, total);
  const int percent = static_cast<int>(static_cast<double>(bounded) * 100 / static_cast<double>(total));
  std::string out = fmt::format("{} {} %  {} of {}  {}", label, percent, config::format_bytes(done),
                                config::format_bytes(total), config::format_rate(rate));
  const double left = rate > 0 ? static_cast<double>(total - bounded) / rate : 0;
  if (done > 0 && left < 1e9)
    out += fmt::format("  {} left", config::format_duration(Duration(static_cast<std::int64_t>(left) * 1'000'000)));
  return out;
}

std::string progress_json(std::string_view label, std::uint64_t done, std::uint64_t total, Duration elapsed) {
  const double seconds = std::max(static_cast<double>(elapsed.count()) / 1e6, 1e-6);
  const double rate = static_cast<double>(done) / seconds;
  nlohmann::json body = {{"step", label}, {"done", done}, {"bytes_per_second", static_cast<std::uint64_t>(rate)}};
  if (total != 0) {
    const std::uint64_t bounded = std::min(done, total);
    body["total"] = total;
    body["percent"] = static_cast<int>(static_cast<double>(bounded) * 100 / static_cast<double>(total));
    if (rate > 0) body["seconds_left"] = static_cast<std::uint64_t>(static_cast<double>(total - bounded) / rate);
  }
  return nlohmann::json{{"progress", body}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Progress::Progress(std::string label, std::uint64_t total, Clock& clock, bool json)
    : label_(std::move(label)),
      total_(total),
      clock_(clock),
      begin_(clock.steady_now()),
      last_(begin_),
      json_(json),
      terminal_(!json && ::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (!shown_) return;
  if (terminal_) put(stderr, "\r\x1b[K");
  if (json_) put(stderr, progress_json(label_, done_, total_, std::chrono::duration_cast<Duration>(clock_.steady_now() - begin_)) + "\n");
}

void Progress::update(std::uint64_t done) {
  done_ = done;
  if (!terminal_ && !json_) return;
  const Instant now = clock_.steady_now();
  const auto pause = json_ ? std::chrono::milliseconds(1000) : std::chrono::milliseconds(100);
  if (now - begin_ < std::chrono::seconds(1) || (shown_ && now - last_ < pause)) return;
  const auto elapsed = std::chrono::duration_cast<Duration>(now - begin_);
  put(stderr, json_ ? progress_json(label_, done, total_, elapsed) + "\n" : "\r\x1b[K" + format_progress(label_, done, total_, elapsed));
  last_ = now;
  shown_ = true;
}

}  // namespace stele::cli
