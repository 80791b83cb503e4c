#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/result.h"
#include "core/base/time.h"

/// The programs' log: one line for each event, text or JSON, on standard error or in a file. Writing is asynchronous:
/// the caller puts a line into a bounded queue and never waits; when the queue is full (a full disk, a reader that
/// stopped) the oldest lines are dropped and counted. Thread-safe. Lines hold no secret and no personal data. Nobody
/// else includes spdlog.
namespace stele::log {

enum class Level { kDebug, kInfo, kWarning, kError };
enum class Format { kText, kJson };

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;
  std::filesystem::path file;  ///< empty: standard error. Opened for appending; copytruncate of logrotate works
  std::string program;         ///< "stele-agent"
  std::size_t queue_lines = 8192;
};

/// One named value of a line: `{"site", site}`, `{"bytes", n}`. Anything with `to_string()` works. Names are
/// lower_snake_case.
struct Field {
  std::string_view name;
  std::string value;
  bool quoted = true;  ///< false for numbers and booleans

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const std::string& v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(v) {}
  Field(std::string_view n, bool v) : name(n), value(v ? "true" : "false"), quoted(false) {}
  Field(std::string_view n, double v);
  template <std::integral T>
  Field(std::string_view n, T v) : name(n), value(std::to_string(v)), quoted(false) {}
  template <typename T>
    requires requires(const T& v) {
      { v.to_string() } -> std::convertible_to<std::string>;
    }
  Field(std::string_view n, const T& v) : name(n), value(v.to_string()) {}
};
using Fields = std::initializer_list<Field>;

/// Begins logging; once in a program. kIo when the file cannot be opened. Before it, warnings and errors go straight to
/// standard error. Ignores SIGPIPE for the whole program.
Status start(const Options& options);
/// Writes what is queued (at most for two seconds) and ends the thread. Call it last in main.
void stop();
/// Lines lost since start: dropped from a full queue or refused by the file. Exported as a metric.
std::uint64_t dropped_lines();
bool enabled(Level level);

void write(Level level, std::string_view message, Fields fields = {});
inline void debug(std::string_view message, Fields fields = {}) {
  if (enabled(Level::kDebug)) write(Level::kDebug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) {
  write(Level::kInfo, message, fields);
}
inline void warning(std::string_view message, Fields fields = {}) {
  write(Level::kWarning, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) {
  write(Level::kError, message, fields);
}
/// An error at level error: its text, code and hint.
void log_error(const Error& error, Fields fields = {});

/// One line without its end, as `write` makes it. Control characters are escaped in both formats: a line stays one
/// line.
std::string format_line(Format format, Timestamp time, Level level, std::string_view program, std::string_view message,
                        const Field* fields, std::size_t count);

}  // namespace stele::log
